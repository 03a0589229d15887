"""What the loop minimises."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor
from training_helpers import Listener

from vcr_core.config import RunConfig, override
from vcr_core.errors import ConfigError
from vcr_core.training.experiment import Experiment, prepare
from vcr_core.training.loop import train
from vcr_core.training.objectives.views import view_of


def test_the_loop_minimises_the_experiments_objective_step_by_step(small_config: RunConfig) -> None:
    seen: list[int] = []

    def size_of_logits(experiment: Experiment, batch: Tensor, step: int) -> Tensor:
        seen.append(step)
        logits: Tensor = experiment.model(experiment.train_images[batch])
        return logits.square().mean()

    experiment = replace(prepare(small_config.baseline()), objective=size_of_logits)
    listener = Listener({})
    train(experiment, listener)
    losses = listener.numbers("loss/task")
    assert seen == list(range(1, experiment.cadence.total_steps + 1))
    assert losses[max(losses)] < 0.5 * losses[1]


def test_the_default_objective_is_the_cross_entropy_of_the_source(small_config: RunConfig) -> None:
    experiment = prepare(small_config)
    rows = torch.arange(32)
    logits = experiment.model(experiment.train_images[rows])
    picked = logits.log_softmax(dim=1)[torch.arange(32), experiment.train_labels[rows]]
    torch.testing.assert_close(experiment.objective(experiment, rows, 1), -picked.mean())


def test_augmentation_depends_on_seed_and_step_alone(small_config: RunConfig) -> None:
    config = override(small_config, {"augmentation.crop_padding": 2, "augmentation.flip": 0.5})
    experiment, again = prepare(config), prepare(config)
    rows = torch.arange(32)
    torch.rand(3)
    first = view_of(experiment, rows, 5)
    assert torch.equal(first, view_of(again, rows, 5))
    assert not torch.equal(first, view_of(experiment, rows, 6))
    assert not torch.equal(first, view_of(experiment, rows, 5, view=1))
    assert torch.equal(view_of(prepare(small_config), rows, 5), experiment.train_images[rows])


def test_shifts_as_large_as_the_images_are_refused(small_config: RunConfig) -> None:
    config = override(small_config, {"augmentation.crop_padding": 8})
    with pytest.raises(ConfigError, match=r"augmentation\.crop_padding: .*below the 8 pixels"):
        prepare(config)
