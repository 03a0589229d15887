"""The store: what is written is read back, by cursor, and bad files are refused with a reason."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import create_engine, update

from vcr_core.config import RunConfig
from vcr_core.errors import StoreError, UnknownRunError
from vcr_core.store import CommandKind, Report, Role, RunState, Store, open_store, schema

PROGRESS = {"step": 1, "training_seconds": 0.5}


def test_a_run_is_read_back_as_it_was_stored(store: Store) -> None:
    config = RunConfig(seed=7)
    run = store.run(store.create_run(config, preset="sprites-shape"))
    assert run.config == config
    assert run.state is RunState.QUEUED
    assert run.role is Role.SINGLE


def test_twins_share_everything_but_the_weights(store: Store) -> None:
    baseline, regularized = (store.run(run_id) for run_id in store.create_pair(RunConfig(seed=3)))
    assert baseline.pair_id == regularized.pair_id
    assert baseline.config == regularized.config.baseline()
    assert {run.id for run in store.runs(pair_id=baseline.pair_id)} == {
        baseline.id,
        regularized.id,
    }


def test_a_reader_gets_only_what_came_after_its_cursor(store: Store) -> None:
    run_id = store.create_run(RunConfig())
    store.write_reports(run_id, [Report(1, {"loss/task": 2.0}, {})], progress=PROGRESS)
    first = store.metrics(run_id)
    assert [(metric.step, metric.value) for metric in first] == [(1, 2.0)]
    store.write_reports(run_id, [Report(2, {"loss/task": 1.0}, {})], progress=PROGRESS)
    later = store.metrics(run_id, after=first[-1].id)
    assert [(metric.step, metric.value) for metric in later] == [(2, 1.0)]
    assert store.metrics(run_id, after=later[-1].id) == []


def test_numbers_that_are_not_finite_are_kept_as_missing(store: Store) -> None:
    run_id = store.create_run(RunConfig())
    store.write_reports(run_id, [Report(1, {"loss/task": float("nan")}, {})], progress=PROGRESS)
    assert store.metrics(run_id)[0].value is None


def test_a_matrix_is_read_back_exactly(store: Store) -> None:
    run_id = store.create_run(RunConfig())
    matrix = np.random.default_rng(0).normal(size=(5, 7)).astype(np.float32)
    store.write_reports(
        run_id, [Report(4, {}, {("layer1.0", "covariance"): matrix})], progress=PROGRESS
    )
    snapshot = store.latest_snapshot(run_id, "layer1.0", "covariance")
    assert snapshot is not None
    assert snapshot.step == 4
    np.testing.assert_array_equal(snapshot.values, matrix)
    assert store.latest_snapshot(run_id, "layer1.0", "covariance", after=snapshot.id) is None
    assert store.snapshot_steps(run_id, "layer1.0", "covariance") == [4]


def test_arrays_are_read_by_kind_layer_step_and_cursor(store: Store) -> None:
    run_id = store.create_run(RunConfig())
    values = np.ones(2, dtype=np.float32)
    keys = [(layer, kind) for layer in ("a", "b") for kind in ("std", "spectrum")]
    for step in (1, 5, 9):
        store.write_reports(run_id, [Report(step, {}, dict.fromkeys(keys, values))], progress={})

    def found(**wanted: Any) -> list[tuple[int, str]]:
        return [(s.step, s.layer) for s in store.snapshots(run_id, kinds=["std"], **wanted)]

    assert found() == [(step, layer) for step in (1, 5, 9) for layer in ("a", "b")]
    assert found(layers=["b"], steps=[1, 9]) == [(1, "b"), (9, "b")]
    newest = store.snapshots(run_id, kinds=["std"])[-1].id
    assert found(after=newest) == []


def test_commands_come_in_order_and_are_settled(store: Store) -> None:
    run_id = store.create_run(RunConfig())
    payload = {"field": "regularizer.variance_weight", "value": 3.0}
    set_id = store.add_command(run_id, CommandKind.SET, payload)
    pause_id = store.add_command(run_id, CommandKind.PAUSE)
    assert [command.id for command in store.commands(run_id)] == [set_id, pause_id]
    store.settle_command(set_id, applied_step=12)
    store.settle_command(pause_id, applied_step=13, reason="because")
    settled = store.commands(run_id)
    assert (settled[0].state, settled[0].applied_step) == ("applied", 12)
    assert (settled[1].state, settled[1].reason) == ("refused", "because")
    assert store.commands(run_id, state="requested") == []


def test_only_one_of_many_gets_a_queued_run(store: Store) -> None:
    run_id = store.create_run(RunConfig())
    won: list[bool] = []

    def grab() -> None:
        won.append(store.move_run(run_id, before=RunState.QUEUED, after=RunState.STARTING))

    threads = [threading.Thread(target=grab) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(won) == [False] * 7 + [True]


def test_a_lease_has_one_holder_until_it_falls_silent(store: Store) -> None:
    assert store.hold_lease("dispatcher", "a", patience=60)
    assert store.hold_lease("dispatcher", "a", patience=60)
    assert not store.hold_lease("dispatcher", "b", patience=60)
    assert store.hold_lease("dispatcher", "b", patience=-1)
    store.release_lease("dispatcher", "a")
    assert store.lease("dispatcher") is not None
    store.release_lease("dispatcher", "b")
    assert store.lease("dispatcher") is None


def test_an_unknown_run_is_named(store: Store) -> None:
    with pytest.raises(UnknownRunError, match="got 'nobody'"):
        store.run("nobody")


def test_sqlite_stores_use_a_write_ahead_log(store: Store, lab_home: Path) -> None:
    with sqlite3.connect(lab_home / "runs.sqlite") as connection:
        mode = connection.execute("PRAGMA journal_mode").fetchone()[0]
    connection.close()
    assert mode == "wal"


def test_stores_that_are_created_at_the_same_moment_all_open(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'shared.sqlite'}"
    errors: list[Exception] = []

    def create() -> None:
        try:
            open_store(url).close()
        except StoreError as error:
            errors.append(error)

    threads = [threading.Thread(target=create) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "thesis.txt"
    path.write_text("ten years of work " * 100)
    with pytest.raises(StoreError, match=r"thesis\.txt: the file is not a database"):
        open_store(f"sqlite:///{path}")
    assert path.read_text() == "ten years of work " * 100


def test_somebody_elses_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "shop.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE customers (name TEXT)")
    connection.close()
    with pytest.raises(StoreError, match=r"found a database with other tables \(customers\)"):
        open_store(f"sqlite:///{path}")
    with sqlite3.connect(path) as connection:
        tables = connection.execute("SELECT name FROM sqlite_master").fetchall()
    connection.close()
    assert tables == [("customers",)]


def test_a_store_of_a_newer_version_is_refused(store: Store) -> None:
    engine = create_engine(store.url)
    with engine.begin() as connection:
        connection.execute(
            update(schema.about).where(schema.about.c.key == "version").values(value="999")
        )
    engine.dispose()
    with pytest.raises(StoreError, match=r"has version 999, .*update VCR Lab"):
        open_store(store.url)


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="does its folder exist"):
        open_store(f"sqlite:///{tmp_path / 'missing' / 'runs.sqlite'}")


def test_a_read_only_store_is_refused(store: Store, lab_home: Path) -> None:
    store.close()
    path = lab_home / "runs.sqlite"
    with pytest.raises(StoreError, match="the file is read-only"):
        open_store(f"sqlite:///file:{path}?mode=ro&uri=true")
