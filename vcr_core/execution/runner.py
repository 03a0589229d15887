"""Carry out one run of the store, in this process."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import Any

import torch

from vcr_core.config import RunConfig
from vcr_core.errors import RunTakenError, StoreError, VcrLabError
from vcr_core.execution.channel import Progress, StoreChannel
from vcr_core.execution.devices import threads_per_worker
from vcr_core.store import Run, RunState, Store
from vcr_core.training.checkpoint import Folder
from vcr_core.training.experiment import pick_device, prepare
from vcr_core.training.keeper import Keeper
from vcr_core.training.loop import Outcome, train
from vcr_core.training.ranks import Ranks, SharedChannel, join, world_size


def execute(
    store: Store,
    run_id: str,
    *,
    on_progress: Progress | None = None,
    interruption: threading.Event | None = None,
) -> Outcome:
    """Train a run to its end and write its result; from its newest checkpoint, if it has one.

    When ``interruption`` is set, a checkpoint is kept and the run is interrupted, to go on later.
    Whatever goes wrong is written to the run's row, with what to do where that is known, and
    raised again.

    Raises:
        RunTakenError: another worker has the run; nothing was written.
    """
    run = store.run(run_id)
    try:
        return _carry_out(store, run, on_progress, interruption)
    except RunTakenError:
        raise
    except BaseException as error:
        words = str(error) if isinstance(error, VcrLabError) else f"{type(error).__name__}: {error}"
        after = RunState.INTERRUPTED if isinstance(error, StoreError) else RunState.FAILED
        with suppress(StoreError, RunTakenError):  # the dispatcher finds a run without a worker
            store.end_run(run.id, after, attempt=run.attempt, error=words)
        raise


def _carry_out(
    store: Store,
    run: Run,
    on_progress: Progress | None,
    interruption: threading.Event | None,
) -> Outcome:
    config = run.config
    torch.set_num_threads(config.execution.threads or threads_per_worker())
    folder = Folder.of(run)
    start = folder.newest()
    channel = StoreChannel(
        store,
        run,
        from_step=start.step if start else 0,
        after=start.state["last_command"] if start else 0,
        on_progress=on_progress,
        interruption=interruption,
    )
    with channel, Keeper(folder, on_kept=channel.kept) as keeper:  # beats while data are prepared
        ranks = join_processes(config)
        experiment = prepare(config, processes=ranks.size if ranks else 1)
        heard = channel if ranks is None else SharedChannel(ranks, channel)
        outcome = train(experiment, heard, keeper=keeper, start=start, ranks=ranks)
    result: dict[str, Any] = {}
    error = None
    if outcome.evaluation is not None:
        result = {**outcome.evaluation.summary(), "seconds": outcome.seconds}
    elif outcome.state is RunState.STOPPED:
        error = f"The run was aborted at step {outcome.step}, as was asked."
    channel.end(outcome.state, outcome.step, outcome.seconds, result=result, error=error)
    return outcome


def join_processes(config: RunConfig) -> Ranks | None:
    """The processes that torchrun started for this run; None where there is only this one."""
    return join(pick_device(config.execution.device)) if world_size() > 1 else None


def follow(config: RunConfig) -> Outcome:
    """Take part in a run that the first of several processes carries out."""
    torch.set_num_threads(config.execution.threads or threads_per_worker())
    ranks = join(pick_device(config.execution.device))
    experiment = prepare(config, processes=ranks.size)
    return train(experiment, SharedChannel(ranks, None), ranks=ranks)
