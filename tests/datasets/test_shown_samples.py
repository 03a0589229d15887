"""Sheets of images to look at: the right ones, with their labels, each page others."""

from __future__ import annotations

import numpy as np
import torch

from vcr_core.config import AugmentationConfig
from vcr_core.datasets import Dataset, load
from vcr_core.datasets.augmentation import Augmentation
from vcr_core.datasets.samples import LARGEST_SIDE, VIEWS, Look, class_counts, draw_sheet, sheet_of


def digits() -> Dataset:
    return load("digits", seed=0)


def look_at(data: Dataset, **changes: object) -> Look:
    return Look(**{"mean": data.mean, "std": data.std, **changes})


def test_pages_of_a_class_show_every_image_of_it_once() -> None:
    data = digits()
    fours = (data.test.labels["digit"] == 4).nonzero().flatten().tolist()
    shown: list[int] = []
    for page in range(-(-len(fours) // 20)):
        sheet = draw_sheet(
            data.test.images, data.test.labels, look_at(data), factor="digit", label=4, page=page,
            count=20,
        )  # fmt: skip
        assert sheet.total == len(fours)
        assert set(sheet.labels["digit"]) == {4}
        assert set(sheet.labels["parity"]) == {0}
        shown += sheet.rows.tolist()
    assert sorted(shown) == sorted(fours)
    again = draw_sheet(
        data.test.images, data.test.labels, look_at(data), factor="digit", label=4, page=99999,
        count=20,
    )  # fmt: skip
    assert set(again.rows.tolist()) <= set(fours)  # pages come round


def test_a_picture_is_the_one_in_the_file() -> None:
    data = digits()
    sheet = draw_sheet(data.test.images, data.test.labels, look_at(data), factor="digit", count=5)
    assert sheet.images.shape == (5, 1, 8, 8, 1)
    expected = data.as_pixels(data.test.images[torch.from_numpy(sheet.rows)])
    np.testing.assert_array_equal(sheet.images[:, 0, :, :, 0], expected[:, 0])
    for factor, labels in data.test.labels.items():
        np.testing.assert_array_equal(sheet.labels[factor], labels[torch.from_numpy(sheet.rows)])


def test_varied_images_come_after_the_image_itself() -> None:
    data = digits()
    amounts = AugmentationConfig(crop_padding=2)
    varied = Augmentation(amounts, mean=data.mean, std=data.std)
    sheet = draw_sheet(
        data.train.images,
        data.train.labels,
        look_at(data, augmentation=varied),
        factor="digit",
        count=8,
    )
    plain = draw_sheet(data.train.images, data.train.labels, look_at(data), factor="digit", count=8)
    assert sheet.images.shape[1] == 1 + VIEWS
    np.testing.assert_array_equal(sheet.images[:, :1], plain.images)
    assert (sheet.images[:, 1:] != sheet.images[:, :1]).any()


def test_large_pictures_are_scaled_down_and_points_stay_points() -> None:
    large = torch.rand(2, 3, 300, 200)
    look = Look(torch.zeros(3), torch.ones(3))
    sheet = sheet_of(large, {}, look, torch.arange(2), 2)
    assert sheet.images.shape == (2, 1, LARGEST_SIDE, 64, 3)
    moons = load("two-moons", seed=0)
    drawn = draw_sheet(moons.test.images, moons.test.labels, look_at(moons), factor="moon", count=3)
    assert drawn.points.shape == (1000, 2)
    assert -1.6 < drawn.points[:, 0].min() < drawn.points[:, 0].max() < 2.6  # as they were drawn
    assert len(drawn.images) == 0


def test_a_class_without_images_gives_an_empty_sheet() -> None:
    data = digits()
    sheet = draw_sheet(data.test.images, data.test.labels, look_at(data), factor="digit", label=10)
    assert (sheet.total, len(sheet.rows), len(sheet.images)) == (0, 0, 0)


def test_classes_are_counted_also_those_without_images() -> None:
    assert class_counts(torch.tensor([0, 2, 2]), 4) == [1, 0, 2, 0]


def test_crops_of_another_size_stand_beside_the_image_at_its_own() -> None:
    data = load("digits", seed=0)
    amounts = AugmentationConfig(smallest_crop=0.5, crop_size=12)
    look = Look(data.mean, data.std, Augmentation(amounts, mean=data.mean, std=data.std))
    pixels = look.pixels(data.test.images[:3])
    assert pixels.shape[0] == 3
    assert pixels.shape[1] > 1
    assert pixels.shape[2:4] == data.test.images.shape[2:]
