"""Moving shapes: what moves, and how, is what the labels say; a clip's frames are varied alike."""

from __future__ import annotations

import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from vcr_core.config import AugmentationConfig
from vcr_core.datasets import DATASETS, Dataset, load
from vcr_core.datasets.augmentation import Augmentation
from vcr_core.datasets.corruption_names import CORRUPTIONS
from vcr_core.datasets.corruptions import corrupt
from vcr_core.datasets.samples import STRIP, VIEWS, Look

ENTRY = DATASETS["moving-shapes"]
COUNT = 600


@pytest.fixture(scope="module")
def data() -> Dataset:
    return load("moving-shapes", seed=3, train_size=COUNT, test_size=300)


def distance_from_ground(clips: Tensor) -> Tensor:
    """How far every pixel (N, T, H, W) is from the ground, which the corners show."""
    pixels = clips.squeeze(1)
    ground = torch.cat([pixels[..., :2, :2], pixels[..., -2:, -2:]], dim=-1).flatten(1).median(1)
    away = (pixels - ground.values.view(-1, 1, 1, 1)).abs()
    return (away - away.amax(dim=(1, 2, 3), keepdim=True) * 0.35).clamp_min(0)


def test_equal_seeds_give_equal_clips_and_others_others() -> None:
    first, again = (load("moving-shapes", seed=1, train_size=40, test_size=n) for n in (10, 12))
    assert first.train.images.shape == (40, 1, 8, 24, 24)
    assert torch.equal(first.train.images, again.train.images)
    other = load("moving-shapes", seed=2, train_size=40, test_size=10)
    assert not torch.equal(first.train.images, other.train.images)


def test_slides_move_the_centre_and_growth_the_area(data: Dataset) -> None:
    """Measured on the pixels: the centre of mass to the right, the area outwards."""
    mass = distance_from_ground(data.train.images)
    area = mass.sum(dim=(2, 3))
    columns = torch.arange(24.0)
    across = (mass.sum(dim=2) * columns).sum(dim=2) / area.clamp_min(1e-6)
    moved, grown = across[:, -1] - across[:, 0], area[:, -1] / area[:, 0].clamp_min(1e-6)
    fast = data.train.labels["speed"] == 1
    names = ENTRY.factors["motion"]

    def of(motion: str, values: Tensor) -> Tensor:
        return values[(data.train.labels["motion"] == names.index(motion)) & fast].median()

    assert of("right", moved) > 6 > -6 > of("left", moved)
    assert of("growing", grown) > 2
    assert of("shrinking", grown) < 0.5
    for motion in ("clockwise", "counter-clockwise"):
        assert of(motion, moved).abs() < 1
        assert 0.8 < of(motion, grown) < 1.25


def test_clockwise_is_the_mirror_image_of_counter_clockwise(data: Dataset) -> None:
    """The angle of the bright half, followed from frame to frame."""
    mass = distance_from_ground(data.train.images)
    axis = torch.arange(24.0)
    area = mass.sum(dim=(2, 3))
    x = (mass.sum(dim=2) * axis).sum(dim=2) / area
    y = (mass.sum(dim=3) * axis).sum(dim=2) / area
    covered = (mass > 0).float()
    count = covered.sum(dim=(2, 3))
    dx = x - (covered.sum(dim=2) * axis).sum(dim=2) / count
    dy = y - (covered.sum(dim=3) * axis).sum(dim=2) / count
    turn = torch.atan2(dx[:, :-1] * dy[:, 1:] - dy[:, :-1] * dx[:, 1:],
                       dx[:, :-1] * dx[:, 1:] + dy[:, :-1] * dy[:, 1:]).sum(dim=1)  # fmt: skip
    circle = data.train.labels["shape"] == 0
    names = ENTRY.factors["motion"]
    clockwise = turn[circle & (data.train.labels["motion"] == names.index("clockwise"))]
    back = turn[circle & (data.train.labels["motion"] == names.index("counter-clockwise"))]
    assert clockwise.median() > 0.5 > -0.5 > back.median()  # y grows downwards


@pytest.mark.parametrize("frame", [0, 4])
def test_no_single_frame_tells_the_motion(data: Dataset, frame: int) -> None:
    """A linear classifier on one frame stays near chance; on where the mass moved it does not."""
    labels, held_out = data.train.labels["motion"], data.test.labels["motion"]

    def accuracy(of: Tensor, on: Tensor) -> float:
        probe = LogisticRegression(C=1e-2, max_iter=300).fit(of.flatten(1), labels)
        return float(probe.score(on.flatten(1), held_out))

    train, test = data.train.images, data.test.images
    assert accuracy(train[:, :, frame], test[:, :, frame]) < 0.35
    motion = [distance_from_ground(each)[:, -1] - distance_from_ground(each)[:, 0]
              for each in (train, test)]  # fmt: skip
    assert accuracy(*motion) > 0.4


def test_factors_are_independent_but_for_the_shortcut() -> None:
    tied = load("moving-shapes", seed=0, train_size=500, test_size=500, shortcut=0.9)
    agree = {
        name: float((split.labels["motion"] == split.labels["shape"]).float().mean())
        for name, split in (("train", tied.train), ("probe", tied.probe), ("test", tied.test))
    }
    assert agree["train"] > 0.85
    assert agree["probe"] == pytest.approx(1 / 6, abs=0.07)
    assert agree["test"] == pytest.approx(1 / 6, abs=0.07)


def test_all_frames_of_a_clip_are_varied_alike() -> None:
    still = torch.rand(6, 3, 1, 12, 12, generator=torch.Generator().manual_seed(0))
    amounts = AugmentationConfig(
        crop_padding=2, smallest_crop=0.5, flip=0.5, jitter=0.5, grey=0.3, blur=0.5, erasing=0.5,
        cutout=3,
    )  # fmt: skip
    vary = Augmentation(amounts, mean=torch.full((3,), 0.5), std=torch.full((3,), 0.2))
    varied = vary(still.expand(-1, -1, 5, -1, -1), torch.Generator().manual_seed(1))
    assert varied.shape == (6, 3, 5, 12, 12)
    torch.testing.assert_close(varied[:, :, :1].expand_as(varied), varied)
    alone = vary(still.squeeze(2), torch.Generator().manual_seed(1))  # as a picture of its own
    torch.testing.assert_close(varied[:, :, 0], alone, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("corruption", CORRUPTIONS)
def test_all_frames_of_a_clip_suffer_the_same_but_for_noise(corruption: str) -> None:
    draws = torch.Generator().manual_seed(0)
    still = torch.rand(6, 3, 1, 12, 12, generator=draws).expand(-1, -1, 4, -1, -1)
    spoilt = corrupt(still, f"{corruption}-4", draws)
    assert spoilt.shape == still.shape
    assert not torch.equal(spoilt, still)
    alike = spoilt[:, :, :1].expand_as(spoilt)
    assert torch.equal(alike, spoilt) == (corruption != "noise")


def test_views_of_a_clip_are_strips(data: Dataset) -> None:
    vary = Augmentation(AugmentationConfig(smallest_crop=0.5, crop_size=16), data.mean, data.std)
    look = Look(data.mean, data.std, vary)
    assert look.pixels(data.test.images[:3]).shape == (3, 1 + VIEWS, 24, STRIP * 24, 1)
