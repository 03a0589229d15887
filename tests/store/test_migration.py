"""Stores of older versions: what stood in them is there after opening, and can be gone on with."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import inspect

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


@pytest.fixture
def version_1(tmp_path: Path) -> str:
    """The address of a store of version 1 with two runs, numbers, a matrix and a command."""
    path = tmp_path / "old.sqlite"
    connection = sqlite3.connect(path)
    connection.executescript(VERSION_1)
    config = json.dumps(RunConfig(seed=11).model_dump(mode="json"))
    runs: Sequence[tuple[Any, ...]] = [
        ("younger", None, "single", "digits-parity", config, "finished", 200.0, 201.0, 209.0,
         208.0, 7, 7, 6.5, '{"python": "3.11"}', '{"source_accuracy": 0.9}', None),
        ("older", "pair", "baseline", "sprites-shape", config, "failed", 100.0, None, None,
         None, 0, 0, 0.0, None, None, "it broke"),
    ]  # fmt: skip
    connection.executemany(f"INSERT INTO runs VALUES ({','.join('?' * 16)})", runs)
    connection.execute("INSERT INTO metrics VALUES (5, 'younger', 3, 'loss/task', 0.25)")
    connection.execute(
        "INSERT INTO snapshots VALUES (1, 'younger', 3, 'blocks.0', 'covariance', '[2, 3]', ?)",
        (MATRIX.tobytes(),),
    )
    connection.execute(
        "INSERT INTO commands VALUES (2, 'younger', 'set', '{\"field\": \"a\"}', 150.0, 'applied',"
        " 4, NULL)"
    )
    connection.execute("INSERT INTO leases VALUES ('dispatcher', 'x', 100.0, '{}')")
    connection.commit()
    connection.close()
    return f"sqlite:///{path}"


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


def test_a_migrated_store_has_what_a_new_one_has(version_1: str, tmp_path: Path) -> None:
    migrated, new = open_store(version_1), open_store(f"sqlite:///{tmp_path / 'new.sqlite'}")
    for table in schema.metadata.sorted_tables:
        looks = [inspect(store._engine) for store in (migrated, new)]
        columns = [
            {c["name"]: c["nullable"] for c in look.get_columns(table.name)} for look in looks
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
