"""Stores of older versions: what stood in them is there after opening, and can be gone on with."""

from __future__ import annotations

import json
import sqlite3
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import create_engine, inspect, text

from vcr_core.config import RunConfig
from vcr_core.errors import StoreError
from vcr_core.store import CommandKind, CommandSource, Report, RunState, open_store, schema

# As version 1 wrote it.
VERSION_1 = """
CREATE TABLE about (key VARCHAR(40) NOT NULL, value VARCHAR(200) NOT NULL, PRIMARY KEY (key));
CREATE TABLE runs (
    id VARCHAR(32) NOT NULL, pair_id VARCHAR(32), role VARCHAR(16) NOT NULL,
    preset VARCHAR(80) NOT NULL, config JSON NOT NULL, state VARCHAR(16) NOT NULL,
    created_at FLOAT NOT NULL, started_at FLOAT, finished_at FLOAT, heartbeat_at FLOAT,
    step INTEGER NOT NULL, total_steps INTEGER NOT NULL, training_seconds FLOAT NOT NULL,
    environment JSON, result JSON, error TEXT, PRIMARY KEY (id));
CREATE INDEX ix_runs_pair_id ON runs (pair_id);
CREATE INDEX ix_runs_state ON runs (state);
CREATE INDEX ix_runs_created_at ON runs (created_at);
CREATE TABLE metrics (
    id INTEGER NOT NULL, run_id VARCHAR(32) NOT NULL, step INTEGER NOT NULL,
    name VARCHAR(120) NOT NULL, value FLOAT, PRIMARY KEY (id),
    FOREIGN KEY(run_id) REFERENCES runs (id) ON DELETE CASCADE);
CREATE INDEX metrics_by_run ON metrics (run_id, id);
CREATE TABLE snapshots (
    id INTEGER NOT NULL, run_id VARCHAR(32) NOT NULL, step INTEGER NOT NULL,
    layer VARCHAR(120) NOT NULL, kind VARCHAR(24) NOT NULL, shape JSON NOT NULL,
    data BLOB NOT NULL, PRIMARY KEY (id),
    FOREIGN KEY(run_id) REFERENCES runs (id) ON DELETE CASCADE);
CREATE INDEX snapshots_by_layer ON snapshots (run_id, layer, kind, id);
CREATE TABLE commands (
    id INTEGER NOT NULL, run_id VARCHAR(32) NOT NULL, kind VARCHAR(16) NOT NULL,
    payload JSON NOT NULL, created_at FLOAT NOT NULL, state VARCHAR(16) NOT NULL,
    applied_step INTEGER, reason TEXT, PRIMARY KEY (id),
    FOREIGN KEY(run_id) REFERENCES runs (id) ON DELETE CASCADE);
CREATE INDEX commands_by_run ON commands (run_id, id);
CREATE TABLE leases (
    name VARCHAR(40) NOT NULL, holder VARCHAR(80) NOT NULL, heartbeat_at FLOAT NOT NULL,
    detail JSON, PRIMARY KEY (name));
INSERT INTO about VALUES ('application', 'vcr-lab'), ('version', '1');
"""
MATRIX = np.arange(6, dtype="<f4").reshape(2, 3)
CONFIG = json.dumps(RunConfig(seed=11).model_dump(mode="json"))


ROWS: dict[str, list[dict[str, Any]]] = {
    "runs": [
        {
            "id": "younger", "pair_id": None, "role": "single", "preset": "digits-parity",
            "config": CONFIG, "state": "finished", "created_at": 200.0, "started_at": 201.0,
            "finished_at": 209.0, "heartbeat_at": 208.0, "step": 7, "total_steps": 7,
            "training_seconds": 6.5, "environment": '{"python": "3.11"}',
            "result": '{"source_accuracy": 0.9}', "error": None,
        },
        {
            "id": "older", "pair_id": "pair", "role": "baseline", "preset": "sprites-shape",
            "config": CONFIG, "state": "failed", "created_at": 100.0, "started_at": None,
            "finished_at": None, "heartbeat_at": None, "step": 0, "total_steps": 0,
            "training_seconds": 0.0, "environment": None, "result": None, "error": "it broke",
        },
    ],
    "metrics": [{"id": 5, "run_id": "younger", "step": 3, "name": "loss/task", "value": 0.25}],
    "snapshots": [
        {
            "id": 1, "run_id": "younger", "step": 3, "layer": "blocks.0", "kind": "covariance",
            "shape": "[2, 3]", "data": MATRIX.tobytes(),
        }
    ],
    "commands": [
        {
            "id": 2, "run_id": "younger", "kind": "set", "payload": '{"field": "a"}',
            "created_at": 150.0, "state": "applied", "applied_step": 4, "reason": None,
        }
    ],
    "leases": [{"name": "dispatcher", "holder": "x", "heartbeat_at": 100.0, "detail": "{}"}],
}  # fmt: skip


