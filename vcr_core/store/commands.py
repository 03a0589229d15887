"""The part of the store that knows commands: what was asked of a run and what became of it."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row, bindparam, select, update

from vcr_core.store import schema
from vcr_core.store.connection import Connected, lock_run
from vcr_core.store.records import Command, CommandKind, CommandSource, RunState
from vcr_core.store.runs import check_attempt, clean

_commands = schema.commands
_runs = schema.runs
_AFTER = (
    select(_commands)
    .where(_commands.c.run_id == bindparam("run_id"), _commands.c.id > bindparam("after"))
    .order_by(_commands.c.id)
)
_AFTER_IN_STATE = _AFTER.where(_commands.c.state == bindparam("state"))


class CommandRows(Connected):
    """Rows of the table ``commands``."""

    def add_command(
        self,
        run_id: str,
        kind: CommandKind,
        payload: Mapping[str, Any] | None = None,
        *,
        token: str | None = None,
        source: CommandSource = CommandSource.PERSON,
    ) -> int:
        """Ask something of a run; returns the command's id.

        A ``token`` that this run has had already returns the first command's id and asks nothing:
        so a click that is sent twice counts once. A command on a run that is over is refused.

        Raises:
            UnknownRunError: the store holds no such run.
        """
        row = _new_row(run_id, kind, payload) | {"token": token, "source": source.value}
        with self._writing(run_id) as connection:
            if token is not None:
                first = connection.scalar(
                    select(_commands.c.id).where(
                        _commands.c.run_id == run_id, _commands.c.token == token
                    )
                )
                if first is not None:
                    return int(first)
            return _insert(connection, row)

    def ask_both(
        self, twins: Sequence[str], kind: CommandKind, payload: Mapping[str, Any] | None = None
    ) -> dict[str, int]:
        """Ask the same of the two runs of a pair: they do it at the same step, if both train.

        Returns the commands' ids by run. Both appear at once, and in the same order as what else
        is asked of both. One on a run that is over is refused.

        Raises:
            UnknownRunError: the store does not hold one of the runs.
        """
        joint = uuid.uuid4().hex
        with self._writing() as connection:
            for run_id in sorted(twins):
                lock_run(connection, run_id)
            return {
                run_id: _insert(connection, _new_row(run_id, kind, payload) | {"joint": joint})
                for run_id in twins
            }

    def offer_step(self, command_id: int, step: int) -> None:
        """Say how far a run was when it heard of what was asked of it and of its twin."""
        with self._writing() as connection:
            connection.execute(
                update(_commands).where(_commands.c.id == command_id).values(offered_step=step)
            )

    def joint_command(self, run_id: str, joint: str) -> Command | None:
        """What a run was asked together with its twin; None: nothing of that name."""
        query = select(_commands).where(_commands.c.run_id == run_id, _commands.c.joint == joint)
        with self._reading() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else _command(row)

    def plan_commands(
        self, run_id: str, plan: Iterable[tuple[int, CommandKind, Mapping[str, Any]]]
    ) -> None:
        """Have things applied to a run once it has done so many steps, before what is asked then.

        Raises:
            UnknownRunError: the store holds no such run.
        """
        rows = [
            {
                "run_id": run_id,
                "kind": kind.value,
                "payload": dict(payload),
                "created_at": time.time(),
                "source": CommandSource.PERSON.value,
                "state": "planned",
                "applied_step": step,
            }
            for step, kind, payload in plan
        ]
        with self._writing(run_id) as connection:
            for row in rows:
                connection.execute(_commands.insert().values(**row))

    def commands(self, run_id: str, *, after: int = 0, state: str | None = None) -> list[Command]:
        """The commands of a run after the cursor, in order."""
        query = _AFTER if state is None else _AFTER_IN_STATE
        values = {"run_id": run_id, "after": after, "state": state}
        with self._reading() as connection:
            return [_command(row) for row in connection.execute(query, values)]

    def history(self, run_id: str) -> list[Command]:
        """The commands that were applied to a run, in the order of their steps."""
        query = (
            select(_commands)
            .where(_commands.c.run_id == run_id, _commands.c.state == "applied")
            .order_by(_commands.c.applied_step, _commands.c.id)
        )
        with self._reading() as connection:
            return [_command(row) for row in connection.execute(query)]

    def settle_command(
        self,
        command_id: int,
        *,
        applied_step: int | None,
        reason: str | None = None,
        attempt: int | None = None,
    ) -> None:
        """Acknowledge a command: applied at a step, or refused with a reason.

        Raises:
            RunTakenError: ``attempt`` was given and is over: another worker has the run.
        """
        values = {
            "state": "applied" if reason is None else "refused",
            "applied_step": applied_step,
            "reason": reason,
        }
        with self._writing() as connection:
            if attempt is not None:
                run_id = connection.scalar(
                    select(_commands.c.run_id).where(_commands.c.id == command_id)
                )
                check_attempt(connection, str(run_id), attempt)
            connection.execute(
                update(_commands).where(_commands.c.id == command_id).values(**clean(values))
            )

    def end_run(self, run_id: str, state: RunState, *, attempt: int, **changes: Any) -> None:
        """A worker leaves a run: set its state and other columns.

        Where the run is over, what was asked of it too late is refused.

        Raises:
            UnknownRunError: the store holds no such run.
            RunTakenError: ``attempt`` is over: another worker has the run.
        """
        values: dict[str, Any] = {"state": state.value, **clean(changes)}
        if state.is_over:
            values["finished_at"] = time.time()
        with self._writing(run_id) as connection:
            check_attempt(connection, run_id, attempt)
            connection.execute(update(_runs).where(_runs.c.id == run_id).values(**values))
            if state.is_over:
                connection.execute(
                    update(_commands)
                    .where(
                        _commands.c.run_id == run_id,
                        _commands.c.state.in_(("requested", "planned")),
                    )
                    .values(state="refused", reason="the run ended before this could be done")
                )


def _new_row(run_id: str, kind: CommandKind, payload: Mapping[str, Any] | None) -> dict[str, Any]:
    return {
        "run_id": run_id,
        "kind": kind.value,
        "payload": dict(payload or {}),
        "created_at": time.time(),
        "source": CommandSource.PERSON.value,
    }


def _insert(connection: Connection, row: Mapping[str, Any]) -> int:
    """Add a command, refused where its run is over; returns its id."""
    values = dict(row)
    found = connection.scalar(select(_runs.c.state).where(_runs.c.id == row["run_id"]))
    state = RunState(str(found))
    if state.is_over:
        values |= {"state": "refused", "reason": f"the run is over: {state.value}"}
    key = connection.execute(_commands.insert().values(**values)).inserted_primary_key
    return int(key[0]) if key else 0


def _command(row: Row[Any]) -> Command:
    return Command(
        row.id,
        row.run_id,
        CommandKind(row.kind),
        row.payload,
        row.created_at,
        row.state,
        row.applied_step,
        row.reason,
        row.token,
        CommandSource(row.source),
        row.joint,
        row.offered_step,
    )
