"""Ask something of a run wherever it stands: queued, in work, interrupted. Needs no torch."""

from __future__ import annotations

import time

from vcr_core.errors import RunOverError
from vcr_core.store import CommandKind, RunState, Store

WAITING = (RunState.QUEUED, RunState.INTERRUPTED)


def stop_run(store: Store, run_id: str, *, abort: bool = False) -> RunState:
    """End a run: at its next step, or at once where no worker has it; returns its state now.

    ``abort`` leaves out the last measurement.

    Raises:
        UnknownRunError: the store holds no such run.
        RunOverError: it is over already.
    """
    require_not_over(store, run_id)
    for before in WAITING:
        if store.move_run(
            run_id, before=before, after=RunState.STOPPED, finished_at=time.time(), error=None
        ):
            return RunState.STOPPED
    store.add_command(run_id, CommandKind.ABORT if abort else CommandKind.STOP)
    return store.run(run_id).state


def resume_run(store: Store, run_id: str) -> RunState:
    """Let a paused or interrupted run go on; returns its state now.

    An interrupted run is queued, to go on from its newest checkpoint. A run that waits or trains
    is left as it is.

    Raises:
        UnknownRunError: the store holds no such run.
        RunOverError: it is over.
    """
    state = require_not_over(store, run_id)
    if state in {RunState.PAUSED, RunState.INTERRUPTED}:  # it may have been interrupted in a pause
        store.add_command(run_id, CommandKind.RESUME)
    if state is RunState.INTERRUPTED:
        store.move_run(run_id, before=state, after=RunState.QUEUED)
    return store.run(run_id).state


def require_not_over(store: Store, run_id: str) -> RunState:
    """The state of a run that is not over.

    Raises:
        UnknownRunError: the store holds no such run.
        RunOverError: it is over.
    """
    state = store.run(run_id).state
    if state.is_over:
        raise RunOverError(
            f"expected a run that is not over, but run {run_id} is {state.value}: "
            f"`vcr-lab fork {run_id}` goes on from one of its checkpoints in a new run"
        )
    return state
