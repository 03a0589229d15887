"""Training on a device other than the CPU: the CPU's numbers, and no waiting between reports."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from device_runs import DIGITS, require_one_wait_a_report, require_same_numbers, run_on
from lagging_device import Device

from vcr_core.config import RunConfig, override
from vcr_core.errors import TrainingDivergedError
from vcr_core.presets.small import SMALL
from vcr_core.regularization.rivals import RIVALS
from vcr_core.training import telemetry
from vcr_core.training.experiment import prepare
from vcr_core.training.loop import Trainer
from vcr_core.training.recorder import Recorder

#: Everything small enough for a test: a handful of steps, two reports.
SHRUNK: dict[str, Any] = {
    "training.epochs": 1,
    "training.batch_size": 64,
    "data.train_size": 320,
    "data.test_size": 100,  # more than features, or the rank hangs on a threshold
    "transfer.train_size": 100,
    "transfer.test_size": 60,
    "telemetry.reports": 2,
    "telemetry.snapshots": 1,
}
#: What stands in for pictures that would have to be downloaded.
SPRITES: dict[str, Any] = {
    "data.dataset": "sprites",
    "data.source": "shape",
    "transfer.targets": ("colour",),
}
#: Presets with fewer images, or larger ones; and one whose first steps are so long that a rounding
#: is soon seen.
FEW: dict[str, dict[str, Any]] = {
    "video-small": {"training.batch_size": 8, "data.train_size": 40},
    "long-tail-small": {"training.batch_size": 16},
    "speed-small": {"optimizer.learning_rate": 0.02},
}
#: Perceptrons on pictures, as in the tests of settings.
ALIKE = ("hierarchy-small", "long-tail-small")


def shrunk(name: str) -> RunConfig:
    config = next(preset.config for preset in SMALL if preset.name == name)
    downloads = config.data.dataset == "fashion-mnist"
    return override(config, SHRUNK | (SPRITES if downloads else {}) | FEW.get(name, {}))


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(preset.name, marks=[pytest.mark.slow] * (preset.name in ALIKE))
        for preset in SMALL
    ],
)
def test_a_small_preset_gives_the_cpus_numbers_and_waits_at_reports_only(
    name: str, device: Device
) -> None:
    # which samples a light budget draws is up to the device: another test compares its numbers
    config = override(shrunk(name), {"regularizer.budget": "full"})
    there = run_on(device, config)
    require_same_numbers(run_on(None, config), there)
    require_one_wait_a_report(there)


def test_the_light_budget_waits_at_reports_only(device: Device) -> None:
    config = shrunk("speed-small")
    assert config.regularizer.budget == "light"
    require_one_wait_a_report(run_on(device, config))


@pytest.mark.parametrize(
    "changes",
    [
        {"regularizer.budget": "light"},
        {"training.precision": "bfloat16"},
        {"training.precision": "float16"},
        {"training.precision": "float16", "optimizer.clip": 1.0},
        {"optimizer.clip": 0.5},
        {"optimizer.name": "sgd", "optimizer.learning_rate": 0.05},
        {"training.averaging": 0.9},
        {"regularizer.threshold": 0.1},
        {"regularizer.scale": "vicreg"},
        {"objective.mixup": 0.2, "objective.cutmix": 1.0, "objective.label_smoothing": 0.1},
        {"augmentation.crop_padding": 1, "augmentation.flip": 0.5, "augmentation.alternate": True},
        {"augmentation.policy": "rand", "augmentation.erasing": 0.5, "augmentation.cutout": 2},
        {"augmentation.smallest_crop": 0.5, "augmentation.jitter": 0.4, "augmentation.blur": 0.5},
        {"model.name": "small-resnet", "model.width": 4, "training.channels_last": True},
    ],
    ids=str,
)
def test_a_setting_gives_the_cpus_numbers_and_waits_at_reports_only(
    changes: dict[str, Any], device: Device
) -> None:
    config = override(DIGITS, changes)
    there = run_on(device, config)
    # a rounding of half a type's last place moves everything after it
    loose = {"rel": 0.02, "abs": 0.02} if "training.precision" in changes else {}
    require_same_numbers(run_on(None, config), there, **loose)
    require_one_wait_a_report(there)


@pytest.mark.parametrize("name", RIVALS)
def test_a_rival_gives_the_cpus_numbers_and_reads_at_reports_only(
    name: str, device: Device
) -> None:
    config = override(DIGITS, {"regularizer.rival": name, "regularizer.rival_weight": 0.1})
    there = run_on(device, config)
    require_same_numbers(run_on(None, config), there)
    for waits, reported in zip(there.waits, there.reported, strict=True):
        assert sum(not wait.startswith("send") for wait in waits) == int(reported), waits


def test_a_run_resumed_on_the_device_goes_on_as_if_nothing_had_happened(device: Device) -> None:
    config = override(DIGITS, {"training.precision": "float16", "training.averaging": 0.9})

    def begun_again(trainer: Trainer) -> Trainer:
        if trainer.step != 5:
            return trainer
        kept, channel = trainer.checkpoint(), trainer.channel
        trainer.experiment.remove()
        again = Trainer(prepare(trainer.experiment.config), channel)
        again.resume(kept)
        return again

    whole, parted = run_on(device, config), run_on(device, config, begun_again)
    require_same_numbers(whole, parted, rel=0, abs=0)
    require_one_wait_a_report(parted)


def test_what_is_asked_of_a_run_gives_the_cpus_numbers_and_does_not_wait(device: Device) -> None:
    def asking(trainer: Trainer) -> Trainer:
        asked: dict[int, dict[str, Any]] = {
            2: {"field": "regularizer.covariance_weight", "value": 3.0},
            3: {"field": "optimizer.learning_rate", "value": 0.01},
            5: {"field": "regularizer.variance_weight", "value": 0.0},
        }
        if trainer.step in asked:
            trainer.ask("set", **asked[trainer.step])
        return trainer

    there = run_on(device, DIGITS, asking)
    require_same_numbers(run_on(None, DIGITS, asking), there)
    require_one_wait_a_report(there)


def test_a_layer_too_wide_for_the_hosts_spectrum_costs_a_wait_of_its_own(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = run_on(None, DIGITS)
    monkeypatch.setattr(telemetry, "HOST_SPECTRUM", 16)  # the layers have 24 and 12 features
    there = run_on(device, DIGITS)
    require_same_numbers(here, there)
    # of the three reports the first and the last show matrices
    assert [len(waits) for waits in there.waits if waits] == [2, 1, 2]


def test_an_evaluation_looks_at_the_device_a_handful_of_times_beside_its_solver(
    device: Device,
) -> None:
    run = run_on(device, DIGITS)
    solver = [place for place in run.probing if "lbfgs.py" in place]
    assert len(run.probing) - len(solver) <= 10, run.probing


def test_a_loss_that_is_not_finite_ends_the_run_at_its_next_report(device: Device) -> None:
    config = override(DIGITS.baseline(), {"execution.device": "auto"})
    trainer = Trainer(prepare(config), Recorder())
    trainer.train_step()
    with torch.no_grad():
        next(trainer.experiment.model.parameters()).fill_(math.nan)
    trainer.train_step()
    trainer.train_step()
    with pytest.raises(TrainingDivergedError, match="expected a finite loss, got nan by step 4"):
        trainer.train_step()
