"""A new run from a checkpoint of another one, with other weights. Needs no torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vcr_core.config import RunConfig, get_value, live_fields, override, split_name, validate
from vcr_core.errors import CheckpointError, ConfigError
from vcr_core.store import RunState, Store
from vcr_core.training.checkpoint import Folder

EPOCHS = "training.epochs"
AT_EASE = {"paused": False, "steps_left": None, "slow": 0.0, "show": False, "ending": ""}


def fork(store: Store, run_id: str, changes: Mapping[str, Any], *, step: int | None = None) -> str:
    """Queue a run that goes on from another one's checkpoint; returns its id.

    Args:
        changes: live settings, and ``training.epochs`` to go on for longer.
        step: of the checkpoint; None takes the newest.

    Raises:
        UnknownRunError: the store holds no such run.
        CheckpointError: it has no checkpoint, or none of that step.
        ConfigError: a setting that cannot change within a run, or nothing is left to train.
    """
    parent = store.run(run_id)
    folder = Folder.of(parent)
    chosen = _choose(folder, run_id, step)
    note, data = folder.read_raw(chosen)
    before = validate(note["state"]["control"]["live"])
    after = _changed(before, changes)
    state = _state_with(note["state"], before, after)
    if chosen >= state["control"]["knobs"]["totals"][-1]:
        raise ConfigError(
            f"run {run_id} is at its end at step {chosen}: give it more than "
            f"{before.training.epochs}, or choose an earlier one of the steps "
            f"{_listed(folder.steps())}",
            field=EPOCHS,
        )
    child = store.create_run(
        after,
        preset=parent.preset,
        owner=parent.owner,
        name=parent.name,
        tags=parent.tags,
        parent_id=run_id,
        parent_step=chosen,
        state=RunState.INTERRUPTED,
    )
    place = Folder.of(store.run(child))
    place.write_raw({**note, "state": state}, data)
    store.move_run(
        child,
        before=RunState.INTERRUPTED,
        after=RunState.QUEUED,
        checkpoint=place.address,
        checkpoint_step=chosen,
        step=chosen,
        auto_resume=parent.auto_resume,
    )
    return child


def _choose(folder: Folder, run_id: str, step: int | None) -> int:
    steps = folder.steps()
    if not steps:
        raise CheckpointError(f"run {run_id} has no checkpoint to fork from: train it for longer")
    if step is not None and step not in steps:
        raise CheckpointError(
            f"expected the step of a checkpoint of run {run_id} ({_listed(steps)}), got {step}"
        )
    return steps[-1] if step is None else step


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


def _state_with(state: Mapping[str, Any], before: RunConfig, after: RunConfig) -> dict[str, Any]:
    """A checkpoint's state, as if the run had always had the settings ``after``."""
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
