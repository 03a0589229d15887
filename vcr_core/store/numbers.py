"""The part of the store that knows numbers and matrices: written in batches, read by cursor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from sqlalchemy import Row, select, update

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
        table = schema.metrics
        query = (
            select(table).where(table.c.run_id == run_id, table.c.id > after).order_by(table.c.id)
        )
        if names is not None:
            query = query.where(table.c.name.in_(names))
        with self._reading() as connection:
            return [
                Metric(row.id, row.run_id, row.step, row.name, row.value)
                for row in connection.execute(query.limit(limit))
            ]

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
        table = schema.snapshots
        query = (
            select(table)
            .where(table.c.run_id == run_id, table.c.layer == layer, table.c.kind == kind)
            .where(table.c.id > after)
            .order_by(table.c.id.desc())
            .limit(1)
        )
        if step is not None:
            query = query.where(table.c.step <= step)
        with self._reading() as connection:
            row = connection.execute(query).one_or_none()
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
        table = schema.snapshots
        query = (
            select(table).where(table.c.run_id == run_id, table.c.id > after).order_by(table.c.id)
        )
        for column, chosen in (
            (table.c.kind, kinds),
            (table.c.layer, layers),
            (table.c.step, steps),
        ):
            if chosen is not None:
                query = query.where(column.in_(chosen))
        with self._reading() as connection:
            return [_snapshot(row) for row in connection.execute(query.limit(limit))]

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


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _snapshot(row: Row[Any]) -> Snapshot:
    values = np.frombuffer(row.data, dtype="<f4").astype(np.float32).reshape(row.shape)
    return Snapshot(row.id, row.run_id, row.step, row.layer, row.kind, values)
