"""The store: what is written is read back, by cursor, and bad files are refused with a reason."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import create_engine, update

from vcr_core.config import RunConfig
from vcr_core.errors import (
    RunBusyError,
    RunTakenError,
    StoreError,
    UnknownRunError,
    UnknownStudyError,
)
from vcr_core.store import (
    CommandKind,
    CommandSource,
    Report,
    Role,
    RunState,
    Store,
    open_store,
    schema,
)

PROGRESS = {"step": 1, "training_seconds": 0.5}


def together(work: Callable[[], None], count: int) -> None:
    """The same work in several threads at once."""
    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


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


def test_a_run_comes_with_its_twin_baseline_first(store: Store) -> None:
    baseline, regularized = store.create_pair(RunConfig())
    single = store.create_run(RunConfig())
    store.delete_runs([baseline])
    for asked in (baseline, regularized):
        assert [run.id for run in store.with_twin(asked)] == [baseline, regularized]
    assert [run.id for run in store.with_twin(single)] == [single]
    with pytest.raises(UnknownRunError, match="no-such-run"):
        store.with_twin("no-such-run")


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

    together(grab, 8)
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


def test_a_run_keeps_what_it_was_made_with(store: Store) -> None:
    parent = store.create_run(RunConfig())
    run = store.run(
        store.create_run(
            RunConfig(),
            owner="ada",
            name="first try",
            tags=["a", "b"],
            study_id="s1",
            trial=3,
            parent_id=parent,
            parent_step=40,
            auto_resume=True,
        )
    )
    assert (run.owner, run.name, run.tags, run.study_id, run.trial) == (
        "ada",
        "first try",
        ["a", "b"],
        "s1",
        3,
    )
    assert (run.parent_id, run.parent_step, run.auto_resume) == (parent, 40, True)
    assert [found.id for found in store.runs(owner="ada")] == [run.id]
    assert [found.id for found in store.runs(study_id="s1")] == [run.id]
    assert store.count_runs() == 2
    assert store.count_runs(owner="ada", states=[RunState.FINISHED]) == 0


def test_a_summary_is_the_run_without_its_configuration(store: Store) -> None:
    run_id = store.create_run(RunConfig(), owner="ada")
    store.update_run(run_id, result={"source_accuracy": 0.5}, error="no\x00thing")
    (summary,) = store.summaries()
    run = store.run(run_id)
    assert run.error == "nothing"
    for field in fields(summary):
        assert getattr(summary, field.name) == getattr(run, field.name)


def test_results_that_are_not_finite_are_kept_as_missing(store: Store) -> None:
    run_id = store.create_run(RunConfig())
    store.update_run(run_id, result={"a": float("nan"), "b": [1.0, float("inf")]})
    assert store.run(run_id).result == {"a": None, "b": [1.0, None]}


def test_runs_are_listed_by_number_when_the_clock_is_set_back(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = store.create_run(RunConfig())
    monkeypatch.setattr("time.time", lambda: 1000.0)
    second = store.create_run(RunConfig())
    assert [run.id for run in store.runs()] == [second, first]
    assert store.queue() == [first, second]


def test_a_command_with_a_known_token_is_the_first_one_again(store: Store) -> None:
    run_id, other = store.create_run(RunConfig()), store.create_run(RunConfig())
    first = store.add_command(run_id, CommandKind.PAUSE, token="click-1")
    assert store.add_command(run_id, CommandKind.PAUSE, token="click-1") == first
    assert store.add_command(run_id, CommandKind.RESUME, token="click-2") != first
    assert store.add_command(other, CommandKind.PAUSE, token="click-1") != first
    store.add_command(run_id, CommandKind.STOP, source=CommandSource.RUN)
    store.add_command(run_id, CommandKind.STOP)
    found = store.commands(run_id)
    assert [command.token for command in found] == ["click-1", "click-2", None, None]
    assert [command.source for command in found].count(CommandSource.RUN) == 1


def test_a_command_that_is_sent_many_times_at_once_counts_once(store: Store) -> None:
    run_id = store.create_run(RunConfig())
    ids: list[int] = []

    def click() -> None:
        ids.append(store.add_command(run_id, CommandKind.PAUSE, token="click"))

    together(click, 8)
    assert len(set(ids)) == 1
    assert len(store.commands(run_id)) == 1


def test_the_history_is_what_was_applied_in_order_of_steps(store: Store) -> None:
    run_id = store.create_run(RunConfig())
    late, early, refused = (store.add_command(run_id, CommandKind.SET) for _ in range(3))
    store.settle_command(late, applied_step=9)
    store.settle_command(early, applied_step=2)
    store.settle_command(refused, applied_step=None, reason="no such field")
    assert [command.id for command in store.history(run_id)] == [early, late]


def test_commands_and_numbers_for_an_unknown_run_are_refused(store: Store) -> None:
    with pytest.raises(UnknownRunError, match="got 'nobody'"):
        store.add_command("nobody", CommandKind.STOP)
    with pytest.raises(UnknownRunError, match="got 'nobody'"):
        store.write_reports("nobody", [Report(1, {"loss/task": 1.0}, {})], progress={})
    with pytest.raises(UnknownRunError, match="got 'nobody'"):
        store.update_run("nobody", step=1)


def test_owners_take_turns_in_the_queue(store: Store) -> None:
    ada = [store.create_run(RunConfig(), owner="ada") for _ in range(3)]
    bob = [store.create_run(RunConfig(), owner="bob") for _ in range(2)]
    assert store.queue() == [ada[0], bob[0], ada[1], bob[1], ada[2]]
    assert [store.queue_position(run_id) for run_id in ada] == [1, 3, 5]
    assert store.move_run(ada[0], before=RunState.QUEUED, after=RunState.STARTING)
    assert store.queue() == [bob[0], ada[1], bob[1], ada[2]]
    assert store.queue_position(ada[0]) is None


def test_each_start_of_a_run_is_an_attempt_and_an_old_one_may_not_write(store: Store) -> None:
    run_id = store.create_run(RunConfig())
    assert store.move_run(run_id, before=RunState.QUEUED, after=RunState.STARTING)
    assert store.run(run_id).attempt == 1
    report = [Report(1, {"loss/task": 1.0}, {})]
    store.write_reports(run_id, report, progress=PROGRESS, attempt=1)
    assert store.move_run(run_id, before=RunState.STARTING, after=RunState.INTERRUPTED)
    assert store.move_run(run_id, before=RunState.INTERRUPTED, after=RunState.STARTING)
    with pytest.raises(RunTakenError, match=r"attempt 2, this was 1"):
        store.write_reports(run_id, report, progress={"step": 99}, attempt=1)
    with pytest.raises(RunTakenError, match="writes nothing more"):
        store.update_run(run_id, step=99, attempt=1)
    assert store.run(run_id).step == 1
    assert len(store.metrics(run_id)) == 1
    store.update_run(run_id, step=2, attempt=2)
    assert store.run(run_id).step == 2


def test_a_deleted_run_is_hidden_until_it_is_restored_or_purged(store: Store) -> None:
    run_id, other = store.create_run(RunConfig()), store.create_run(RunConfig())
    store.write_reports(run_id, [Report(1, {"loss/task": 1.0}, {})], progress={})
    store.delete_run(run_id)
    assert [run.id for run in store.runs()] == [other]
    assert store.queue() == [other]
    assert not store.move_run(run_id, before=RunState.QUEUED, after=RunState.STARTING)
    assert len(store.summaries(include_deleted=True)) == 2
    store.restore_run(run_id)
    assert store.queue() == [run_id, other]
    store.delete_run(run_id)
    assert store.purge(older_than=3600) == []
    assert store.purge() == [run_id]
    with pytest.raises(UnknownRunError):
        store.run(run_id)
    assert store.metrics(run_id) == []


def test_a_run_in_work_is_not_deleted(store: Store) -> None:
    run_id = store.create_run(RunConfig(), state=RunState.RUNNING)
    with pytest.raises(RunBusyError, match=f"run {run_id} is running: stop it first"):
        store.delete_run(run_id)
    assert store.run(run_id).deleted_at is None


def test_studies_are_kept_with_what_they_found(store: Store) -> None:
    study_id = store.create_study("weights", {"grid": [1, 2]})
    assert store.study(study_id).spec == {"grid": [1, 2]}
    store.update_study(study_id, state="finished", result={"best": 2})
    (study,) = store.studies()
    assert (study.state, study.result) == ("finished", {"best": 2})
    with pytest.raises(UnknownStudyError, match="got 'none'"):
        store.study("none")
    with pytest.raises(UnknownStudyError, match="got 'none'"):
        store.update_study("none", state="finished")


def test_a_reader_misses_nothing_while_many_write_to_one_run(store: Store) -> None:
    """Ids of transactions that overlap are given out in one order and seen in another."""
    run_id = store.create_run(RunConfig())
    writers, rounds, each = 6, 8, 20

    def write() -> None:
        for step in range(rounds):
            numbers = {f"{threading.get_ident()}/{name}": float(name) for name in range(each)}
            store.write_reports(run_id, [Report(step, numbers, {})], progress={})
            store.add_command(run_id, CommandKind.SET)

    threads = [threading.Thread(target=write) for _ in range(writers)]
    for thread in threads:
        thread.start()
    seen: list[int] = []
    asked: list[int] = []
    running = True
    while running:
        running = any(thread.is_alive() for thread in threads)
        seen += [metric.id for metric in store.metrics(run_id, after=seen[-1] if seen else 0)]
        asked += [c.id for c in store.commands(run_id, after=asked[-1] if asked else 0)]
    assert len(seen) == writers * rounds * each
    assert len(asked) == writers * rounds


def test_sqlite_stores_use_a_write_ahead_log(sqlite_store: Store, lab_home: Path) -> None:
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

    together(create, 6)
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


def test_a_read_only_store_is_refused(sqlite_store: Store, lab_home: Path) -> None:
    sqlite_store.close()
    path = lab_home / "runs.sqlite"
    with pytest.raises(StoreError, match="the file is read-only"):
        open_store(f"sqlite:///file:{path}?mode=ro&uri=true")
