"""The part of the store that knows numbers and matrices: written in batches, read by cursor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
from sqlalchemy import Row, Select, Table, bindparam, select, update

from vcr_core.store import schema
from vcr_core.store.connection import Connected
from vcr_core.store.records import Metric, Report, Snapshot
from vcr_core.store.runs import check_attempt, clean


class NumberRows(Connected):
    """Rows of the tables ``metrics`` and ``snapshots``."""

    def write_reports(
        self,
        run_id: str,
        reports: Sequence[Report],
        *,
        progress: Mapping[str, Any],
        attempt: int | None = None,
    ) -> None:
        """Write reports and the run's progress (columns of its row) in one transaction.

        Raises:
            UnknownRunError: the store holds no such run.
            RunTakenError: ``attempt`` was given and is over: another worker has the run.
        """
        numbers = [
            {"run_id": run_id, "step": report.step, "name": name, "value": _finite(value)}
            for report in reports
            for name, value in report.metrics.items()
        ]
        arrays = [
            {
                "run_id": run_id,
                "step": report.step,
                "layer": layer,
                "kind": kind,
                "shape": list(values.shape),
                "data": np.ascontiguousarray(values, dtype="<f4").tobytes(),
            }
            for report in reports
            for (layer, kind), values in report.arrays.items()
        ]
        with self._writing(run_id) as connection:
            if attempt is not None:
                check_attempt(connection, run_id, attempt)
            if numbers:
                connection.execute(schema.metrics.insert(), numbers)
            if arrays:
                connection.execute(schema.snapshots.insert(), arrays)
            if progress:
                connection.execute(
                    update(schema.runs).where(schema.runs.c.id == run_id).values(**clean(progress))
                )

    def metrics(
        self,
        run_id: str,
        *,
        after: int = 0,
        names: Sequence[str] | None = None,
        limit: int | None = None,
    ) -> list[Metric]:
        """Numbers of a run that were written after the cursor ``after``, in order."""
        chosen = {} if names is None else {"name": names}
        query = _rows_after(schema.metrics, *chosen, limited=limit is not None)
        with self._reading() as connection:
            rows = connection.execute(query, _values(run_id, after, limit, chosen))
            return [Metric(*row) for row in rows]

    def written_from(
        self, run_id: str, step: int
    ) -> tuple[set[tuple[int, str]], set[tuple[int, str, str]]]:
        """What a run has reported from a step on: numbers (step, name), arrays (step, layer, kind).

        A run that goes on from an earlier checkpoint comes by these steps once more.
        """
        numbers, arrays = schema.metrics.c, schema.snapshots.c
        with self._reading() as connection:
            return (
                {
                    (row.step, row.name)
                    for row in connection.execute(
                        select(numbers.step, numbers.name).where(
                            numbers.run_id == run_id, numbers.step >= step
                        )
                    )
                },
                {
                    (row.step, row.layer, row.kind)
                    for row in connection.execute(
                        select(arrays.step, arrays.layer, arrays.kind).where(
                            arrays.run_id == run_id, arrays.step >= step
                        )
                    )
                },
            )

    def latest_snapshot(
        self, run_id: str, layer: str, kind: str, *, after: int = 0, step: int | None = None
    ) -> Snapshot | None:
        """The newest array of a layer (up to ``step``), if it is newer than the cursor."""
        query = _newest_array(up_to_step=step is not None)
        values = {"run_id": run_id, "layer": layer, "kind": kind, "after": after, "step": step}
        with self._reading() as connection:
            row = connection.execute(query, values).one_or_none()
        return None if row is None else _snapshot(row)

    def snapshots(
        self,
        run_id: str,
        *,
        kinds: Sequence[str] | None = None,
        layers: Sequence[str] | None = None,
        steps: Sequence[int] | None = None,
        after: int = 0,
        limit: int | None = None,
    ) -> list[Snapshot]:
        """The arrays (of some kinds, layers, steps) that were kept after the cursor, in order."""
        columns = {"kind": kinds, "layer": layers, "step": steps}
        chosen = {name: values for name, values in columns.items() if values is not None}
        query = _rows_after(schema.snapshots, *chosen, limited=limit is not None)
        with self._reading() as connection:
            rows = connection.execute(query, _values(run_id, after, limit, chosen))
            return [_snapshot(row) for row in rows]

    def snapshot_steps(self, run_id: str, layer: str, kind: str) -> list[int]:
        """The steps at which an array of a layer was kept."""
        table = schema.snapshots
        query = (
            select(table.c.step)
            .where(table.c.run_id == run_id, table.c.layer == layer, table.c.kind == kind)
            .order_by(table.c.id)
        )
        with self._reading() as connection:
            return [row.step for row in connection.execute(query)]


@cache
def _rows_after(table: Table, *chosen: str, limited: bool) -> Select[Any]:
    """Rows of a run after a cursor, of some values of the columns ``chosen``, in order.

    Made once: SQLAlchemy takes longer to make a statement than SQLite to answer it.
    """
    query = select(table).where(
        table.c.run_id == bindparam("run_id"), table.c.id > bindparam("after")
    )
    for name in chosen:
        query = query.where(table.c[name].in_(bindparam(f"some_{name}", expanding=True)))
    query = query.order_by(table.c.id)
    return query.limit(bindparam("limit")) if limited else query


def _values(
    run_id: str, after: int, limit: int | None, chosen: Mapping[str, Sequence[Any]]
) -> dict[str, Any]:
    """What :func:`_rows_after` is asked with."""
    some = {f"some_{name}": list(values) for name, values in chosen.items()}
    return {"run_id": run_id, "after": after, "limit": limit, **some}


@cache
def _newest_array(*, up_to_step: bool) -> Select[Any]:
    table = schema.snapshots
    query = select(table).where(
        table.c.run_id == bindparam("run_id"),
        table.c.layer == bindparam("layer"),
        table.c.kind == bindparam("kind"),
        table.c.id > bindparam("after"),
    )
    if up_to_step:
        query = query.where(table.c.step <= bindparam("step"))
    return query.order_by(table.c.id.desc()).limit(1)


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _snapshot(row: Row[Any]) -> Snapshot:
    values = np.frombuffer(row.data, dtype="<f4").astype(np.float32).reshape(row.shape)
    return Snapshot(row.id, row.run_id, row.step, row.layer, row.kind, values)
