"""A run that was cut off and goes on gives the numbers of a run that never was."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from training_helpers import Listener

from vcr_core.config import RunConfig, override
from vcr_core.errors import CheckpointError, RunTakenError
from vcr_core.execution import channel
from vcr_core.execution.runner import execute
from vcr_core.store import CommandKind, RunState, Store
from vcr_core.training import keeper
from vcr_core.training.checkpoint import Folder
from vcr_core.training.experiment import prepare
from vcr_core.training.loop import Trainer

Moves = Mapping[int, tuple[CommandKind, dict[str, Any]]]
MOVES: Moves = {
    3: (CommandKind.SET, {"field": "regularizer.variance_weight", "value": 4.0}),
    7: (CommandKind.SET, {"field": "model.dropout", "value": 0.4}),
    9: (CommandKind.EXTEND, {"epochs": 1}),
    12: (CommandKind.SET, {"field": "optimizer.weight_decay", "value": 0.1}),
    14: (CommandKind.SNAPSHOT, {}),
    16: (CommandKind.STEP, {"n": 2}),
}
#: All parts of a recipe that a checkpoint has to carry.
RECIPE: Mapping[str, Any] = {
    "training.averaging": 0.9,
    "training.precision": "bfloat16",
    "training.repeats": 2,
    "augmentation.crop_padding": 1,
    "augmentation.erasing": 0.3,
    "objective.mixup": 0.2,
    "objective.cutmix": 1.0,
    "optimizer.warmup": 0.3,
    "optimizer.norm_decay": False,
    "optimizer.clip": 1.0,
}
MODELS: Mapping[str, Mapping[str, Any]] = {
    "mlp": {},
    "recipe": RECIPE,
    "resnet": {
        "data.dataset": "sprites",
        "data.source": "shape",
        "data.train_size": 260,
        "data.test_size": 60,
        "model.name": "small-resnet",
        "model.width": 4,
        "transfer.targets": ("colour",),
        "training.batch_size": 26,
    },
}


class Crash(BaseException):
    """Stands for a process that is gone without a word."""


@pytest.fixture(autouse=True)
def one_thread_and_quick_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.set_num_threads(1)
    monkeypatch.setattr(channel, "POLL_SECONDS", 0.0)


@pytest.fixture
def config(small_config: RunConfig, request: pytest.FixtureRequest) -> RunConfig:
    changes = {
        "model.dropout": 0.2,
        "optimizer.schedule": "cosine",
        "telemetry.reports": 20,
        "execution.threads": 1,
    }
    return override(small_config, changes | dict(getattr(request, "param", {})))


def begin(store: Store, config: RunConfig) -> str:
    run_id = store.create_run(config)
    give(store, run_id, RunState.QUEUED)
    return run_id


def give(store: Store, run_id: str, before: RunState) -> None:
    assert store.move_run(run_id, before=before, after=RunState.STARTING)


def ask_at(store: Store, run_id: str, moves: Moves, then: Callable[[int], None]) -> Any:
    """A listener to progress that asks for things once steps are reached, and then calls."""
    left = dict(moves)

    def hear(step: int, _total: int, _numbers: Mapping[str, float]) -> None:
        for place in [place for place in left if place <= step]:
            kind, payload = left.pop(place)
            store.add_command(run_id, kind, payload, token=f"{place}")
            if kind is CommandKind.STEP:  # ends in a pause
                go_on = {"args": (run_id, CommandKind.RESUME), "kwargs": {"token": "on"}}
                threading.Timer(0.2, store.add_command, **go_on).start()
        then(step)

    return hear


def cut_off_at(
    store: Store, run_id: str, steps: list[int], monkeypatch: pytest.MonkeyPatch, *, gently: bool
) -> None:
    """Carry a run out over several processes' lives, each ended at a step."""
    monkeypatch.setattr(keeper, "EVERY_SECONDS", 0.004)
    monkeypatch.setattr(keeper, "LARGEST_SHARE", 10.0)
    for step in steps:
        interruption = threading.Event()

        def end(now: int, at: int = step, stop: threading.Event = interruption) -> None:
            if now >= at and gently:
                stop.set()
            elif now >= at:
                raise Crash

        hear = ask_at(store, run_id, MOVES, end)
        if gently:
            outcome = execute(store, run_id, on_progress=hear, interruption=interruption)
            assert outcome.state is RunState.INTERRUPTED
        else:
            with monkeypatch.context() as patch:
                patch.setattr(store, "end_run", lambda *_, **__: None)
                with pytest.raises(Crash):
                    execute(store, run_id, on_progress=hear)
        give(store, run_id, store.run(run_id).state)
    execute(store, run_id, on_progress=ask_at(store, run_id, MOVES, lambda _: None))


def undisturbed(store: Store, run_id: str) -> tuple[Listener, Trainer]:
    """The same run and the same commands at the same steps, in one go."""
    moves: dict[int, list[tuple[CommandKind, dict[str, Any]]]] = {}
    for command in store.history(run_id):
        at = moves.setdefault(int(command.applied_step or 0), [])
        at.append((command.kind, dict(command.payload)))
    listener = Listener(moves)
    trainer = Trainer(prepare(store.run(run_id).config), listener, at_leisure=False)
    trainer.run()
    trainer.experiment.remove()
    return listener, trainer


