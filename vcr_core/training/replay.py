"""Repeat a run from its configuration, seed and history, and compare every number, bit for bit."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from vcr_core.errors import RunBusyError, TrainingDivergedError
from vcr_core.machines import differing
from vcr_core.store import Report, Run, RunState, Store
from vcr_core.training.checkpoint import Folder
from vcr_core.training.experiment import prepare
from vcr_core.training.loop import train
from vcr_core.training.recorder import Recorder

Number = tuple[int, str]
Matrix = tuple[int, str, str]


@dataclass(frozen=True)
class Replay:
    """What came of a replay.

    ``first``        the first difference in words; empty where there is none
    ``environment``  what differs between then and now: name -> (then, now)
    """

    run_id: str
    steps: int
    numbers: int
    matrices: int
    first: str
    environment: Mapping[str, tuple[Any, Any]]

    @property
    def identical(self) -> bool:
        return not self.first


def replay(store: Store, run_id: str) -> Replay:
    """Repeat a run with the same threads and compare all that it reported.

    Raises:
        UnknownRunError: the store holds no such run.
        RunBusyError: it still trains, or has not begun.
        CheckpointError: it is a fork, and the checkpoint that it began with is gone.
    """
    run = store.run(run_id)
    if run.state.is_active or not run.environment:
        raise RunBusyError(
            f"expected a run that has trained and does not train now, but run {run_id} is "
            f"{run.state.value}: wait for its end, or stop it"
        )
    torch.set_num_threads(int(run.environment["threads"]))
    start = None
    if run.parent_id is not None and run.parent_step:  # one of step 0 began as any run does
        start = Folder.of(run).read(run.parent_step)
    cut_off = run.state not in {RunState.FINISHED, RunState.STOPPED}
    recorder = Recorder(store.history(run_id), until=run.step if cut_off else None)
    with suppress(TrainingDivergedError):  # as it did the first time: the numbers until then count
        train(prepare(run.config), recorder, start=start, at_leisure=False)
    return _compare(store, run, recorder)


def _compare(store: Store, run: Run, recorder: Recorder) -> Replay:
    numbers: dict[Number, float | None] = {
        (row.step, row.name): row.value for row in store.metrics(run.id)
    }
    matrices = {(each.step, each.layer, each.kind): each.values for each in store.snapshots(run.id)}
    counts = len(numbers), len(matrices)
    first = ""
    for report in recorder.reports:
        first = first or _difference(report, numbers, matrices)
        for name in report.metrics:
            numbers.pop((report.step, name), None)
        for layer, kind in report.arrays:
            matrices.pop((report.step, layer, kind), None)
    left = sorted([*numbers, *matrices], key=lambda key: key[0])
    if left and not first:
        first = f"step {left[0][0]}: {' '.join(map(str, left[0][1:]))} did not come again"
    return Replay(
        run_id=run.id,
        steps=recorder.reports[-1].step if recorder.reports else 0,
        numbers=counts[0],
        matrices=counts[1],
        first=first,
        environment=differing(run.environment, recorder.environment),
    )


def _difference(
    report: Report,
    numbers: Mapping[Number, float | None],
    matrices: Mapping[Matrix, NDArray[np.float32]],
) -> str:
    for name, value in report.metrics.items():
        key = (report.step, name)
        if key not in numbers:
            return f"step {report.step}: {name} is new"
        before = numbers[key]
        now = value if math.isfinite(value) else None
        if now != before:
            return f"step {report.step}: {name} was {before!r}, now {now!r}"
    for (layer, kind), values in report.arrays.items():
        stored = matrices.get((report.step, layer, kind))
        if stored is None:
            return f"step {report.step}: {kind} of {layer} is new"
        if not np.array_equal(stored, values, equal_nan=True):
            return f"step {report.step}: {kind} of {layer} differs"
    return ""
