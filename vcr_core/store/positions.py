"""The part of the store that knows how far the runs of a pair are: what twins go by.

Each run writes its own row and reads its twin's. A row is small, written at every report, and
means something only while the run's attempt is the one that wrote it.
"""

from __future__ import annotations

from sqlalchemy import select, update

from vcr_core.store import schema
from vcr_core.store.connection import Connected
from vcr_core.store.records import Position, RunState
from vcr_core.store.runs import check_attempt

_positions = schema.positions
_runs = schema.runs


class PositionRows(Connected):
    """Rows of the table ``positions``."""

    def twin_of(self, run_id: str) -> str | None:
        """The id of the other run of a run's pair; None where it has none."""
        pair = select(_runs.c.pair_id).where(_runs.c.id == run_id).scalar_subquery()
        query = select(_runs.c.id).where(_runs.c.pair_id == pair, _runs.c.id != run_id)
        with self._reading() as connection:
            return connection.scalar(query.order_by(_runs.c.number).limit(1))

    def begin_position(self, run_id: str, *, attempt: int, reached: int, hears: bool) -> None:
        """A worker takes a run: what an earlier one wrote of its position is over.

        Raises:
            UnknownRunError: the store holds no such run.
            RunTakenError: ``attempt`` is over: another worker has the run.
        """
        row = {"attempt": attempt, "reached": reached, "shown": reached, "hears": hears}
        with self._writing(run_id) as connection:
            check_attempt(connection, run_id, attempt)
            connection.execute(_positions.delete().where(_positions.c.run_id == run_id))
            connection.execute(_positions.insert().values(run_id=run_id, **row))

    def write_position(
        self, run_id: str, *, attempt: int, reached: int, shown: int, hears: bool
    ) -> None:
        """A run has come to a boundary; nothing where another worker has the run."""
        with self._writing() as connection:
            connection.execute(
                update(_positions)
                .where(_positions.c.run_id == run_id, _positions.c.attempt == attempt)
                .values(reached=reached, shown=shown, hears=hears)
            )

    def position(self, run_id: str) -> Position | None:
        """How a run stands; None where the store holds no such run."""
        query = (
            select(
                _runs.c.state,
                _runs.c.attempt,
                _runs.c.heartbeat_at,
                _runs.c.step,
                _runs.c.training_seconds,
                _runs.c.deleted_at,
                _positions.c.reached,
                _positions.c.shown,
                _positions.c.hears,
                _positions.c.attempt.label("written_in"),
            )
            .outerjoin(_positions, _positions.c.run_id == _runs.c.id)
            .where(_runs.c.id == run_id)
        )
        with self._reading() as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            return None
        return Position(
            RunState(row.state),
            row.attempt,
            row.heartbeat_at,
            row.step,
            row.training_seconds,
            row.deleted_at is not None,
            row.reached if row.written_in == row.attempt else None,
            row.shown or 0,
            bool(row.hears),
        )