def compare(store: Store, run_id: str) -> None:
    listener, trainer = undisturbed(store, run_id)
    expected = {
        (report.step, name): value
        for report in listener.reports
        for name, value in report.metrics.items()
    }
    rows = store.metrics(run_id)
    assert len(rows) == len({(row.step, row.name) for row in rows}), "a number stands there twice"
    assert {(row.step, row.name): row.value for row in rows} == expected
    arrays = {(r.step, *key): array for r in listener.reports for key, array in r.arrays.items()}
    found = store.snapshots(run_id)
    assert len(found) == len(arrays)
    for each in found:
        np.testing.assert_array_equal(each.values, arrays[each.step, each.layer, each.kind])
    last = Folder.of(store.run(run_id)).newest()
    assert last is not None
    assert last.step == trainer.step
    mine = trainer.checkpoint().tensors
    assert last.tensors.keys() == mine.keys()
    for name, tensor in last.tensors.items():
        assert torch.equal(tensor, mine[name]), name


@pytest.mark.parametrize("gently", [True, False], ids=["terminated", "killed"])
@pytest.mark.parametrize("config", MODELS.values(), ids=MODELS.keys(), indirect=True)
def test_a_run_cut_off_twice_ends_as_if_it_had_never_been(
    store: Store, config: RunConfig, gently: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = begin(store, config)
    steps = sorted(random.Random(f"{config.model.name} {gently}").sample(range(2, 19), 2))
    cut_off_at(store, run_id, steps, monkeypatch, gently=gently)
    run = store.run(run_id)
    assert run.state is RunState.FINISHED
    assert run.attempt == 3
    assert run.step == run.total_steps
    assert {command.state for command in store.commands(run_id)} == {"applied"}
    compare(store, run_id)


def test_a_run_without_a_checkpoint_starts_again_and_repeats_no_number(
    store: Store, config: RunConfig
) -> None:
    run_id = begin(store, config)

    def crash(step: int, _total: int, _numbers: Mapping[str, float]) -> None:
        if step >= 8:
            raise Crash

    with pytest.raises(Crash):
        execute(store, run_id, on_progress=crash)
    assert store.run(run_id).checkpoint is None
    give(store, run_id, RunState.FAILED)
    execute(store, run_id)
    compare(store, run_id)


def test_the_worker_of_an_earlier_attempt_writes_nothing_more(
    store: Store, config: RunConfig
) -> None:
    run_id = begin(store, config)

    def lose(step: int, _total: int, _numbers: Mapping[str, float]) -> None:
        if step == 4:
            assert store.move_run(run_id, before=RunState.RUNNING, after=RunState.QUEUED)
            give(store, run_id, RunState.QUEUED)

    with pytest.raises(RunTakenError, match="another worker"):
        execute(store, run_id, on_progress=lose)
    run = store.run(run_id)
    assert run.state is RunState.STARTING
    execute(store, run_id)
    compare(store, run_id)


def test_a_run_that_another_worker_began_is_left_alone(store: Store, config: RunConfig) -> None:
    run_id = store.create_run(config, state=RunState.RUNNING)
    with pytest.raises(RunTakenError, match=r"expected run .* to be waiting"):
        execute(store, run_id)
    assert store.run(run_id).state is RunState.RUNNING


def test_a_checkpoint_that_was_cut_short_is_not_used(store: Store, config: RunConfig) -> None:
    run_id = begin(store, config)
    interruption = threading.Event()
    moves: Moves = {2: (CommandKind.SNAPSHOT, {})}
    stop = ask_at(store, run_id, moves, lambda step: interruption.set() if step > 9 else None)
    execute(store, run_id, on_progress=stop, interruption=interruption)
    folder = Folder.of(store.run(run_id))
    early, late = folder.steps()[0], folder.steps()[-1]
    assert early < late
    file = Path(folder.address) / f"{late:08d}.safetensors"
    file.write_bytes(file.read_bytes()[:-9])
    with pytest.raises(CheckpointError, match="damaged"):
        folder.read(late)
    newest = folder.newest()
    assert newest is not None
    assert newest.step == early
    give(store, run_id, RunState.INTERRUPTED)
    execute(store, run_id)
    compare(store, run_id)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"model.hidden": (24, 16)}, r"differs in model\.hidden"),
        ({"seed": 5, "training.batch_size": 64}, r"differs in seed, training\.batch_size"),
    ],
)
def test_a_checkpoint_of_another_configuration_is_refused(
    config: RunConfig, changes: dict[str, Any], said: str
) -> None:
    checkpoint = Trainer(prepare(config), Listener({})).checkpoint()
    other = Trainer(prepare(override(config, changes)), Listener({}))
    with pytest.raises(CheckpointError, match=said):
        other.resume(checkpoint)


def test_a_folder_that_is_full_stops_no_run(
    store: Store, config: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("vcr_core.training.checkpoint.Folder._put", full)
    outcome = execute(store, begin(store, config))
    assert outcome.state is RunState.FINISHED


def test_checkpoints_go_to_any_fsspec_address(
    store: Store, config: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VCR_LAB_CHECKPOINTS", "memory://lab")
    run_id = begin(store, config)
    execute(store, run_id)
    run = store.run(run_id)
    assert run.checkpoint == f"memory://lab/{run_id}"
    assert Folder.of(run).steps()[-1] == run.checkpoint_step == run.step
