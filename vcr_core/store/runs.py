"""The part of the store that knows runs: made, listed, moved from state to state, deleted."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from typing import Any

from sqlalchemy import Connection, Row, Select, bindparam, func, or_, select, update

from vcr_core.config import RunConfig
from vcr_core.errors import RunBusyError, RunTakenError
from vcr_core.store import schema
from vcr_core.store.connection import Connected, lock_run, unknown_run
from vcr_core.store.order import Waiting, fair_order
from vcr_core.store.records import Role, Run, RunState, RunSummary

NEWEST_FIRST = 200
LATELY_SECONDS = 600.0

_runs = schema.runs
_SUMMARY_NAMES = [field.name for field in fields(RunSummary)]
_SUMMARY_COLUMNS = [_runs.c[name] for name in _SUMMARY_NAMES]
_ROLE, _STATE, _RESULT = map(_SUMMARY_NAMES.index, ("role", "state", "result"))
_ROLES = {role.value: role for role in Role}
_STATES = {state.value: state for state in RunState}
_ONE = select(_runs).where(_runs.c.id == bindparam("run_id"))
_WITH_TWIN = select(_runs).where(
    or_(
        _runs.c.id == bindparam("run_id"),
        _runs.c.pair_id
        == select(_runs.c.pair_id).where(_runs.c.id == bindparam("run_id")).scalar_subquery(),
    )
)


class RunRows(Connected):
    """Rows of the table ``runs``."""

    def create_run(
        self,
        config: RunConfig,
        *,
        preset: str = "custom",
        role: Role = Role.SINGLE,
        pair_id: str | None = None,
        state: RunState = RunState.QUEUED,
        owner: str = "",
        name: str = "",
        tags: Sequence[str] = (),
        study_id: str | None = None,
        trial: int | None = None,
        parent_id: str | None = None,
        parent_step: int | None = None,
        auto_resume: bool = False,
    ) -> str:
        """Put a run into the queue and return its id."""
        row = _new_row(config, preset, role, pair_id) | {
            "state": state.value,
            "owner": owner,
            "name": name,
            "tags": list(tags),
            "study_id": study_id,
            "trial": trial,
            "parent_id": parent_id,
            "parent_step": parent_step,
            "auto_resume": auto_resume,
        }
        with self._writing() as connection:
            connection.execute(_runs.insert().values(number=_next_number(), **row))
        return str(row["id"])

    def create_pair(
        self,
        config: RunConfig,
        *,
        preset: str = "custom",
        owner: str = "",
        auto_resume: bool = False,
    ) -> tuple[str, str]:
        """Queue the twins: (baseline, regularised), everything equal but the two weights."""
        pair_id = uuid.uuid4().hex[:12]
        shared = {"state": RunState.QUEUED.value, "owner": owner, "auto_resume": auto_resume}
        baseline = _new_row(config.baseline(), preset, Role.BASELINE, pair_id) | shared
        regularized = _new_row(config, preset, Role.REGULARIZED, pair_id) | shared
        with self._writing() as connection:  # both or none
            for row in (baseline, regularized):
                connection.execute(_runs.insert().values(number=_next_number(), **row))
        return str(baseline["id"]), str(regularized["id"])

    def run(self, run_id: str) -> Run:
        """One run by its id, also a deleted one.

        Raises:
            UnknownRunError: the store holds no such run.
        """
        with self._reading() as connection:
            row = connection.execute(_ONE, {"run_id": run_id}).one_or_none()
        if row is None:
            raise unknown_run(run_id)
        return as_run(row)

    def with_twin(self, run_id: str) -> list[Run]:
        """A run and its twin, where it has one, baseline first; also deleted ones.

        Raises:
            UnknownRunError: the store holds no such run.
        """
        with self._reading() as connection:
            runs = [as_run(row) for row in connection.execute(_WITH_TWIN, {"run_id": run_id})]
        if all(run.id != run_id for run in runs):
            raise unknown_run(run_id)
        return sorted(runs, key=lambda run: run.role is not Role.BASELINE)

    def runs(
        self,
        *,
        states: Iterable[RunState] | None = None,
        pair_id: str | None = None,
        owner: str | None = None,
        study_id: str | None = None,
        include_deleted: bool = False,
        limit: int = NEWEST_FIRST,
    ) -> list[Run]:
        """Runs with their configurations, newest first; :meth:`summaries` is the cheap one."""
        query = _filtered(
            select(_runs),
            states=states,
            pair_id=pair_id,
            owner=owner,
            study_id=study_id,
            include_deleted=include_deleted,
        )
        with self._reading() as connection:
            return [as_run(row) for row in connection.execute(query.limit(limit))]

    def summaries(
        self,
        *,
        states: Iterable[RunState] | None = None,
        pair_id: str | None = None,
        owner: str | None = None,
        study_id: str | None = None,
        include_deleted: bool = False,
        limit: int = NEWEST_FIRST,
    ) -> list[RunSummary]:
        """What lists show of runs, newest first: everything but configuration and environment."""
        query = _filtered(
            select(*_SUMMARY_COLUMNS),
            states=states,
            pair_id=pair_id,
            owner=owner,
            study_id=study_id,
            include_deleted=include_deleted,
        )
        with self._reading() as connection:
            rows = connection.execute(query.limit(limit)).all()
        return [_summary(row) for row in rows]

    def count_runs(
        self, *, states: Iterable[RunState] | None = None, owner: str | None = None
    ) -> int:
        """How many runs there are that were not deleted."""
        query = select(func.count()).select_from(_runs)
        query = _filtered(query, states=states, owner=owner).order_by(None)
        with self._reading() as connection:
            return int(connection.scalar(query) or 0)

    def queue(self, *, limit: int = NEWEST_FIRST) -> list[str]:
        """Ids of the queued runs in the order in which they will be started; see ``order``."""
        query = (
            select(_runs.c.id, _runs.c.owner, _runs.c.pair_id, _runs.c.number)
            .where(_runs.c.state == RunState.QUEUED.value, _runs.c.deleted_at.is_(None))
            .order_by(_runs.c.number, _runs.c.id)
        )
        with self._reading() as connection:
            queued = [Waiting(*row) for row in connection.execute(query)]
            even = len({run.owner for run in queued}) < 2
            served = [] if even else self._served_owners(connection)
        return fair_order(queued, served)[:limit]

    def _served_owners(self, connection: Connection) -> list[str]:
        """Owners of runs in work or started within the last ten minutes, one entry a run."""
        newest = select(_runs.c.owner, _runs.c.state, _runs.c.started_at)
        newest = newest.order_by(_runs.c.number.desc()).limit(NEWEST_FIRST)
        rows = list(connection.execute(newest))
        lately = max((row.started_at or 0.0 for row in rows), default=0.0) - LATELY_SECONDS
        return [
            row.owner
            for row in rows
            if RunState(row.state).is_active or (row.started_at or 0.0) > lately > 0.0
        ]

    def queue_position(self, run_id: str) -> int | None:
        """The place of a run in :meth:`queue`, from 1; None where it does not wait."""
        waiting = self.queue(limit=100_000)
        return waiting.index(run_id) + 1 if run_id in waiting else None

    def update_run(self, run_id: str, *, attempt: int | None = None, **changes: Any) -> None:
        """Set columns of a run's row.

        Raises:
            UnknownRunError: the store holds no such run.
            RunTakenError: ``attempt`` was given and is over: another worker has the run.
        """
        with self._writing(run_id) as connection:
            if attempt is not None:
                check_attempt(connection, run_id, attempt)
            connection.execute(update(_runs).where(_runs.c.id == run_id).values(**clean(changes)))

    def move_run(self, run_id: str, *, before: RunState, after: RunState, **changes: Any) -> bool:
        """Change a run's state only if it still is ``before``; says whether it was.

        Two dispatchers that want the same queued run cannot both get it. A move to ``STARTING``
        begins a new attempt. A deleted run does not move.
        """
        values = {"state": after.value, **changes}
        if after is RunState.STARTING:
            values.setdefault("attempt", _runs.c.attempt + 1)
        with self._writing() as connection:
            moved = connection.execute(
                update(_runs)
                .where(_runs.c.id == run_id, _runs.c.state == before.value)
                .where(_runs.c.deleted_at.is_(None))
                .values(**clean(values))
            )
        return moved.rowcount == 1

    def delete_run(self, run_id: str) -> None:
        """Hide a run; :meth:`restore_run` brings it back until it is purged.

        Raises:
            UnknownRunError: the store holds no such run.
            RunBusyError: a worker has the run.
        """
        self.delete_runs([run_id])

    def delete_runs(self, run_ids: Sequence[str]) -> None:
        """Hide all of these runs, or none of them where :meth:`delete_run` would refuse one."""
        with self._writing() as connection:
            for run_id in sorted(run_ids):
                lock_run(connection, run_id)
                state = connection.scalars(select(_runs.c.state).where(_runs.c.id == run_id)).one()
                if RunState(state).is_active:
                    raise RunBusyError(
                        f"expected a run that is not in work, but run {run_id} is {state}: stop "
                        "it first"
                    )
                connection.execute(
                    update(_runs)
                    .where(_runs.c.id == run_id, _runs.c.deleted_at.is_(None))
                    .values(deleted_at=time.time())
                )

    def restore_runs(self, run_ids: Sequence[str]) -> None:
        """Bring deleted runs back, all of them or none; also into the queue.

        Raises:
            UnknownRunError: the store holds no such run.
        """
        with self._writing() as connection:
            for run_id in sorted(run_ids):
                lock_run(connection, run_id)
                connection.execute(
                    update(_runs).where(_runs.c.id == run_id).values(deleted_at=None)
                )

    def restore_run(self, run_id: str) -> None:
        """Bring a deleted run back; it is what it was before, also in the queue.

        Raises:
            UnknownRunError: the store holds no such run.
        """
        self.restore_runs([run_id])

    def purgeable(self, *, older_than: float = 0.0) -> list[str]:
        """Ids of runs that were deleted over ``older_than`` seconds ago."""
        with self._reading() as connection:
            return list(connection.scalars(_deleted_before(time.time() - older_than)))

    def purge(self, *, older_than: float = 0.0) -> list[str]:
        """Remove for good what was deleted over ``older_than`` seconds ago; returns the ids."""
        with self._writing() as connection:
            gone = list(connection.scalars(_deleted_before(time.time() - older_than)))
            for run_id in gone:
                connection.execute(_runs.delete().where(_runs.c.id == run_id))
        return gone


def check_attempt(connection: Any, run_id: str, attempt: int) -> None:
    """See that the run is still in the hands of the worker that took it at ``attempt``.

    Raises:
        RunTakenError: it is not.
    """
    current = connection.scalar(select(_runs.c.attempt).where(_runs.c.id == run_id))
    if current != attempt:
        raise RunTakenError(
            f"run {run_id} is in the hands of another worker (attempt {current}, this was "
            f"{attempt}): this worker writes nothing more"
        )


def _deleted_before(moment: float) -> Select[Any]:
    """Locked, so that none of them can be restored while it is purged."""
    return select(_runs.c.id).where(_runs.c.deleted_at <= moment).with_for_update()


def clean(changes: Mapping[str, Any]) -> dict[str, Any]:
    """Texts without NUL, which PostgreSQL does not take and logs may contain."""
    return {
        name: value.replace("\x00", "") if isinstance(value, str) else value
        for name, value in changes.items()
    }


def _new_row(config: RunConfig, preset: str, role: Role, pair_id: str | None) -> dict[str, Any]:
    return {
        "id": uuid.uuid4().hex[:12],
        "pair_id": pair_id,
        "role": role.value,
        "preset": preset,
        "config": config.model_dump(mode="json"),
        "created_at": time.time(),
        "dataset": config.data.dataset,
        "source": config.data.source,
    }


def _next_number() -> Any:
    return select(func.coalesce(func.max(_runs.c.number), 0) + 1).scalar_subquery()


def _filtered(
    query: Select[Any],
    *,
    states: Iterable[RunState] | None,
    pair_id: str | None = None,
    owner: str | None = None,
    study_id: str | None = None,
    include_deleted: bool = False,
) -> Select[Any]:
    """The newest runs first; by number, because clocks are set back."""
    query = query.order_by(_runs.c.number.desc(), _runs.c.id)
    if states is not None:
        query = query.where(_runs.c.state.in_([state.value for state in states]))
    if pair_id is not None:
        query = query.where(_runs.c.pair_id == pair_id)
    if owner is not None:
        query = query.where(_runs.c.owner == owner)
    if study_id is not None:
        query = query.where(_runs.c.study_id == study_id)
    return query if include_deleted else query.where(_runs.c.deleted_at.is_(None))


def _summary(row: Row[Any]) -> RunSummary:
    values = list(row)
    values[_ROLE] = _ROLES[values[_ROLE]]
    values[_STATE] = _STATES[values[_STATE]]
    values[_RESULT] = values[_RESULT] or {}
    return RunSummary(*values)


def as_run(row: Row[*tuple[Any, ...]]) -> Run:
    """A whole row of the table as a record."""
    values = row._asdict()
    return Run(
        **{
            **{name: value for name, value in values.items() if name != "config"},
            "role": _ROLES[values["role"]],
            "state": _STATES[values["state"]],
            "result": values["result"] or {},
            "config_tree": values["config"],
            "environment": values["environment"] or {},
        }
    )
