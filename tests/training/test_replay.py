"""A run repeats itself: by replay, as a script, and on from a checkpoint with other weights."""

from __future__ import annotations

import runpy
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from sqlalchemy import update
from typer.testing import CliRunner

from vcr_core.cli import app as command_line
from vcr_core.config import RunConfig, get_value, override
from vcr_core.errors import CheckpointError, ConfigError, RunBusyError
from vcr_core.execution import channel
from vcr_core.execution.runner import execute
from vcr_core.store import CommandKind, RunState, Store, schema
from vcr_core.training.checkpoint import Folder
from vcr_core.training.fork import fork
from vcr_core.training.moves import Life, live_after, moves_in_words, parse_moves
from vcr_core.training.replay import replay
from vcr_core.training.script import command_line_of, script_of

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


def numbers(store: Store, run_id: str) -> dict[tuple[int, str], float | None]:
    return {(row.step, row.name): row.value for row in store.metrics(run_id)}


def carry_on(store: Store, run_id: str) -> None:
    assert store.move_run(run_id, before=RunState.QUEUED, after=RunState.STARTING)
    execute(store, run_id)


@pytest.mark.parametrize(("step", "begins"), [(9, 6), (3, 0)], ids=["checkpoint", "anew"])
def test_a_fork_between_checkpoints_repeats_its_parent_up_to_that_very_step(
    store: Store, done: str, step: int, begins: int
) -> None:
    """At 4 and 8 the parent was turned; the fork is turned where it leaves it, and not before."""
    child = fork(store, done, {VARIANCE: 0.0, "training.epochs": 4}, step=step)
    assert store.run(child).parent_step == begins
    assert {each.state for each in store.commands(child)} == {"planned"}
    carry_on(store, child)
    parent, mine = numbers(store, done), numbers(store, child)
    until = {key: value for key, value in mine.items() if key[0] <= step and "loss/" in key[1]}
    assert until
    assert until == {key: parent[key] for key in until}
    weights = {
        s: value for (s, name), value in mine.items() if name == "regularizer/variance_weight"
    }
    assert (weights[step], weights[step + 1]) == (parent[step, "regularizer/variance_weight"], 0.0)
    assert store.run(child).step == 40
    turned = [(c.payload.get("field"), c.applied_step) for c in store.history(child)]
    assert (VARIANCE, step) in turned
    assert replay(store, child).first == ""


def test_a_fork_has_a_script_and_a_command_line_that_give_its_numbers(
    store: Store, done: str, tmp_path: Path
) -> None:
    """Both begin where the run that it goes on from began."""
    child = fork(store, done, {"regularizer.covariance_factors.blocks.1": 3.0}, step=9)
    carry_on(store, child)
    result = store.run(child).result
    for whole in (True, False):
        file = tmp_path / "again.py"
        file.write_text(script_of(store, child, whole=whole), encoding="utf-8")
        evaluation = runpy.run_path(str(file))["evaluation"]
        assert evaluation.summary().items() <= result.items()
    line = command_line_of(store, child)
    assert "--move 9:regularizer.covariance_factors=blocks.1=3" in line
    program, *words = shlex.split(line)
    assert program == "vcr-lab"
    assert CliRunner().invoke(command_line, words).exit_code == 0
    again = next(run for run in store.runs() if run.id not in {child, done})
    mine, theirs = numbers(store, child), numbers(store, again.id)
    losses = {key: value for key, value in mine.items() if key[1] == "loss/task"}
    assert losses == {key: theirs[key] for key in losses}
    assert {**again.result, "seconds": 0} == {**result, "seconds": 0}


def test_moves_survive_being_written_down(small_config: RunConfig) -> None:
    texts = [
        "4:regularizer.variance_factors.blocks.0=0.1",
        "7:regularizer.threshold=none",
        "9:training.epochs=5",
        "12:stop",
    ]
    life = Life(small_config, parse_moves(reversed(texts), small_config))
    assert moves_in_words(life) == texts
    live = live_after(life.config, life.moves)
    assert live.training.epochs == 5
    assert live.layer_factors["blocks.0"] == (0.1, 1.0)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("stop", "expected step:setting=value or step:stop, got 'stop'"),
        ("-3:stop", "got '-3:stop'"),
        ("3:", "got '3:'"),
        ("3:seed=4", r"seed: cannot change while a run trains; .*training\.epochs can"),
        ("3:regularizer.variance_weight=-1", "expected 0 or more, got '-1'"),
        ("3:training.epochs=2", "expected more than 2, got 2"),
    ],
)
def test_a_move_that_cannot_be_says_what_can(small_config: RunConfig, text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        parse_moves([text], small_config)


def test_what_is_planned_for_later_lets_what_is_asked_now_through(
    store: Store, small_config: RunConfig
) -> None:
    run_id = store.create_run(small_config, state=RunState.RUNNING)
    late, soon = ((CommandKind.SET, {"field": VARIANCE, "value": each}) for each in (1.0, 2.0))
    store.plan_commands(run_id, [(9, *late), (5, *soon)])
    hears = channel.StoreChannel(store, store.run(run_id))
    store.add_command(run_id, CommandKind.SNAPSHOT)
    assert [each.kind for each in hears.commands(4)] == [CommandKind.SNAPSHOT]
    (planned,) = hears.commands(5)
    assert planned.payload["value"] == 2.0
    hears.settle(planned, step=5)
    states = {each.payload.get("value"): each.state for each in store.commands(run_id)}
    assert (states[2.0], states[1.0]) == ("applied", "planned")
    again = channel.StoreChannel(store, store.run(run_id), from_step=3, after=planned.id + 9)
    assert [each.id for each in again.commands(5)] == [planned.id]
    store.end_run(run_id, RunState.STOPPED, attempt=store.run(run_id).attempt)
    assert store.commands(run_id)[0].reason == "the run ended before this could be done"


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
        ({}, 27, (ConfigError, r"expected a step from 0 to the 26 that run .* has done, got 27")),
        ({}, -1, (ConfigError, "got -1")),
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
