"""Mean curves over the seeds of a group, with how sure the mean is.

The runs of a group need not report at the same steps: each curve is joined by straight lines, and
the mean is taken wherever all runs of the group that have the number have been.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vcr_core.comparison.groups import Group
from vcr_core.figures import Chart, History, Series, SeriesKey
from vcr_core.store import Run, Store

EDGES = ("low", "high")
MOST_POINTS = 240


class Curve(NamedTuple):
    """A mean over seeds (S,) at some steps, and mean ± standard error; NaN with one seed."""

    steps: NDArray[np.int64]
    mean: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


def mean_history(store: Store, groups: Sequence[Group], charts: Iterable[Chart]) -> History:
    """What the charts show of the groups: series by (id of the group, name), and for the edges of
    the band by (id, name, "/low" or "/high").
    """
    wanted = {
        source.name
        for chart in charts
        for source in chart.sources()
        if isinstance(source, SeriesKey)
    }
    names = sorted(name for name in wanted if name.rpartition("/")[2] not in EDGES)
    history = History()
    for group in groups:
        by_run = [read_series(store, run, names) for run in group.runs]
        for name in names:
            curve = combine([series[name] for series in by_run if name in series])
            if curve is not None:
                _add(history, group.id, name, curve, banded=len(group.runs) > 1)
    return history


def read_series(store: Store, run: Run, names: Sequence[str]) -> dict[str, Series]:
    """The series of a run by name; a step that was passed twice counts with its last value."""
    found: dict[str, dict[int, float | None]] = {}
    for row in store.metrics(run.id, names=names):
        found.setdefault(row.name, {})[row.step] = row.value
    return {
        name: Series(sorted(values), [values[step] for step in sorted(values)])
        for name, values in found.items()
    }


def combine(series: Sequence[Series]) -> Curve | None:
    """The mean of some series; None where there is nothing to take it of."""
    curves = [curve for curve in map(_finite, series) if len(curve[0])]
    if not curves:
        return None
    first = max(steps[0] for steps, _ in curves)
    last = min(steps[-1] for steps, _ in curves)
    steps = np.unique(np.concatenate([steps for steps, _ in curves]))
    steps = steps[(steps >= first) & (steps <= last)]
    if not len(steps):
        return None
    if len(steps) > MOST_POINTS:
        steps = steps[np.linspace(0, len(steps) - 1, MOST_POINTS).round().astype(int)]
    values = np.stack([np.interp(steps, *curve) for curve in curves])
    mean = values.mean(axis=0)
    error = np.full_like(mean, np.nan)
    if len(curves) > 1:
        error = values.std(axis=0, ddof=1) / np.sqrt(len(curves))
    return Curve(steps, mean, mean - error, mean + error)


def _finite(series: Series) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    kept = [
        (step, value)
        for step, value in zip(series.steps, series.values, strict=True)
        if value is not None
    ]
    steps, values = zip(*kept, strict=True) if kept else ((), ())
    return np.asarray(steps, dtype=np.int64), np.asarray(values, dtype=np.float64)


def _add(history: History, group: str, name: str, curve: Curve, *, banded: bool) -> None:
    steps = curve.steps.tolist()
    history.series[SeriesKey(group, name)] = Series(steps, curve.mean.tolist())
    if banded and np.isfinite(curve.low).all():
        for edge, values in zip(EDGES, (curve.low, curve.high), strict=True):
            history.series[SeriesKey(group, f"{name}/{edge}")] = Series(steps, values.tolist())
