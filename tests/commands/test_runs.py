"""``vcr-lab stop | resume | fork | replay | export --script``: what they change and what not."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from vcr_core.cli import app
from vcr_core.config import RunConfig, override
from vcr_core.errors import RunOverError, UnknownRunError, VcrLabError
from vcr_core.execution.runner import execute
from vcr_core.store import CommandKind, RunState, Store

TINY = {
    "data.dataset": "digits",
    "data.source": "parity",
    "transfer.targets": ("digit",),
    "model.name": "mlp",
    "model.hidden": (12, 8),
    "training.epochs": 1,
    "transfer.probes": 1,
    "transfer.train_size": 300,
    "execution.device": "cpu",
    "execution.threads": 1,
}


@pytest.fixture(autouse=True)
def no_dispatcher(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is queued stays queued."""
    monkeypatch.setattr("vcr_core.execution.ensure_dispatcher", lambda *_, **__: None)


@pytest.fixture
def config() -> RunConfig:
    return override(RunConfig(), TINY)


@pytest.fixture
def finished(store: Store, config: RunConfig) -> str:
    run_id = store.create_run(config, state=RunState.STARTING)
    execute(store, run_id)
    return run_id


def say(*words: str) -> Any:
    done = CliRunner().invoke(app, [*words, "--json"])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return json.loads(done.stdout)


def test_stop_asks_a_run_in_work_and_ends_one_that_waits(store: Store, config: RunConfig) -> None:
    running = store.create_run(config, state=RunState.RUNNING)
    assert say("stop", running) == {"run": running, "state": "running"}
    assert [command.kind for command in store.commands(running)] == [CommandKind.STOP]
    for state in (RunState.QUEUED, RunState.INTERRUPTED):
        waiting = store.create_run(config, state=state)
        assert say("stop", waiting)["state"] == "stopped"
        assert store.run(waiting).finished_at is not None


def test_resume_queues_an_interrupted_run_and_wakes_a_paused_one(
    store: Store, config: RunConfig
) -> None:
    interrupted = store.create_run(config, state=RunState.INTERRUPTED)
    assert say("resume", interrupted)["state"] == "queued"
    paused = store.create_run(config, state=RunState.PAUSED)
    assert say("resume", paused)["state"] == "paused"
    assert [command.kind for command in store.commands(paused)] == [CommandKind.RESUME]


def test_fork_replay_and_script_of_a_finished_run(
    store: Store, finished: str, tmp_path: Path
) -> None:
    forked = say("fork", finished, "--set", "training.epochs=2")
    assert forked["parent"] == finished
    assert store.run(forked["run"]).config.training.epochs == 2
    replayed = say("replay", finished)
    assert replayed["identical"] is True
    assert replayed["first_difference"] is None
    file = tmp_path / "again.py"
    assert say("export", finished, "--script", str(file))["file"] == str(file)
    assert f"Repeats run {finished}" in file.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["stop"], RunOverError),
        (["resume"], RunOverError),
        (["fork"], VcrLabError),
        (["fork", "--step", "300"], VcrLabError),
    ],
)
def test_what_cannot_be_done_with_a_finished_run_changes_nothing(
    store: Store, finished: str, words: Sequence[str], error: type[Exception]
) -> None:
    before = store.run(finished)
    with pytest.raises(error):
        say(words[0], finished, *words[1:])
    assert store.run(finished) == before
    assert store.commands(finished) == []
    assert len(store.runs()) == 1


@pytest.mark.parametrize("command", ["stop", "resume", "fork", "replay"])
def test_an_unknown_run_is_named(store: Store, command: str) -> None:
    with pytest.raises(UnknownRunError, match="got 'nobody'"):
        say(command, "nobody")


def test_a_command_that_comes_after_the_end_is_refused(store: Store, finished: str) -> None:
    store.add_command(finished, CommandKind.PAUSE)
    (command,) = store.commands(finished)
    assert (command.state, command.reason) == ("refused", "the run is over: finished")
