"""A folder of one's own images: read, split the same way every time, clear when unusable."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from vcr_core.datasets import load
from vcr_core.errors import DataError


def write_class(folder: Path, name: str, count: int, *, size: tuple[int, int] = (40, 24)) -> None:
    (folder / name).mkdir(parents=True)
    random = np.random.default_rng(len(name))
    for index in range(count):
        pixels = random.integers(0, 256, (*size, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / name / f"{index}.png")


def test_images_are_squared_and_a_fifth_of_every_class_is_held_out(tmp_path: Path) -> None:
    write_class(tmp_path, "cats", 10)
    write_class(tmp_path, "dogs", 20, size=(16, 64))
    data = load("folder", folder=tmp_path, image_size=16)
    assert data.train.images.shape == (24, 3, 16, 16)
    assert torch.bincount(data.test.labels["class"]).tolist() == [2, 4]
    assert data.class_names == {"class": ("cats", "dogs")}


def test_the_split_depends_on_the_seed_alone(tmp_path: Path) -> None:
    write_class(tmp_path, "cats", 10)
    write_class(tmp_path, "dogs", 10)
    first, again, other = (load("folder", folder=tmp_path, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(first.test.images, again.test.images)
    assert not torch.equal(first.test.images, other.test.images)


def test_no_folder_given_names_the_field() -> None:
    with pytest.raises(DataError, match=r"data\.folder: expected the path of a folder"):
        load("folder")


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="missing' is none"):
        load("folder", folder=tmp_path / "missing")


@pytest.mark.parametrize(("classes", "found"), [((), "none"), (("cats",), "only 'cats'")])
def test_fewer_than_two_classes_are_refused(
    tmp_path: Path, classes: tuple[str, ...], found: str
) -> None:
    for name in classes:
        write_class(tmp_path, name, 3)
    with pytest.raises(DataError, match=f"at least 2 sub-folders.*found {found}"):
        load("folder", folder=tmp_path)


def test_a_class_without_images_is_named(tmp_path: Path) -> None:
    write_class(tmp_path, "cats", 3)
    write_class(tmp_path, "dogs", 0)
    with pytest.raises(DataError, match=r"at least 2 images in .*dogs.*found 0"):
        load("folder", folder=tmp_path)


@pytest.mark.parametrize("content", [b"this is no picture", b""])
def test_an_image_that_does_not_decode_is_named(tmp_path: Path, content: bytes) -> None:
    write_class(tmp_path, "cats", 3)
    write_class(tmp_path, "dogs", 3)
    (tmp_path / "dogs" / "broken.png").write_bytes(content)
    with pytest.raises(DataError, match=r"can be decoded, '.*broken\.png' is none"):
        load("folder", folder=tmp_path)


def test_a_truncated_image_is_named(tmp_path: Path) -> None:
    write_class(tmp_path, "cats", 3)
    write_class(tmp_path, "dogs", 3)
    whole = tmp_path / "dogs" / "1.png"
    whole.write_bytes(whole.read_bytes()[:600])
    with pytest.raises(DataError, match=r"can be decoded, '.*1\.png' is none"):
        load("folder", folder=tmp_path)
