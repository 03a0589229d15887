"""What charts show of the arrays that a run keeps: correlations, orders, histograms. Numpy only."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vcr_core.figures.parts import ArrayKey
from vcr_core.figures.recent import Readable
from vcr_core.store import Snapshot

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
    finite = np.clip(std[np.isfinite(std)], 0.0, widest).astype(np.float64)
    places = np.minimum((finite * (BINS / widest)).astype(np.int64), BINS - 1)
    counts = np.bincount(places, minlength=BINS)
    return (counts / max(len(std), 1)).astype(np.float32)


class PlacedRow(NamedTuple):
    """The histogram (BINS,) of a step, which was the ``place``-th that was kept."""

    place: int
    histogram: Floats


@dataclass(frozen=True)
class Spreads:
    """Histograms of a layer's standard deviations over time, and how far they were read.

    ``after``  row of the last snapshot
    ``count``  of all steps so far
    ``rows``   of the shown steps
    """

    after: int = 0
    count: int = 0
    rows: Mapping[int, PlacedRow] = field(default_factory=dict)

    def table(self) -> tuple[tuple[int, ...], Floats]:
        """The shown steps (S,) and their histograms (S, BINS)."""
        return tuple(self.rows), np.stack([row.histogram for row in self.rows.values()])

    def extended(self, new: Sequence[Snapshot]) -> Spreads:
        """These and newer snapshots. A step that comes once more is the newest's, or counts not."""
        rows, count = dict(self.rows), self.count
        last = max(rows, default=-1)
        for each in new:
            if each.step > last:
                last, count = each.step, count + 1
            if each.step == last:
                rows[last] = PlacedRow(count - 1, spread_histogram(each.values))
        stride = _stride(count, MOST_STEPS)
        shown = {step: row for step, row in rows.items() if row.place % stride == 0 or step == last}
        return Spreads(new[-1].id if new else self.after, count, shown)


NOTHING_YET = Spreads()


def spread_over_time(store: Readable, key: ArrayKey, known: Spreads = NOTHING_YET) -> Spreads:
    """What was known, and what the store has kept since; thinned to 60 steps.

    A run of a thousand steps costs no more here than one of ten: only what is new is read.
    """
    wanted = None
    if not known.count:
        steps = store.snapshot_steps(key.run, key.layer, "std")
        wanted = thinned(steps)
    new = store.snapshots(
        key.run, kinds=["std"], layers=[key.layer], steps=wanted, after=known.after
    )
    if wanted is None:
        return known.extended(new)
    places = {step: place for place, step in enumerate(steps)}
    rows = {each.step: PlacedRow(places[each.step], spread_histogram(each.values)) for each in new}
    return Spreads(new[-1].id if new else 0, len(steps), rows)


def thinned(steps: Sequence[int], most: int = MOST_STEPS) -> list[int]:
    """At most so many of the steps, evenly spaced, the first and the last among them.

    Every second, fourth, eighth … is taken, so that what is left out once stays out.
    """
    return list(dict.fromkeys([*steps[:: _stride(len(steps), most)], *steps[-1:]]))


def _stride(count: int, most: int) -> int:
    stride = 1
    while math.ceil(count / stride) >= max(most, 2) and count > most:
        stride *= 2
    return stride
