"""A new run from a checkpoint of another one, with other weights. Needs no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from vcr_core.config import RunConfig, get_value, live_fields, override, split_name, validate
from vcr_core.errors import CheckpointError, ConfigError
from vcr_core.store import Run, RunState, Store
from vcr_core.training.checkpoint import Folder
from vcr_core.training.moves import EPOCHS, Move, live_after, move_of, moves_to

AT_EASE = {"paused": False, "steps_left": None, "slow": 0.0, "show": False, "ending": ""}


def fork(store: Store, run_id: str, changes: Mapping[str, Any], *, step: int | None = None) -> str:
    """Queue a run that goes on from another one with other settings; returns its id.

    It begins with the last checkpoint up to ``step`` (or anew where there is none), repeats what
    the other one did from there, and takes the changes up at that step.

    Args:
        changes: live settings, and ``training.epochs`` to go on for longer.
        step: as far as the run has come at most; None takes the newest checkpoint's.

    Raises:
        UnknownRunError: the store holds no such run.
        CheckpointError: it has no checkpoint, or none as early as this.
        ConfigError: a step that it has not reached, a setting that cannot change within a run, or
            nothing is left to train.
    """
    parent = store.run(run_id)
    folder = Folder.of(parent)
    at, start = _beginning(parent, folder, step)
    note, data = folder.read_raw(start) if start else ({}, b"")
    before = validate(note["state"]["control"]["live"]) if note else parent.config
    repeated = _repeated(store, run_id, note, until=at)
    then = live_after(before, repeated)
    after = _changed(then, changes)
    _check_length(store, parent, folder, then, after, at=at)
    if at == start:
        return _queue(store, parent, after, note, data, moves=())
    return _queue(
        store, parent, before, note, data, moves=(*repeated, *moves_to(then, after, step=at))
    )


def _queue(
    store: Store,
    parent: Run,
    config: RunConfig,
    note: Mapping[str, Any],
    data: bytes,
    *,
    moves: Sequence[Move],
) -> str:
    """Queue a run that begins with a checkpoint, or anew, and makes these moves."""
    start = note.get("step", 0)
    child = store.create_run(
        config,
        preset=parent.preset,
        owner=parent.owner,
        name=parent.name,
        tags=parent.tags,
        parent_id=parent.id,
        parent_step=start,
        state=RunState.INTERRUPTED,  # nobody takes it before it is complete
    )
    store.plan_commands(child, [(move.step, move.kind, move.payload) for move in moves])
    kept: dict[str, Any] = {}
    if note:
        place = Folder.of(store.run(child))
        place.write_raw({**note, "state": _state_with(note["state"], config)}, data)
        kept = {"checkpoint": place.address, "checkpoint_step": start}
    store.move_run(
        child,
        before=RunState.INTERRUPTED,
        after=RunState.QUEUED,
        step=start,
        auto_resume=parent.auto_resume,
        **kept,
    )
    return child


def fork_start(run: Run, step: int) -> int | None:
    """The step from which a fork at ``step`` would have to train; None where there is none."""
    steps = [each for each in Folder.of(run).steps() if each <= step]
    if steps:
        return steps[-1]
    return None if run.parent_step else 0  # none: it began at its parent's, or anew


def _beginning(parent: Run, folder: Folder, step: int | None) -> tuple[int, int]:
    """The step to fork at, and that of the checkpoint to begin with; 0 to begin anew."""
    steps = folder.steps()
    if step is None:
        if not steps:
            raise CheckpointError(
                f"run {parent.id} has no checkpoint to fork from: train it for longer"
            )
        return steps[-1], steps[-1]
    if not 0 <= step <= max([parent.step, *steps[-1:]]):
        raise ConfigError(
            f"expected a step from 0 to the {parent.step} that run {parent.id} has done, got {step}"
        )
    start = fork_start(parent, step)
    if start is None:
        raise CheckpointError(
            f"expected a step from the first checkpoint of run {parent.id} on "
            f"({_listed(steps) or 'none is left'}), got {step}: it goes on from run "
            f"{parent.parent_id}, fork that one"
        )
    return step, start


def _repeated(
    store: Store, run_id: str, note: Mapping[str, Any], *, until: int
) -> tuple[Move, ...]:
    """The moves of a run after a checkpoint, or from its beginning, and before a step."""
    start, last = (note["step"], note["state"]["last_command"]) if note else (0, 0)
    found = [
        move_of(command)
        for command in store.history(run_id)
        if command.kind.lasts and command.is_after(start, last)
    ]
    return tuple(move for move in found if move.step < until)


def _check_length(
    store: Store, parent: Run, folder: Folder, then: RunConfig, after: RunConfig, *, at: int
) -> None:
    """Raises ``ConfigError`` where a fork would be at its end when it begins."""
    length = live_after(parent.config, map(move_of, store.history(parent.id))).training.epochs
    per_epoch = parent.total_steps // length
    if per_epoch and at >= after.training.epochs * per_epoch:
        raise ConfigError(
            f"run {parent.id} is at its end at step {at}: give it more than "
            f"{then.training.epochs}, or choose an earlier step; it has checkpoints at the steps "
            f"{_listed(folder.steps())}",
            field=EPOCHS,
        )


def _changed(before: RunConfig, changes: Mapping[str, Any]) -> RunConfig:
    for name in changes:
        get_value(before, name)
        if split_name(name)[0] not in {*live_fields(), EPOCHS}:
            raise ConfigError(
                f"cannot change within a run; {', '.join((*live_fields(), EPOCHS))} can: start a "
                "new run instead",
                field=name,
            )
    after = override(before, changes)
    if after.training.epochs < before.training.epochs:
        raise ConfigError(f"expected {before.training.epochs} or more", field=EPOCHS)
    return after


def _state_with(state: Mapping[str, Any], after: RunConfig) -> dict[str, Any]:
    """A checkpoint's state, as if the run had always had the settings ``after``."""
    before = validate(state["control"]["live"])
    knobs = {**state["control"]["knobs"], **AT_EASE}
    total = knobs["totals"][-1]
    longer = total // before.training.epochs * after.training.epochs
    if longer > total:
        knobs["totals"] = [*knobs["totals"], longer]
    tree = after.model_dump(mode="json")
    return {
        **state,
        "config": tree,
        "control": {"live": tree, "knobs": knobs},
        "last_command": 0,
    }


def _listed(steps: list[int]) -> str:
    return ", ".join(map(str, steps))
