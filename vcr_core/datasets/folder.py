"""A folder of your own images, one sub-folder a class."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor
from torchvision.datasets import ImageFolder
from torchvision.transforms import functional as transforms

from vcr_core.datasets.catalog import FOLDER
from vcr_core.datasets.split import Dataset, Split, generator, make_dataset, random_rows
from vcr_core.errors import ConfigError, DataError

HELD_OUT = 0.2


def load(
    *,
    seed: int,
    train_size: int | None,
    test_size: int | None,
    folder: Path | None,
    image_size: int,
) -> Dataset:
    """The images under ``folder``, (N, 3, image_size, image_size), with the factor ``class``.

    The shorter side is scaled to ``image_size`` and the middle kept. A fifth of every class is
    held out, one image at least; the seed decides which.

    Raises:
        ConfigError: no folder given.
        DataError: no such folder, fewer than two classes, a class with fewer than two images, an
            image that does not decode.
    """
    if folder is None:
        raise ConfigError(
            "expected the path of a folder with one sub-folder a class, got none",
            field="data.folder",
        )
    found = _find(folder)
    images = torch.stack([_read(path, image_size) for path, _ in found.samples])
    everything = Split(images, {"class": torch.tensor(found.targets)})
    train, test = _held_out(everything.labels["class"], seed)
    return make_dataset(
        FOLDER,
        everything.take(train[random_rows(len(train), train_size, seed, field="data.train_size")]),
        everything.take(test[random_rows(len(test), test_size, seed, field="data.test_size")]),
        class_names={"class": tuple(found.classes)},
    )


def _find(folder: Path) -> Any:
    if not folder.is_dir():
        raise DataError(f"expected a folder with one sub-folder a class, '{folder}' is none")
    classes = sorted(path.name for path in folder.iterdir() if path.is_dir())
    if len(classes) < 2:
        there = f"only '{classes[0]}'" if classes else "none"
        raise DataError(
            f"expected at least 2 sub-folders, one a class, in '{folder}', found {there}"
        )
    found = ImageFolder(folder, allow_empty=True)
    for index, name in enumerate(found.classes):
        count = found.targets.count(index)
        if count < 2:
            raise DataError(
                f"expected at least 2 images in '{folder / name}', one to train on and one to "
                f"test on, found {count}"
            )
    return found


def _read(path: str, image_size: int) -> Tensor:
    """One image as (3, image_size, image_size) in [0, 1]."""
    try:
        with Image.open(path) as opened:
            image = opened.convert("RGB")
    except (UnidentifiedImageError, OSError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(
            f"expected an image that can be decoded, '{path}' is none ({error}): "
            f"remove or replace it"
        ) from error
    resized = transforms.resize(image, [image_size], antialias=True)
    pixels: Tensor = transforms.pil_to_tensor(transforms.center_crop(resized, [image_size]))
    return pixels.float().div_(255)


def _held_out(labels: Tensor, seed: int) -> tuple[Tensor, Tensor]:
    """Rows to train on and rows to test on, the same share of every class."""
    draws = generator(seed, "folder")
    train, test = [], []
    for label in range(int(labels.max()) + 1):
        rows = (labels == label).nonzero().flatten()
        rows = rows[torch.randperm(len(rows), generator=draws)]
        held_out = max(1, round(HELD_OUT * len(rows)))
        test.append(rows[:held_out])
        train.append(rows[held_out:])
    return torch.cat(train), torch.cat(test)
