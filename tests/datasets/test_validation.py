"""A validation part: settings are chosen on images that are neither trained on nor tested on."""

from __future__ import annotations

import torch
from torch import Tensor

from vcr_core.config import override
from vcr_core.datasets import Dataset, load, transfer_tasks
from vcr_core.datasets.split import measured_on_validation
from vcr_core.presets import find_preset
from vcr_core.training.experiment import load_data


def rows(images: Tensor) -> set[bytes]:
    return {image.numpy().tobytes() for image in images}


def test_the_validation_part_comes_from_the_training_images_and_is_in_no_other() -> None:
    whole = load("sprites", train_size=100, test_size=50, cache_folder="unused")
    part = measured_on_validation(whole, seed=3)
    assert len(part.test) == 20
    assert rows(part.test.images) | rows(part.train.images) == rows(whole.train.images)
    assert not rows(part.test.images) & rows(part.train.images)
    assert not rows(part.test.images) & rows(whole.test.images)
    assert part.probe is part.train
    again = measured_on_validation(whole, seed=3)
    assert torch.equal(again.test.images, part.test.images)


def test_with_a_shortcut_it_comes_from_images_without() -> None:
    whole = load("sprites", train_size=100, test_size=50, shortcut=1.0, cache_folder="unused")
    part = measured_on_validation(whole, seed=0)
    assert part.train is whole.train
    assert rows(part.test.images) | rows(part.probe.images) == rows(whole.probe.images)


def test_another_data_set_is_measured_on_its_training_images_too() -> None:
    sprites = load("sprites", train_size=100, test_size=50, cache_folder="unused")
    tested: Dataset = load("digits", cache_folder="unused")
    (plain,) = transfer_tasks(sprites, ("digits:digit",))
    chosen = load("sprites", train_size=100, measured_on="validation", cache_folder="unused")
    (held_out,) = transfer_tasks(chosen, ("digits:digit",))
    assert not rows(held_out.test_images) & rows(plain.test_images)
    assert len(held_out.train_images) + len(held_out.test_images) == len(tested.train)


def test_the_configuration_chooses_the_part() -> None:
    config = find_preset("digits-parity").config.data
    changed = override(find_preset("digits-parity").config, {"data.measured_on": "validation"})
    test, validation = load_data(config, seed=1), load_data(changed.data, seed=1)
    assert rows(validation.test.images) <= rows(test.train.images)
