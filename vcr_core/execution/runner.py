"""Carry out one run of the store, in this process."""

from __future__ import annotations

import time

import torch

from vcr_core.errors import VcrLabError
from vcr_core.execution.channel import Progress, StoreChannel
from vcr_core.execution.devices import threads_per_worker
from vcr_core.store import RunState, Store
from vcr_core.training.experiment import prepare
from vcr_core.training.loop import Outcome, train


def execute(store: Store, run_id: str, *, on_progress: Progress | None = None) -> Outcome:
    """Train a run to its end and write its result.

    Whatever goes wrong is written to the run's row, with what to do where that is known, and
    raised again.
    """
    try:
        with StoreChannel(store, run_id, on_progress=on_progress) as channel:
            config = store.run(run_id).config
            torch.set_num_threads(config.execution.threads or threads_per_worker())
            outcome = train(prepare(config), channel)
    except BaseException as error:
        words = str(error) if isinstance(error, VcrLabError) else f"{type(error).__name__}: {error}"
        store.update_run(run_id, state=RunState.FAILED.value, finished_at=time.time(), error=words)
        raise
    store.update_run(
        run_id,
        state=outcome.state.value,
        finished_at=time.time(),
        step=outcome.step,
        training_seconds=outcome.seconds,
        result={**outcome.evaluation.summary(), "seconds": outcome.seconds},
    )
    return outcome
