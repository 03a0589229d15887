"""Every run, number, matrix and command, in one SQLite file (or any database SQLAlchemy speaks to).

A store is opened with :func:`open_store`. It is safe to use from several threads and processes:
SQLite runs in WAL mode, so readers never wait for the writer. Readers of a live run remember the
last ``id`` they saw (the cursor) and ask for what came after it.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Engine, Row, create_engine, event, func, inspect, select, update
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DatabaseError

from vcr_core import paths
from vcr_core.config import RunConfig
from vcr_core.errors import StoreError, UnknownRunError
from vcr_core.store import schema
from vcr_core.store.records import Command, CommandKind, Metric, Role, Run, RunState, Snapshot

NEWEST_FIRST = 200


@dataclass(frozen=True)
class Report:
    """What a run says in one go: numbers by name and arrays by (layer, kind), at one step."""

    step: int
    metrics: Mapping[str, float]
    arrays: Mapping[tuple[str, str], NDArray[np.float32]]


def open_store(url: str | None = None) -> Store:
    """Open the store at ``url`` (default: this user's), creating it where there is none.

    Raises:
        StoreError: the address is none, or the file is not a VCR Lab store, is of a newer version
            or cannot be written.
    """
    try:
        address = make_url(url or paths.store_url())
        engine = create_engine(address)
    except (ArgumentError, ModuleNotFoundError) as error:
        raise StoreError(
            f"expected the address of a database, for example sqlite:////folder/runs.sqlite, got "
            f"one that cannot be used ({error}): mend VCR_LAB_STORE"
        ) from error
    if address.get_backend_name() == "sqlite":
        event.listen(engine, "connect", _tune_sqlite)
    shown = str(address.database) if address.database else address.render_as_string()
    try:
        _prepare(engine, shown)
    except DatabaseError as error:
        engine.dispose()
        raise StoreError(_why_unusable(shown, error)) from error
    except StoreError:
        engine.dispose()
        raise
    return Store(engine, address.render_as_string(hide_password=False))


def _tune_sqlite(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    for pragma in ("busy_timeout = 10000", "journal_mode = WAL", "synchronous = NORMAL"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _prepare(engine: Engine, shown: str) -> None:
    tables = set(inspect(engine).get_table_names())
    if tables and schema.about.name not in tables:
        raise StoreError(
            f"expected a VCR Lab store at {shown}, found a database with other tables "
            f"({', '.join(sorted(tables)[:5])}): choose another file with VCR_LAB_STORE or "
            "another folder with VCR_LAB_HOME"
        )
    with engine.begin() as connection:
        if not tables:
            if engine.dialect.name == "sqlite":  # two processes that both create it: one waits
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            schema.metadata.create_all(connection, checkfirst=True)
            rows = {"application": schema.APPLICATION, "version": str(schema.SCHEMA_VERSION)}
            present = {row.key for row in connection.execute(select(schema.about.c.key))}
            for key in rows.keys() - present:
                connection.execute(schema.about.insert().values(key=key, value=rows[key]))
        found = {row.key: row.value for row in connection.execute(select(schema.about))}
        # A write that changes nothing: a read-only file is found now, not when a run is lost.
        connection.execute(
            update(schema.about)
            .where(schema.about.c.key == "version")
            .values(value=found.get("version", ""))
        )
    _check_version(found, shown)


def _check_version(found: Mapping[str, str], shown: str) -> None:
    if found.get("application") != schema.APPLICATION:
        raise StoreError(
            f"expected a VCR Lab store at {shown}, found one of "
            f"'{found.get('application')}': choose another file with VCR_LAB_STORE"
        )
    if int(found["version"]) > schema.SCHEMA_VERSION:
        raise StoreError(
            f"the store at {shown} has version {found['version']}, this VCR Lab reads up to "
            f"{schema.SCHEMA_VERSION}: update VCR Lab, or choose another file with VCR_LAB_STORE"
        )


def _why_unusable(shown: str, error: DatabaseError) -> str:
    cause = str(error.orig)
    if "not a database" in cause:
        why = "the file is not a database; it was left as it is"
    elif "readonly" in cause or "read-only" in cause:
        why = "the file is read-only"
    elif "unable to open" in cause:
        why = "the file cannot be opened (does its folder exist, and may you write there?)"
    else:
        why = cause
    return (
        f"cannot use the store at {shown}: {why}. Make it writable, or choose another file with "
        "VCR_LAB_STORE or another folder with VCR_LAB_HOME"
    )


class Store:
    """Reads and writes runs. Made by :func:`open_store`."""

    def __init__(self, engine: Engine, url: str) -> None:
        self._engine = engine
        self.url = url

    def close(self) -> None:
        """Give the connections back."""
        self._engine.dispose()

    # ------------------------------------------------------------------ runs

    def create_run(
        self,
        config: RunConfig,
        *,
        preset: str = "custom",
        role: Role = Role.SINGLE,
        pair_id: str | None = None,
        state: RunState = RunState.QUEUED,
    ) -> str:
        """Put a run into the queue and return its id."""
        run_id = uuid.uuid4().hex[:12]
        with self._engine.begin() as connection:
            connection.execute(
                schema.runs.insert().values(
                    id=run_id,
                    pair_id=pair_id,
                    role=role.value,
                    preset=preset,
                    config=config.model_dump(mode="json"),
                    state=state.value,
                    created_at=time.time(),
                )
            )
        return run_id

    def create_pair(self, config: RunConfig, *, preset: str = "custom") -> tuple[str, str]:
        """Queue the twins: (baseline, regularised), everything equal but the two weights."""
        pair_id = uuid.uuid4().hex[:12]
        baseline = self.create_run(
            config.baseline(), preset=preset, role=Role.BASELINE, pair_id=pair_id
        )
        regularized = self.create_run(config, preset=preset, role=Role.REGULARIZED, pair_id=pair_id)
        return baseline, regularized

    def run(self, run_id: str) -> Run:
        """One run by its id.

        Raises:
            UnknownRunError: the store holds no such run.
        """
        with self._engine.connect() as connection:
            row = connection.execute(
                select(schema.runs).where(schema.runs.c.id == run_id)
            ).one_or_none()
        if row is None:
            raise UnknownRunError(
                f"expected the id of a run in this store, got '{run_id}': "
                "the runs page lists those there are"
            )
        return _run(row)

    def runs(
        self,
        *,
        states: Iterable[RunState] | None = None,
        pair_id: str | None = None,
        limit: int = NEWEST_FIRST,
    ) -> list[Run]:
        """Runs, newest first."""
        query = select(schema.runs).order_by(schema.runs.c.created_at.desc()).limit(limit)
        if states is not None:
            query = query.where(schema.runs.c.state.in_([state.value for state in states]))
        if pair_id is not None:
            query = query.where(schema.runs.c.pair_id == pair_id)
        with self._engine.connect() as connection:
            return [_run(row) for row in connection.execute(query)]

    def update_run(self, run_id: str, **changes: Any) -> None:
        """Set columns of a run's row."""
        with self._engine.begin() as connection:
            connection.execute(
                update(schema.runs).where(schema.runs.c.id == run_id).values(**changes)
            )

    def move_run(self, run_id: str, *, before: RunState, after: RunState, **changes: Any) -> bool:
        """Change a run's state only if it still is ``before``; says whether it was.

        Two dispatchers that want the same queued run cannot both get it.
        """
        with self._engine.begin() as connection:
            moved = connection.execute(
                update(schema.runs)
                .where(schema.runs.c.id == run_id, schema.runs.c.state == before.value)
                .values(state=after.value, **changes)
            )
        return moved.rowcount == 1

    # ------------------------------------------------- numbers and matrices

    def write_reports(
        self, run_id: str, reports: Sequence[Report], *, progress: Mapping[str, Any]
    ) -> None:
        """Write reports and the run's progress (columns of its row) in one transaction."""
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
        with self._engine.begin() as connection:
            if numbers:
                connection.execute(schema.metrics.insert(), numbers)
            if arrays:
                connection.execute(schema.snapshots.insert(), arrays)
            if progress:
                connection.execute(
                    update(schema.runs).where(schema.runs.c.id == run_id).values(**progress)
                )

    def metrics(
        self, run_id: str, *, after: int = 0, names: Sequence[str] | None = None
    ) -> list[Metric]:
        """Numbers of a run that were written after the cursor ``after``, in order."""
        table = schema.metrics
        query = (
            select(table).where(table.c.run_id == run_id, table.c.id > after).order_by(table.c.id)
        )
        if names is not None:
            query = query.where(table.c.name.in_(names))
        with self._engine.connect() as connection:
            return [
                Metric(row.id, row.run_id, row.step, row.name, row.value)
                for row in connection.execute(query)
            ]

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
        with self._engine.connect() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else _snapshot(row)

    def snapshot_steps(self, run_id: str, layer: str, kind: str) -> list[int]:
        """The steps at which an array of a layer was kept."""
        table = schema.snapshots
        query = (
            select(table.c.step)
            .where(table.c.run_id == run_id, table.c.layer == layer, table.c.kind == kind)
            .order_by(table.c.id)
        )
        with self._engine.connect() as connection:
            return [row.step for row in connection.execute(query)]

    def snapshots(
        self,
        run_id: str,
        *,
        kinds: Sequence[str],
        layers: Sequence[str] | None = None,
        steps: Sequence[int] | None = None,
        after: int = 0,
    ) -> list[Snapshot]:
        """The arrays of some kinds (layers, steps) that were kept after the cursor, in order."""
        table = schema.snapshots
        query = (
            select(table)
            .where(table.c.run_id == run_id, table.c.id > after, table.c.kind.in_(kinds))
            .order_by(table.c.id)
        )
        if layers is not None:
            query = query.where(table.c.layer.in_(layers))
        if steps is not None:
            query = query.where(table.c.step.in_(steps))
        with self._engine.connect() as connection:
            return [_snapshot(row) for row in connection.execute(query)]

    # -------------------------------------------------------------- commands

    def add_command(
        self, run_id: str, kind: CommandKind, payload: Mapping[str, Any] | None = None
    ) -> int:
        """Ask something of a run; returns the command's id."""
        with self._engine.begin() as connection:
            result = connection.execute(
                schema.commands.insert().values(
                    run_id=run_id,
                    kind=kind.value,
                    payload=dict(payload or {}),
                    created_at=time.time(),
                )
            )
        key = result.inserted_primary_key
        return int(key[0]) if key else 0

    def commands(self, run_id: str, *, after: int = 0, state: str | None = None) -> list[Command]:
        """The commands of a run after the cursor, in order."""
        table = schema.commands
        query = (
            select(table).where(table.c.run_id == run_id, table.c.id > after).order_by(table.c.id)
        )
        if state is not None:
            query = query.where(table.c.state == state)
        with self._engine.connect() as connection:
            return [_command(row) for row in connection.execute(query)]

    def settle_command(
        self, command_id: int, *, applied_step: int | None, reason: str | None = None
    ) -> None:
        """Acknowledge a command: applied at a step, or refused with a reason."""
        with self._engine.begin() as connection:
            connection.execute(
                update(schema.commands)
                .where(schema.commands.c.id == command_id)
                .values(
                    state="applied" if reason is None else "refused",
                    applied_step=applied_step,
                    reason=reason,
                )
            )

    # ---------------------------------------------------------------- leases

    def hold_lease(
        self, name: str, holder: str, *, patience: float, detail: Mapping[str, Any] | None = None
    ) -> bool:
        """Take or renew a lease; False where somebody else beat within ``patience`` seconds."""
        now = time.time()
        table = schema.leases
        with self._engine.begin() as connection:
            renewed = connection.execute(
                update(table)
                .where(table.c.name == name)
                .where((table.c.holder == holder) | (table.c.heartbeat_at < now - patience))
                .values(holder=holder, heartbeat_at=now, detail=dict(detail or {}))
            )
            if renewed.rowcount:
                return True
            if connection.scalar(select(func.count()).where(table.c.name == name)):
                return False
            connection.execute(
                table.insert().values(
                    name=name, holder=holder, heartbeat_at=now, detail=dict(detail or {})
                )
            )
        return True

    def lease(self, name: str) -> tuple[str, float, Mapping[str, Any]] | None:
        """Who holds a lease: (holder, seconds since the last beat, detail)."""
        with self._engine.connect() as connection:
            row = connection.execute(
                select(schema.leases).where(schema.leases.c.name == name)
            ).one_or_none()
        return None if row is None else (row.holder, time.time() - row.heartbeat_at, row.detail)

    def release_lease(self, name: str, holder: str) -> None:
        """Give a lease back, if it is still ours."""
        table = schema.leases
        with self._engine.begin() as connection:
            connection.execute(table.delete().where(table.c.name == name, table.c.holder == holder))


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _run(row: Row[Any]) -> Run:
    values = row._asdict()
    return Run(
        **{
            **{name: value for name, value in values.items() if name != "config"},
            "config_tree": values["config"],
            "role": Role(values["role"]),
            "state": RunState(values["state"]),
            "environment": values["environment"] or {},
            "result": values["result"] or {},
        }
    )


def _snapshot(row: Row[Any]) -> Snapshot:
    values = np.frombuffer(row.data, dtype="<f4").astype(np.float32).reshape(row.shape)
    return Snapshot(row.id, row.run_id, row.step, row.layer, row.kind, values)


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
    )
