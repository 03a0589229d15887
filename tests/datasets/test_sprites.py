"""Sprites: independent factors, the same images for the same seed, a shortcut where it is asked."""

from __future__ import annotations

import pytest
import torch
from sklearn.naive_bayes import GaussianNB
from torch import Tensor

from vcr_core.datasets import DATASETS, Dataset, load
from vcr_core.errors import ConfigError


@pytest.fixture(scope="module")
def sprites() -> Dataset:
    return load("sprites", train_size=1200, test_size=300, cache_folder="unused")


def test_images_are_standardised_by_the_training_images(sprites: Dataset) -> None:
    assert sprites.train.images.shape == (1200, 3, 32, 32)
    assert sprites.test.images.shape == (300, 3, 32, 32)
    torch.testing.assert_close(
        sprites.train.images.mean((0, 2, 3)), torch.zeros(3), atol=1e-4, rtol=0
    )
    torch.testing.assert_close(
        sprites.train.images.std((0, 2, 3)), torch.ones(3), atol=1e-3, rtol=0
    )


def test_every_class_of_every_factor_occurs_and_none_rules(sprites: Dataset) -> None:
    for factor, classes in DATASETS["sprites"].factors.items():
        counts = torch.bincount(sprites.train.labels[factor], minlength=len(classes))
        assert counts.min() > 0.7 * 1200 / len(classes), factor


def test_equal_seeds_give_equal_images_and_other_seeds_others() -> None:
    sizes = {"train_size": 40, "test_size": 20, "cache_folder": "unused"}
    first, other = load("sprites", seed=3, **sizes), load("sprites", seed=4, **sizes)  # type: ignore[arg-type]
    load("sprites", seed=5, **sizes)  # type: ignore[arg-type]
    load("sprites", seed=6, **sizes)  # type: ignore[arg-type]
    again = load("sprites", seed=3, **sizes)  # type: ignore[arg-type]
    assert first is not again
    assert torch.equal(first.train.images, again.train.images)
    assert torch.equal(first.test.labels["shape"], again.test.labels["shape"])
    assert not torch.equal(first.train.images, other.train.images)


def test_rendering_leaves_the_global_random_state_alone() -> None:
    before = torch.get_rng_state()
    load("sprites", seed=11, train_size=30, test_size=20, cache_folder="unused")
    assert torch.equal(before, torch.get_rng_state())


def agreement(a: Tensor, b: Tensor) -> float:
    return float((a == b).float().mean())


def test_colour_and_shape_are_unrelated_without_a_shortcut(sprites: Dataset) -> None:
    labels = sprites.train.labels
    assert agreement(labels["colour"], labels["shape"]) == pytest.approx(1 / 6, abs=0.05)
    assert sprites.probe is sprites.train


def test_a_full_shortcut_ties_colour_to_shape_in_training_images_only() -> None:
    tied = load("sprites", train_size=600, test_size=600, shortcut=1.0, cache_folder="unused")
    assert agreement(tied.train.labels["colour"], tied.train.labels["shape"]) == 1.0
    assert agreement(tied.test.labels["colour"], tied.test.labels["shape"]) < 0.25
    assert agreement(tied.probe.labels["colour"], tied.probe.labels["shape"]) < 0.25


def test_background_and_colour_can_be_seen_in_the_pixels(sprites: Dataset) -> None:
    for factor, rows, at_least in (("background", slice(0, 2), 0.9), ("colour", slice(8, 24), 0.3)):
        train, test = (
            split.images[:, :, rows, 8:24].mean(dim=(2, 3))
            for split in (sprites.train, sprites.test)
        )
        reader = GaussianNB().fit(train, sprites.train.labels[factor])
        assert reader.score(test, sprites.test.labels[factor]) > at_least, factor


def test_pixels_to_look_at_are_bytes_that_use_the_whole_range(sprites: Dataset) -> None:
    pixels = sprites.as_pixels(sprites.train.images[:200])
    assert pixels.dtype == torch.uint8
    assert pixels.min() < 30
    assert pixels.max() > 225


@pytest.mark.parametrize("shortcut", [-0.1, 1.5, float("nan")])
def test_a_shortcut_outside_0_to_1_is_refused(shortcut: float) -> None:
    with pytest.raises(ConfigError, match=r"data\.shortcut: expected between 0 and 1, got"):
        load("sprites", shortcut=shortcut, cache_folder="unused")
