"""The same training on the CPU and on the device that lags, step by step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy
import pytest
from lagging_device import Device

from vcr_core.config import RunConfig, override
from vcr_core.store import Report
from vcr_core.training.evaluation import Evaluation
from vcr_core.training.experiment import prepare
from vcr_core.training.loop import Trainer
from vcr_core.training.recorder import Recorder

Between = Callable[[Trainer], Trainer]

NEAR_THE_BORDER = 0.05  # as a share of the test images
#: Odd or even on scanned digits: eight steps, two of which report.
DIGITS = override(
    RunConfig(),
    {
        "data.dataset": "digits",
        "data.source": "parity",
        "data.train_size": 256,
        "transfer.targets": ("digit",),
        "transfer.train_size": 300,
        "transfer.test_size": 100,
        "model.name": "mlp",
        "model.hidden": (24, 12),
        "training.epochs": 2,
        "training.batch_size": 64,
        "telemetry.reports": 2,
        "telemetry.snapshots": 1,
    },
)


@dataclass
class Run:
    """What a training said, and where the host waited in every step."""

    reports: list[Report] = field(default_factory=list)
    evaluation: Evaluation | None = None
    waits: list[list[str]] = field(default_factory=list)
    reported: list[bool] = field(default_factory=list)
    probing: list[str] = field(default_factory=list)


def run_on(device: Device | None, config: RunConfig, between: Between | None = None) -> Run:
    """Train a configuration on the device, or on the CPU where there is none, to its end.

    ``between`` is called before every step and gives the trainer to go on with.
    """
    place = "cpu" if device is None else "auto"
    trainer = Trainer(prepare(override(config, {"execution.device": place})), Recorder())
    run = Run()
    while not trainer.is_over:
        trainer = between(trainer) if between is not None else trainer
        _forget(device)
        trainer.train_step()
        run.reported.append(trainer._reported)
        run.waits.append(_waited(device))
    _forget(device)
    run.evaluation = trainer.evaluate()
    run.probing = _waited(device)
    run.reports = trainer.channel.reports
    return run


def require_same_numbers(here: Run, there: Run, *, rel: float = 1e-3, abs: float = 1e-3) -> None:
    """Every number of every report and of the evaluation, and every array.

    A probe is solved up to a tolerance, and a few images of a small test set are near its border.
    """
    assert [report.step for report in here.reports] == [report.step for report in there.reports]
    for ours, theirs in zip(here.reports, there.reports, strict=True):
        assert theirs.metrics.keys() == ours.metrics.keys()
        for name, value in ours.metrics.items():
            probed = name.startswith("transfer/")
            near = pytest.approx(value, rel=rel, abs=NEAR_THE_BORDER if probed else abs)
            assert theirs.metrics[name] == near, (ours.step, name)
        assert theirs.arrays.keys() == ours.arrays.keys()
        for key, values in ours.arrays.items():
            largest = float(numpy.abs(values).max())
            assert theirs.arrays[key] == pytest.approx(values, rel=rel, abs=abs * largest), key


def require_one_wait_a_report(run: Run) -> None:
    """Nothing waits between two reports; a report waits once."""
    assert not all(run.reported)
    assert any(run.reported)
    for step, (waits, reported) in enumerate(zip(run.waits, run.reported, strict=True), start=1):
        assert len(waits) == int(reported), (step, waits)


def _forget(device: Device | None) -> None:
    if device is not None:
        device.forget()


def _waited(device: Device | None) -> list[str]:
    if device is None:
        return []
    return device.places() + [f"staged {wait.place}" for wait in device.staged]
