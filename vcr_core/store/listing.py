"""Runs by the page: filtered, sorted and counted, so that thousands are listed in milliseconds."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Select, Text, and_, cast, func, or_, select

from vcr_core.store import schema
from vcr_core.store.connection import Connected
from vcr_core.store.records import Run, RunState
from vcr_core.store.runs import as_run

_runs = schema.runs
_TAGS = cast(_runs.c.tags, Text)  # JSON, with everything beyond ASCII escaped
_SEARCHED = (
    _runs.c.id,
    _runs.c.name,
    _runs.c.notes,
    _runs.c.preset,
    _runs.c.dataset,
    _runs.c.source,
    _runs.c.owner,
)


class RunOrder(StrEnum):
    """How a list of runs is sorted. Runs without the number that decides come last."""

    NEWEST = "newest"
    OLDEST = "oldest"
    NAME = "name"
    STATE = "state"
    SOURCE = "source"
    TRANSFER = "transfer"
    LONGEST = "longest"


@dataclass(frozen=True)
class RunFilter:
    """Which runs are wanted; what is empty asks for nothing.

    ``text``: every word of it stands in the id, name, notes, tags, preset, task or owner.
    ``deleted``: those that were deleted and can still be restored, instead of all others.
    """

    text: str = ""
    states: Sequence[RunState] = ()
    presets: Sequence[str] = ()
    tags: Sequence[str] = ()
    owners: Sequence[str] = ()
    studies: Sequence[str] = ()
    deleted: bool = False


@dataclass(frozen=True)
class RunPage:
    """Some runs in order, and how many there are in all."""

    runs: tuple[Run, ...]
    total: int


@dataclass(frozen=True)
class RunFacets:
    """What the runs of a store can be filtered by: every value that occurs."""

    states: Mapping[RunState, int] = field(default_factory=dict)
    presets: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    owners: tuple[str, ...] = ()
    studies: tuple[str, ...] = ()
    deleted: int = 0


class ListingRows(Connected):
    """Reads the table ``runs`` as people look through it."""

    def find_runs(
        self,
        wanted: RunFilter | None = None,
        *,
        order: RunOrder = RunOrder.NEWEST,
        offset: int = 0,
        limit: int = 50,
    ) -> RunPage:
        """The runs of one page of a list."""
        conditions = _conditions(wanted or RunFilter())
        with self._reading() as connection:
            if order is RunOrder.TRANSFER:
                rows = connection.execute(select(_runs.c.id, _runs.c.result).where(*conditions))
                ranked = _by_transfer(rows)
                ids = ranked[offset : offset + limit]
                query = select(_runs).where(_runs.c.id.in_(ids))
                found = {run.id: run for run in map(as_run, connection.execute(query))}
                return RunPage(tuple(found[run] for run in ids), len(ranked))
            query = _sorted(select(_runs).where(*conditions), order)
            rows = connection.execute(query.offset(offset).limit(limit))
            runs = tuple(map(as_run, rows))
            count = select(func.count()).select_from(_runs).where(*conditions)
            return RunPage(runs, int(connection.scalar(count) or 0))

    def run_facets(self) -> RunFacets:
        """What there is to filter by."""
        kept = _runs.c.deleted_at.is_(None)
        with self._reading() as connection:
            states = connection.execute(
                select(_runs.c.state, func.count()).where(kept).group_by(_runs.c.state)
            )
            values = {
                name: sorted(
                    value
                    for value in connection.scalars(select(_runs.c[name]).where(kept).distinct())
                    if value
                )
                for name in ("preset", "owner", "study_id")
            }
            tags = connection.scalars(select(_TAGS).where(kept).distinct())
            deleted = select(func.count()).select_from(_runs).where(~kept)
            return RunFacets(
                states={RunState(state): count for state, count in states},
                presets=tuple(values["preset"]),
                tags=tuple(sorted({tag for listed in tags for tag in json.loads(listed)})),
                owners=tuple(values["owner"]),
                studies=tuple(values["study_id"]),
                deleted=int(connection.scalar(deleted) or 0),
            )


def mean_transfer(result: Mapping[str, Any]) -> float | None:
    """The mean accuracy over the targets that a run probed; None where it has probed none."""
    accuracies = list(result.get("transfer", {}).values())
    return sum(accuracies) / len(accuracies) if accuracies else None


def _conditions(wanted: RunFilter) -> list[ColumnElement[bool]]:
    kept = _runs.c.deleted_at.is_(None)
    found: list[ColumnElement[bool]] = [~kept if wanted.deleted else kept]
    found += [_mentions(word) for word in wanted.text.replace("\x00", "").split()]
    for column, values in (
        (_runs.c.state, [state.value for state in wanted.states]),
        (_runs.c.preset, wanted.presets),
        (_runs.c.owner, wanted.owners),
        (_runs.c.study_id, wanted.studies),
    ):
        if values:
            found.append(column.in_(values))
    if wanted.tags:
        found.append(
            and_(*(_TAGS.contains(json.dumps(tag), autoescape=True) for tag in wanted.tags))
        )
    return found


def _mentions(word: str) -> ColumnElement[bool]:
    """Whether a word stands in what people read of a run, whatever its case."""
    in_tags = _TAGS.icontains(json.dumps(word)[1:-1], autoescape=True)
    return or_(in_tags, *(column.icontains(word, autoescape=True) for column in _SEARCHED))


def _sorted(query: Select[Any], order: RunOrder) -> Select[Any]:
    newest = _runs.c.number.desc()
    source = _runs.c.result["source_accuracy"].as_float()
    firsts: dict[RunOrder, list[Any]] = {
        RunOrder.OLDEST: [_runs.c.number.asc()],
        RunOrder.NAME: [_runs.c.name == "", func.lower(_runs.c.name)],
        RunOrder.STATE: [_runs.c.state],
        RunOrder.SOURCE: [source.is_(None), source.desc()],
        RunOrder.LONGEST: [_runs.c.training_seconds.desc()],
    }
    return query.order_by(*firsts.get(order, []), newest, _runs.c.id)


def _by_transfer(rows: Iterable[Any]) -> list[str]:
    """Ids, the highest mean transfer accuracy first."""
    means = {row.id: mean_transfer(row.result or {}) for row in rows}
    return sorted(means, key=lambda run: (means[run] is None, -(means[run] or 0.0), run))
