"""What charts show of the arrays that a run keeps: correlations, orders, histograms. Numpy only."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from vcr_core.figures.parts import ArrayKey
from vcr_core.store import Store

Floats = NDArray[np.float32]

#: Under which kind the store keeps what a derived kind is made from.
KEPT_AS: Mapping[str, str] = {
    "correlation": "covariance",
    "order": "covariance",
    "std_histogram": "std",
}
BINS = 32
WIDEST_SPREAD = 2.0  # histograms reach from 0 to this; the last bin also holds what lies beyond
MOST_STEPS = 60


def correlation(covariance: Floats) -> Floats:
    """Correlations (D, D) from covariances (D, D): C_ij / (s_i s_j); 0 where a feature is flat."""
    std = np.sqrt(np.maximum(np.diagonal(covariance), 0.0))
    scale = np.outer(std, std)
    flat = scale <= np.finfo(np.float32).tiny
    return np.where(flat, 0.0, covariance / np.where(flat, 1.0, scale)).astype(np.float32)


def cluster_order(covariance: Floats) -> Floats:
    """Places of the features (D,) so that alike ones stand together.

    Leaves of an average-linkage tree over the distances 1 − |correlation|.
    """
    from scipy.cluster.hierarchy import leaves_list, linkage
    from scipy.spatial.distance import squareform

    size = len(covariance)
    if size < 3 or not np.isfinite(covariance).all():
        return np.arange(size, dtype=np.float32)
    distance = np.clip(1.0 - np.abs(correlation(covariance)), 0.0, 1.0)
    np.fill_diagonal(distance, 0.0)
    tree = linkage(squareform((distance + distance.T) / 2, checks=False), method="average")
    order: Floats = leaves_list(tree).astype(np.float32)
    return order


def spread_histogram(std: Floats, *, widest: float = WIDEST_SPREAD) -> Floats:
    """Shares of the features (BINS,) by their standard deviation, from 0 to ``widest``."""
    finite = np.minimum(std[np.isfinite(std)], np.float32(widest * (1 - 1e-6)))
    counts, _ = np.histogram(finite, bins=BINS, range=(0.0, widest))
    return (counts / max(len(std), 1)).astype(np.float32)


def spread_over_time(store: Store, key: ArrayKey) -> tuple[tuple[int, ...], Floats]:
    """Steps (S,) and histograms (S, BINS) of a layer's standard deviations, thinned to 60 steps."""
    steps = thinned(store.snapshot_steps(key.run, key.layer, "std"))
    kept = store.snapshots(key.run, kinds=["std"], layers=[key.layer], steps=steps)
    rows = [spread_histogram(snapshot.values) for snapshot in kept]
    return tuple(snapshot.step for snapshot in kept), np.stack(rows)


def thinned(steps: list[int], most: int = MOST_STEPS) -> list[int]:
    """At most so many of the steps, evenly spaced, the first and the last among them."""
    if len(steps) <= most:
        return steps
    places = np.linspace(0, len(steps) - 1, most).round().astype(int)
    return [steps[place] for place in places]
