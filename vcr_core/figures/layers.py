"""The network layer by layer over time: a small map, the spread, the spectrum and the verdicts.

A :class:`LayerReader` belongs to one viewer; every call of ``news`` brings the frames that came
since the last one. The backlog of a long run is thinned.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache

import numpy as np
from numpy.typing import NDArray

from vcr_core.figures.derived import correlation, spread_histogram, thinned
from vcr_core.figures.recent import Readable
from vcr_core.store import Run, Snapshot
from vcr_core.verdicts import LayerReading, Verdict, judge_layer

THUMBNAIL = 24
SPECTRUM_POINTS = 17
KINDS = ("covariance", "std", "spectrum")
WEIGHTS = ("variance_weight", "covariance_weight")
NUMBERS = ("rms_correlation", "effective_rank", "count", "gradient_ratio", *WEIGHTS)


@dataclass(frozen=True)
class Frame:
    """One layer of one run at one step.

    Args:
        thumbnail: correlations (k, k) of at most 24 features, evenly chosen.
        spread: shares of the features by standard deviation, from 0 to twice the target.
        spectrum: log10 of eigenvalue / largest eigenvalue at evenly chosen places.
        verdicts: what the numbers mean, the gravest first.
    """

    run: str
    layer: str
    step: int
    features: int
    samples: int
    thumbnail: NDArray[np.float32]
    spread: NDArray[np.float32]
    spectrum: NDArray[np.float32]
    verdicts: tuple[Verdict, ...]


Numbers = dict[str, float]


@dataclass
class _RunCursor:
    snapshots: int = 0
    metrics: int = 0
    numbers: dict[int, Numbers] = field(default_factory=dict)
    pulls: dict[str, tuple[float, tuple[float, ...]]] = field(default_factory=dict)


class LayerReader:
    """Reads frames of some runs by cursor."""

    def __init__(self, runs: Sequence[Run]) -> None:
        self._runs = tuple(runs)
        self._targets = {run.id: run.config.regularizer.target_std for run in runs}
        self._cursors = {run.id: _RunCursor() for run in runs}

    def news(self, store: Readable) -> list[Frame]:
        """The frames of all runs and layers since the last call, in the order of their steps."""
        return [frame for run in self._runs for frame in self._read(store, run)]

    def _read(self, store: Readable, run: Run) -> list[Frame]:
        cursor = self._cursors[run.id]
        layers = run.config.layer_names
        steps = None
        if not cursor.snapshots:
            steps = thinned(store.snapshot_steps(run.id, layers[-1], "std"))
        kept = store.snapshots(
            run.id, layers=layers, kinds=KINDS, steps=steps, after=cursor.snapshots
        )
        if not kept:
            return []
        cursor.snapshots = kept[-1].id
        _read_numbers(store, run.id, layers, cursor)
        arrays: dict[tuple[int, str], dict[str, Snapshot]] = {}
        for snapshot in kept:
            arrays.setdefault((snapshot.step, snapshot.layer), {})[snapshot.kind] = snapshot
        frames = [
            self._frame(run.id, layer, step, found)
            for (step, layer), found in arrays.items()
            if set(found) == set(KINDS)
        ]
        cursor.numbers = {s: n for s, n in cursor.numbers.items() if s > kept[-1].step}
        return frames

    def _frame(self, run: str, layer: str, step: int, found: dict[str, Snapshot]) -> Frame:
        cursor, target = self._cursors[run], self._targets[run]
        numbers = cursor.numbers.get(step, {})
        covariance, std = found["covariance"].values, found["std"].values
        reading = _reading(layer, std, numbers, cursor, target)
        return Frame(
            run,
            layer,
            step,
            features=len(std),
            samples=int(numbers.get(f"layer/{layer}/count", 0)),
            thumbnail=thumbnail(covariance),
            spread=spread_histogram(std, widest=2 * target),
            spectrum=spectrum_profile(found["spectrum"].values),
            verdicts=judge_layer(reading),
        )


def _read_numbers(store: Readable, run: str, layers: Sequence[str], cursor: _RunCursor) -> None:
    """Numbers of the steps since the last reading; a report's numbers come with its arrays."""
    names = [f"layer/{layer}/{name}" for layer in layers for name in NUMBERS]
    names += [f"regularizer/{name}" for name in WEIGHTS]
    for row in store.metrics(run, names=names, after=cursor.metrics):
        value = float("nan") if row.value is None else row.value
        cursor.numbers.setdefault(row.step, {})[row.name] = value
        cursor.metrics = row.id


def _reading(
    layer: str, std: NDArray[np.float32], numbers: Numbers, cursor: _RunCursor, target: float
) -> LayerReading:
    """A gradient ratio holds until it is measured again, or a weight is turned."""
    weights = tuple(
        numbers.get(f"layer/{layer}/{name}", numbers.get(f"regularizer/{name}", 0.0))
        for name in WEIGHTS
    )
    ratio = numbers.get(f"layer/{layer}/gradient_ratio")
    if ratio is not None:
        cursor.pulls[layer] = ratio, weights
    measured, measured_with = cursor.pulls.get(layer, (None, ()))
    return LayerReading(
        std=std,
        samples=numbers.get(f"layer/{layer}/count", float("nan")),
        rms_correlation=numbers.get(f"layer/{layer}/rms_correlation", float("nan")),
        effective_rank=numbers.get(f"layer/{layer}/effective_rank", float("nan")),
        target_std=target,
        weighted=any(weights),
        gradient_ratio=measured if measured_with == weights else None,
    )


def thumbnail(covariance: NDArray[np.float32]) -> NDArray[np.float32]:
    """Correlations (k, k) of at most 24 evenly chosen features."""
    places = _evenly(len(covariance), THUMBNAIL)
    return correlation(covariance[np.ix_(places, places)])


def spectrum_profile(eigenvalues: NDArray[np.float32]) -> NDArray[np.float32]:
    """log10 of eigenvalue / largest at 17 evenly chosen places, −6 at the lowest."""
    chosen = eigenvalues[_evenly(len(eigenvalues), SPECTRUM_POINTS)]
    largest = max(float(np.nanmax(chosen, initial=0.0)), float(np.finfo(np.float32).tiny))
    shares = np.maximum(np.nan_to_num(chosen / largest), 1e-6)
    return np.asarray(np.log10(shares), dtype=np.float32)


@cache
def _evenly(count: int, most: int) -> NDArray[np.int64]:
    return np.linspace(0, count - 1, min(count, most)).round().astype(np.int64)
