"""A run repeats itself: by replay, as a script, and on from a checkpoint with other weights."""

from __future__ import annotations

import runpy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from sqlalchemy import update

from vcr_core.config import RunConfig, get_value, override
from vcr_core.errors import CheckpointError, ConfigError, RunBusyError
from vcr_core.execution import channel
from vcr_core.execution.runner import execute
from vcr_core.store import CommandKind, RunState, Store, schema
from vcr_core.training.checkpoint import Folder
from vcr_core.training.fork import fork
from vcr_core.training.replay import replay
from vcr_core.training.script import script_of

VARIANCE = "regularizer.variance_weight"
MOVES: Mapping[int, tuple[CommandKind, dict[str, Any]]] = {
    4: (CommandKind.SET, {"field": VARIANCE, "value": 5.0}),
    6: (CommandKind.SNAPSHOT, {}),
    8: (CommandKind.SET, {"field": "model.dropout", "value": 0.3}),
    10: (CommandKind.EXTEND, {"epochs": 1}),
    26: (CommandKind.STOP, {}),
}


@pytest.fixture
def done(store: Store, small_config: RunConfig, monkeypatch: pytest.MonkeyPatch) -> str:
    """A run that was turned, extended and stopped."""
    monkeypatch.setattr(channel, "POLL_SECONDS", 0.0)
    changes = {"optimizer.schedule": "cosine", "execution.threads": 1}
    run_id = store.create_run(override(small_config, changes), state=RunState.STARTING)
    left = dict(MOVES)

    def ask(step: int, _total: int, _numbers: Mapping[str, float]) -> None:
        if step in left:
            store.add_command(run_id, *left.pop(step))

    outcome = execute(store, run_id, on_progress=ask)
    assert (outcome.state, outcome.step) == (RunState.STOPPED, 26)
    return run_id


def test_a_replay_finds_every_number_again(store: Store, done: str) -> None:
    found = replay(store, done)
    assert found.identical, found.first
    assert found.numbers == len(store.metrics(done)) > 300
    assert found.matrices == len(store.snapshots(done)) > 0
    assert found.environment == {}
    assert store.run(done).state is RunState.STOPPED


def test_a_replay_names_the_first_difference_and_the_environment(store: Store, done: str) -> None:
    changed = next(row for row in store.metrics(done, names=["loss/task"]) if row.step == 9)
    with store._engine.begin() as connection:
        connection.execute(
            update(schema.metrics).where(schema.metrics.c.id == changed.id).values(value=0.5)
        )
    environment = {**store.run(done).environment, "torch": "2.11.0"}
    store.update_run(done, environment=environment)
    found = replay(store, done)
    assert found.first == f"step 9: loss/task was 0.5, now {changed.value!r}"
    assert found.environment == {"torch": ("2.11.0", str(torch.__version__))}


def test_a_replay_notices_a_number_that_does_not_come_again(store: Store, done: str) -> None:
    execute_sql = update(schema.metrics).where(
        schema.metrics.c.run_id == done, schema.metrics.c.name == "loss/task"
    )
    with store._engine.begin() as connection:
        connection.execute(execute_sql.values(name="loss/other"))
    assert "loss/task is new" in replay(store, done).first


def test_a_run_in_work_is_not_replayed(store: Store, small_config: RunConfig) -> None:
    for state in (RunState.RUNNING, RunState.QUEUED):
        with pytest.raises(RunBusyError, match=f"is {state.value}"):
            replay(store, store.create_run(small_config, state=state))


def test_the_script_of_a_run_gives_its_numbers(store: Store, done: str, tmp_path: Path) -> None:
    file = tmp_path / "again.py"
    file.write_text(script_of(store, done), encoding="utf-8")
    assert "vcr_core.store" not in file.read_text(encoding="utf-8")
    names = runpy.run_path(str(file))
    again = {
        (report.step, name): value
        for report in names["recorder"].reports
        for name, value in report.metrics.items()
    }
    assert again == {(row.step, row.name): row.value for row in store.metrics(done)}


def test_a_fork_goes_on_from_a_checkpoint_with_other_weights(store: Store, done: str) -> None:
    step = Folder.of(store.run(done)).steps()[0]
    child = fork(store, done, {VARIANCE: 0.0}, step=step)
    run = store.run(child)
    assert (run.parent_id, run.parent_step, run.state) == (done, step, RunState.QUEUED)
    assert get_value(run.config, VARIANCE) == 0.0
    assert store.move_run(child, before=RunState.QUEUED, after=RunState.STARTING)
    execute(store, child)
    rows = store.metrics(child, names=["regularizer/variance_weight"])
    assert {row.value for row in rows} == {0.0}
    assert min(row.step for row in rows) == step + 1
    assert store.run(child).state is RunState.FINISHED
    assert replay(store, child).first == ""


def test_a_fork_that_changes_nothing_repeats_its_parent(store: Store, done: str) -> None:
    """Up to where the parent was turned again."""
    step = Folder.of(store.run(done)).steps()[0]
    child = fork(store, done, {}, step=step)
    store.move_run(child, before=RunState.QUEUED, after=RunState.STARTING)
    execute(store, child)
    theirs = {(row.step, row.name): row.value for row in store.metrics(done)}
    mine = {(row.step, row.name): row.value for row in store.metrics(child)}
    assert mine[step + 1, "loss/task"] == theirs[step + 1, "loss/task"]


def test_a_finished_run_is_forked_to_train_for_longer(store: Store, done: str) -> None:
    child = fork(store, done, {"training.epochs": 4, "optimizer.weight_decay": 0.5})
    store.move_run(child, before=RunState.QUEUED, after=RunState.STARTING)
    outcome = execute(store, child)
    assert (outcome.step, outcome.state) == (40, RunState.FINISHED)


@pytest.mark.parametrize(
    ("changes", "step", "refusal"),
    [
        ({"model.hidden": "12,12"}, None, (ConfigError, r"model\.hidden: cannot change within")),
        ({"no.such": 1}, None, (ConfigError, r"no\.such: no setting has this name")),
        ({VARIANCE: -1}, None, (ConfigError, "expected 0 or more")),
        ({"training.epochs": 1}, None, (ConfigError, r"training\.epochs: expected 3 or more")),
        ({}, 5, (CheckpointError, r"expected the step of a checkpoint .* got 5")),
    ],
)
def test_a_fork_that_cannot_be_is_refused_and_nothing_is_made(
    store: Store, done: str, changes: dict[str, Any], step: int | None, refusal: tuple[Any, str]
) -> None:
    with pytest.raises(refusal[0], match=refusal[1]):
        fork(store, done, changes, step=step)
    assert [run.id for run in store.runs()] == [done]


def test_a_run_without_a_checkpoint_is_not_forked(store: Store, small_config: RunConfig) -> None:
    with pytest.raises(CheckpointError, match="has no checkpoint to fork from"):
        fork(store, store.create_run(small_config), {})
