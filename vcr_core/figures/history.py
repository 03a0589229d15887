"""The numbers behind the charts: read from the store by cursor, accumulated by whoever shows them.

``history = read_history(store, charts)`` is everything so far;
``history.extend(read_history(store, charts, history.cursor))`` adds what came since.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from vcr_core.config import fields
from vcr_core.figures.parts import ArrayKey, Chart, SeriesKey
from vcr_core.store import Command, CommandKind, Store


@dataclass
class Series:
    """Values of one name over the steps of a run; None where a value was not finite."""

    steps: list[int] = field(default_factory=list)
    values: list[float | None] = field(default_factory=list)


@dataclass(frozen=True)
class Array:
    """A matrix (D, D) or vector (D,) and the step that it shows."""

    step: int
    values: NDArray[np.float32]


@dataclass(frozen=True, order=True)
class Mark:
    """A knob that was turned: drawn as a vertical line at its step."""

    step: int
    text: str


@dataclass(frozen=True)
class Cursor:
    """How far a reader has come: which names up to which row, which arrays up to which row."""

    metrics: Mapping[str, int] = field(default_factory=dict)
    names: frozenset[SeriesKey] = frozenset()
    arrays: Mapping[ArrayKey, int] = field(default_factory=dict)


START = Cursor()


@dataclass
class History:
    """Series, newest arrays and marks, and the cursor after them."""

    series: dict[SeriesKey, Series] = field(default_factory=dict)
    arrays: dict[ArrayKey, Array] = field(default_factory=dict)
    marks: tuple[Mark, ...] = ()
    cursor: Cursor = START
    backlog: frozenset[SeriesKey] = frozenset()

    def extend(self, newer: History) -> None:
        """Add what came after this history's cursor. Series that start anew are replaced."""
        for key in newer.backlog:
            self.series.pop(key, None)
        for key, series in newer.series.items():
            known = self.series.setdefault(key, Series())
            known.steps.extend(series.steps)
            known.values.extend(series.values)
        self.arrays.update(newer.arrays)
        self.marks = newer.marks
        self.cursor = newer.cursor


def read_history(store: Store, charts: Sequence[Chart], cursor: Cursor = START) -> History:
    """Read what the charts show and the store has written since the cursor.

    Names that the cursor has not seen before (another layer was chosen) are read from their first
    step and listed in ``History.backlog``. Arrays come only where a newer one is there.
    """
    sources = set().union(*(chart.sources() for chart in charts))
    wanted = frozenset(source for source in sources if isinstance(source, SeriesKey))
    arrays = sorted(source for source in sources if isinstance(source, ArrayKey))
    runs = sorted({source.run for source in sources})
    history = History(backlog=wanted - cursor.names)
    ends = dict(cursor.metrics)
    for run in runs:
        ends[run] = _read_series(store, run, wanted, cursor, history)
    seen = {key: cursor.arrays.get(key, 0) for key in arrays}
    for key in arrays:
        seen[key] = _read_array(store, key, seen[key], history)
    history.marks = _marks(command for run in runs for command in store.commands(run))
    history.cursor = Cursor(ends, wanted, seen)
    return history


def _read_series(
    store: Store, run: str, wanted: frozenset[SeriesKey], cursor: Cursor, history: History
) -> int:
    """Read a run's series into ``history``; returns the last row seen."""
    end = cursor.metrics.get(run, 0)
    names = sorted(key.name for key in wanted if key.run == run)
    missed = sorted(key.name for key in history.backlog if key.run == run)
    rows = store.metrics(run, names=missed) if end and missed else []
    rows = [row for row in rows if row.id <= end]
    rows += store.metrics(run, after=end, names=names)
    for row in rows:
        series = history.series.setdefault(SeriesKey(run, row.name), Series())
        series.steps.append(row.step)
        series.values.append(row.value)
    return max((row.id for row in rows), default=end)


def _read_array(store: Store, key: ArrayKey, after: int, history: History) -> int:
    kept = "covariance" if key.kind == "correlation" else key.kind
    snapshot = store.latest_snapshot(key.run, key.layer, kept, after=after)
    if snapshot is None:
        return after
    values = snapshot.values if kept == key.kind else correlation(snapshot.values)
    history.arrays[key] = Array(snapshot.step, values)
    return snapshot.id


def correlation(covariance: NDArray[np.float32]) -> NDArray[np.float32]:
    """Correlations (D, D) from covariances (D, D): C_ij / (s_i s_j); 0 where a feature is flat."""
    std = np.sqrt(np.maximum(np.diagonal(covariance), 0.0))
    scale = np.outer(std, std)
    flat = scale <= np.finfo(np.float32).tiny
    return np.where(flat, 0.0, covariance / np.where(flat, 1.0, scale)).astype(np.float32)


def colour_limit(key: ArrayKey, values: NDArray[np.float32]) -> float:
    """The value that gets the strongest colour: 1 for correlations, else nearly the largest."""
    if key.kind == "correlation":
        return 1.0
    off_diagonal = values[~np.eye(len(values), dtype=bool)] if values.ndim == 2 else values
    finite = np.abs(off_diagonal[np.isfinite(off_diagonal)])
    return float(np.quantile(finite, 0.99)) if finite.size and finite.max() > 0 else 1.0


def _marks(commands: Iterable[Command]) -> tuple[Mark, ...]:
    """One mark per field and step; twins that got the same command share it."""
    last: dict[tuple[int, str], str] = {}
    titles = fields()
    for command in commands:
        name = command.payload.get("field")
        if command.kind is not CommandKind.SET or command.applied_step is None or name is None:
            continue
        title = (titles[name].title or name).lower() if name in titles else str(name)
        value = command.payload.get("value")
        shown = f"{value:g}" if isinstance(value, int | float) else str(value)
        step = command.applied_step
        last[step, str(name)] = f"{title} → {shown} at step {step}"
    return tuple(sorted(Mark(step, text) for (step, _), text in last.items()))
