"""Transfer tasks and batches."""

from __future__ import annotations

import pytest
import torch

from vcr_core.datasets import (
    Dataset,
    batch_indices,
    epoch_batches,
    load,
    steps_per_epoch,
    transfer_tasks,
)
from vcr_core.errors import ConfigError


@pytest.fixture(scope="module")
def sprites() -> Dataset:
    return load("sprites", train_size=200, test_size=100, cache_folder="unused")


def test_tasks_on_the_same_data_set_share_their_images(sprites: Dataset) -> None:
    colour, scale = transfer_tasks(sprites, ("colour", "scale"), train_size=50)
    assert colour.train_images is scale.train_images
    assert colour.test_images is scale.test_images
    assert len(colour.train_images) == len(colour.train_labels) == 50
    assert colour.class_names == sprites.class_names["colour"]


def test_labels_stay_with_their_images_when_rows_are_chosen(sprites: Dataset) -> None:
    (task,) = transfer_tasks(sprites, ("colour",), train_size=20)
    for image, label in zip(task.train_images, task.train_labels, strict=True):
        row = (sprites.train.images == image).flatten(1).all(dim=1).nonzero().item()
        assert sprites.train.labels["colour"][row] == label


def test_another_data_set_takes_the_shape_of_the_trained_one(sprites: Dataset) -> None:
    own, other = transfer_tasks(sprites, ("colour", "digits:digit"), train_size=60, test_size=30)
    assert (own.name, other.name) == ("colour", "digits:digit")
    assert other.train_images.shape == (60, 3, 32, 32)
    assert other.test_images.shape == (30, 3, 32, 32)
    assert torch.equal(other.train_images[:, 0], other.train_images[:, 2])


def test_colours_become_grey_where_the_network_sees_grey() -> None:
    digits = load("digits", cache_folder="unused")
    (task,) = transfer_tasks(digits, ("sprites:shape",), train_size=40)
    assert task.train_images.shape == (40, 1, 8, 8)


@pytest.mark.parametrize("target", ["flavour", "digits:flavour"])
def test_an_unknown_target_lists_those_there_are(sprites: Dataset, target: str) -> None:
    with pytest.raises(ConfigError, match=rf"shape, colour.*digits:digit.*got '{target}'"):
        transfer_tasks(sprites, (target,))


def test_a_target_of_an_unknown_data_set_is_refused(sprites: Dataset) -> None:
    with pytest.raises(ConfigError, match="expected one of sprites, digits"):
        transfer_tasks(sprites, ("cifar:animal",))


def test_an_epoch_visits_every_row_at_most_once_and_twins_see_the_same() -> None:
    batches = batch_indices(103, 10, epoch=2, seed=7)
    assert batches.shape == (steps_per_epoch(103, 10), 10)
    assert len(set(batches.flatten().tolist())) == 100
    torch.manual_seed(1)
    assert torch.equal(batches, batch_indices(103, 10, epoch=2, seed=7))
    assert not torch.equal(batches, batch_indices(103, 10, epoch=3, seed=7))
    assert not torch.equal(batches, batch_indices(103, 10, epoch=2, seed=8))


def test_drawing_batches_leaves_the_global_random_state_alone() -> None:
    before = torch.get_rng_state()
    batch_indices(50, 10, epoch=0, seed=0)
    assert torch.equal(before, torch.get_rng_state())


def test_batches_keep_images_and_labels_together() -> None:
    images, labels = torch.arange(20.0).view(20, 1, 1, 1), torch.arange(20)
    for x, y in epoch_batches(images, labels, batch_size=5, epoch=0, seed=0):
        assert torch.equal(x.flatten(), y.float())


@pytest.mark.parametrize("batch_size", [0, 21])
def test_a_batch_that_cannot_be_filled_is_refused(batch_size: int) -> None:
    with pytest.raises(ConfigError, match=r"training\.batch_size: expected a batch of 1 to 20"):
        batch_indices(20, batch_size, epoch=0, seed=0)