@pytest.fixture(params=["sqlite", "postgresql"])
def version_1(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of a store of version 1 with two runs, numbers, a matrix and a command."""
    ddl, url = VERSION_1, f"sqlite:///{tmp_path / 'old.sqlite'}"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres_url")
        ddl = ddl.replace("id INTEGER NOT NULL, run_id", "id SERIAL NOT NULL, run_id")
        ddl = ddl.replace("BLOB", "BYTEA")
    engine = create_engine(url)
    with engine.begin() as connection:
        for statement in ddl.split(";"):
            if statement.strip():
                connection.exec_driver_sql(statement)
        for table, rows in ROWS.items():
            for row in rows:
                places = ", ".join(f":{name}" for name in row)
                words = f"INSERT INTO {table} ({', '.join(row)}) VALUES ({places})"
                connection.execute(text(words), row)
        if request.param == "postgresql":
            connection.exec_driver_sql("SELECT setval('metrics_id_seq', 5)")
    engine.dispose()
    return url


def test_nothing_of_a_version_1_store_is_lost(version_1: str) -> None:
    store = open_store(version_1)
    run = store.run("younger")
    assert run.config == RunConfig(seed=11)
    assert (run.state, run.step, run.training_seconds) == (RunState.FINISHED, 7, 6.5)
    assert (run.started_at, run.finished_at, run.heartbeat_at) == (201.0, 209.0, 208.0)
    assert run.environment == {"python": "3.11"}
    assert run.result == {"source_accuracy": 0.9}
    assert store.run("older").error == "it broke"
    assert [(m.id, m.step, m.name, m.value) for m in store.metrics("younger")] == [
        (5, 3, "loss/task", 0.25)
    ]
    snapshot = store.latest_snapshot("younger", "blocks.0", "covariance")
    assert snapshot is not None
    np.testing.assert_array_equal(snapshot.values, MATRIX)
    (command,) = store.history("younger")
    assert (command.id, command.kind, command.payload) == (2, CommandKind.SET, {"field": "a"})
    assert (command.token, command.source) == (None, CommandSource.PERSON)
    lease = store.lease("dispatcher")
    assert lease is not None
    assert lease[0] == "x"
    store.close()


def test_a_migrated_store_has_what_a_new_one_has(
    version_1: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    other = f"sqlite:///{tmp_path / 'new.sqlite'}"
    if not version_1.startswith("sqlite"):
        other = request.getfixturevalue("postgres_server").new_database()
    migrated, new = open_store(version_1), open_store(other)
    typed = not version_1.startswith("sqlite")  # SQLite's types are words without a meaning
    for table in schema.metadata.sorted_tables:
        looks = [inspect(store._engine) for store in (migrated, new)]
        columns = [
            {c["name"]: (c["nullable"], typed and str(c["type"])) for c in columns}
            for columns in (look.get_columns(table.name) for look in looks)
        ]
        indexes = [
            {i["name"]: (i["column_names"], i["unique"]) for i in look.get_indexes(table.name)}
            for look in looks
        ]
        assert columns[0] == columns[1]
        assert indexes[0] == indexes[1]
    migrated.close()
    new.close()


def test_a_migrated_store_is_gone_on_with(version_1: str) -> None:
    store = open_store(version_1)
    assert [(run.id, run.number, run.dataset) for run in store.summaries()] == [
        ("younger", 2, RunConfig().data.dataset),
        ("older", 1, RunConfig().data.dataset),
    ]
    store.write_reports("younger", [Report(8, {"loss/task": 0.1}, {})], progress={"step": 8})
    assert [metric.step for metric in store.metrics("younger", after=5)] == [8]
    new = store.run(store.create_run(RunConfig(), owner="ada", tags=["first"]))
    assert (new.number, new.owner, new.tags, new.attempt) == (3, "ada", ["first"], 0)
    store.close()
    again = open_store(version_1)
    assert [run.number for run in again.summaries()] == [3, 2, 1]
    again.close()


# What a store of today has and one of an older version had not, beyond version 1.
SINCE_VERSION_4 = ("DROP TABLE requests",)
SINCE_VERSION_3 = (
    *SINCE_VERSION_4,
    "DROP TABLE positions",
    "ALTER TABLE commands DROP COLUMN joint",
    "ALTER TABLE commands DROP COLUMN offered_step",
)


@pytest.mark.parametrize(("version", "backwards"), [(2, SINCE_VERSION_3), (3, SINCE_VERSION_4)])
def test_a_store_of_a_later_version_learns_what_came_after_it(
    tmp_path: Path, version: int, backwards: tuple[str, ...]
) -> None:
    address = f"sqlite:///{tmp_path / 'later.sqlite'}"
    store = open_store(address)
    run = store.create_run(RunConfig(seed=5), name="kept")
    asked = store.add_command(run, CommandKind.PAUSE, {})
    with store._engine.begin() as connection:
        for words in backwards:
            connection.exec_driver_sql(words)
        connection.exec_driver_sql(f"UPDATE about SET value = '{version}' WHERE key = 'version'")
    store.close()
    again = open_store(address)
    assert again.run(run).name == "kept"
    assert [command.id for command in again.commands(run)] == [asked]
    again.begin_position(run, attempt=0, reached=3, hears=True)
    position = again.position(run)
    assert position is not None
    assert position.reached == 3
    request = again.ask("samples", {}, patience=1.0)
    assert [each.id for each in again.open_requests()] == [request]
    again.close()


def test_many_that_open_an_old_store_at_once_migrate_it_once(version_1: str) -> None:
    errors: list[Exception] = []

    def look() -> None:
        try:
            store = open_store(version_1)
            assert len(store.runs()) == 2
            store.close()
        except (StoreError, AssertionError) as error:
            errors.append(error)

    threads = [threading.Thread(target=look) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


def test_an_old_store_that_is_just_being_written_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "old.sqlite"
    writer = sqlite3.connect(path, check_same_thread=False)
    writer.executescript(VERSION_1)
    writer.execute("BEGIN IMMEDIATE")
    with pytest.raises(sqlite3.OperationalError, match="locked"):  # it does not wait by itself
        sqlite3.connect(path, timeout=5).execute("PRAGMA journal_mode = WAL")
    done = threading.Timer(0.3, writer.rollback)
    done.start()
    store = open_store(f"sqlite:///{path}")
    done.join()
    assert store.runs() == []
    store.close()
    writer.close()
