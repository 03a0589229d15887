"""The numbers behind the charts: read from the store by cursor, accumulated by whoever shows them.

``history = read_history(store, charts)`` is everything so far;
``history.extend(read_history(store, charts, history.cursor))`` adds what came since.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcr_core.config import as_text, split_name, title_of
from vcr_core.figures.derived import (
    KEPT_AS,
    NOTHING_YET,
    Spreads,
    cluster_order,
    correlation,
    spread_over_time,
)
from vcr_core.figures.parts import ArrayKey, Chart, SeriesKey
from vcr_core.figures.recent import Readable
from vcr_core.store import Command, CommandKind, Snapshot


@dataclass
class Series:
    """Values of one name over the steps of a run; None where a value was not finite."""

    steps: list[int] = field(default_factory=list)
    values: list[float | None] = field(default_factory=list)


@dataclass(frozen=True)
class Array:
    """A matrix (D, D) or vector (D,) and the step that it shows.

    A timeline is (S, B): a row for each of ``steps``.
    """

    step: int
    values: NDArray[np.float32]
    steps: tuple[int, ...] = ()


MARK_TEXT = "{name} → {value} at step {step}"
LAYER_MARK_TEXT = "{name} of {layer} → {value} at step {step}"


@dataclass(frozen=True, order=True)
class Mark:
    """A knob that was turned, of one layer or of all: drawn as a vertical line at its step."""

    step: int
    name: str
    value: str
    layer: str = ""

    @property
    def text(self) -> str:
        """``Variance weight → 3 at step 120``."""
        return self.said(str)

    def said(self, translate: Callable[[str], str]) -> str:
        """The text in another language."""
        template = translate(LAYER_MARK_TEXT if self.layer else MARK_TEXT)
        return template.format(
            name=translate(self.name), layer=self.layer, value=self.value, step=self.step
        )


@dataclass(frozen=True)
class Cursor:
    """How far a reader has come: which names up to which row, which arrays up to which row.

    Timelines, which grow by a row, come with it (``spreads``).
    """

    metrics: Mapping[str, int] = field(default_factory=dict)
    names: frozenset[SeriesKey] = frozenset()
    arrays: Mapping[ArrayKey, int] = field(default_factory=dict)
    spreads: Mapping[ArrayKey, Spreads] = field(default_factory=dict)


START = Cursor()
FEW = 64  # snapshots that are read in one go, though only the newest of each kind is shown


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


def read_history(store: Readable, charts: Sequence[Chart], cursor: Cursor = START) -> History:
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
    spreads = {key: cursor.spreads[key] for key in arrays if key in cursor.spreads}
    for run in runs:
        keys = [key for key in arrays if key.run == run]
        news = _news(store, keys, seen)
        for key in keys:
            seen[key] = _read_array(store, key, seen[key], news, history, spreads)
    history.marks = _marks(command for run in runs for command in store.commands(run))
    history.cursor = Cursor(ends, wanted, seen, spreads)
    return history


def _read_series(
    store: Readable, run: str, wanted: frozenset[SeriesKey], cursor: Cursor, history: History
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


def _news(
    store: Readable, keys: Sequence[ArrayKey], seen: Mapping[ArrayKey, int]
) -> list[Snapshot] | None:
    """A run's snapshots since all of the keys were read, in one go; None where these are many."""
    after = min((seen[key] for key in keys), default=0)
    if not after:
        return None
    kinds = sorted({KEPT_AS.get(key.kind, key.kind) for key in keys})
    layers = sorted({key.layer for key in keys})
    run = keys[0].run
    news = store.snapshots(run, kinds=kinds, layers=layers, after=after, limit=FEW)
    return news if len(news) < FEW else None


def _read_array(  # noqa: PLR0917
    store: Readable,
    key: ArrayKey,
    after: int,
    news: list[Snapshot] | None,
    history: History,
    spreads: dict[ArrayKey, Spreads],
) -> int:
    """Read a newer array into ``history``, of a timeline also into ``spreads``."""
    kept = KEPT_AS.get(key.kind, key.kind)
    own = None
    if news is not None:
        own = [each for each in news if (each.layer, each.kind) == (key.layer, kept)]
        own = [each for each in own if each.id > after]
    if key.kind == "std_histogram":
        known = spreads.get(key, NOTHING_YET)
        spreads[key] = (
            known.extended(own) if own is not None else spread_over_time(store, key, known)
        )
        if spreads[key].after > known.after:
            history.arrays[key] = _timeline(spreads[key])
        return spreads[key].after
    if own is None:
        snapshot = store.latest_snapshot(key.run, key.layer, kept, after=after)
    else:
        snapshot = own[-1] if own else None
    if snapshot is None:
        return after
    history.arrays[key] = as_array(key, snapshot)
    return snapshot.id


def _timeline(spreads: Spreads) -> Array:
    steps, rows = spreads.table()
    return Array(steps[-1], rows, steps)


def read_past(store: Readable, keys: Iterable[ArrayKey], step: int) -> dict[ArrayKey, Array]:
    """The arrays as they were at a step; those that were not kept by then are left out, and so are
    timelines, which show all steps at once.
    """
    found = {}
    for key in keys:
        if key.kind == "std_histogram":
            continue
        kept = KEPT_AS.get(key.kind, key.kind)
        snapshot = store.latest_snapshot(key.run, key.layer, kept, step=step)
        if snapshot is not None:
            found[key] = as_array(key, snapshot)
    return found


def as_array(key: ArrayKey, snapshot: Snapshot) -> Array:
    """What a chart shows of a snapshot."""
    match key.kind:
        case "correlation":
            return Array(snapshot.step, correlation(snapshot.values))
        case "order":
            return Array(snapshot.step, cluster_order(snapshot.values))
        case _:
            return Array(snapshot.step, snapshot.values)


def colour_limit(key: ArrayKey, values: NDArray[np.float32]) -> float:
    """The value that gets the strongest colour: 1 for correlations, else nearly the largest."""
    if key.kind == "correlation":
        return 1.0
    is_matrix = values.ndim == 2 and values.shape[0] == values.shape[1]
    off_diagonal = values[~np.eye(len(values), dtype=bool)] if is_matrix else values
    finite = np.abs(off_diagonal[np.isfinite(off_diagonal)])
    return float(np.quantile(finite, 0.99)) if finite.size and finite.max() > 0 else 1.0


def _marks(commands: Iterable[Command]) -> tuple[Mark, ...]:
    """One mark per field and step; twins that got the same command share it."""
    last: dict[tuple[int, str], Mark] = {}
    for command in commands:
        name = command.payload.get("field")
        if command.kind is not CommandKind.SET or command.applied_step is None or name is None:
            continue
        (title, layer), step = title_of(str(name)), command.applied_step
        shown = shown_value(str(name), command.payload.get("value"))
        last[step, str(name)] = Mark(step, title, shown, layer)
    return tuple(sorted(last.values()))


def shown_value(name: str, value: Any) -> str:
    """A setting's value as a person reads it: ``0.1``, ``×3`` of a factor, ``–`` for none."""
    if value is None:
        return "–"
    times = "×" if split_name(name)[1] else ""
    return f"{times}{value:g}" if isinstance(value, int | float) else f"{times}{as_text(value)}"
