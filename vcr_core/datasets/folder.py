"""A folder of your own images, one sub-folder a class."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from vcr_core.datasets.catalog import FOLDER
from vcr_core.datasets.own_images import find_images, open_image
from vcr_core.datasets.pictures import ScaledPixels
from vcr_core.datasets.split import Dataset, Split, generator, make_dataset, random_rows

HELD_OUT = 0.2


def load(
    *,
    seed: int,
    train_size: int | None,
    test_size: int | None,
    folder: Path | None,
    image_size: int,
    resize: int | None = None,
) -> Dataset:
    """The images under ``folder``, (N, 3, image_size, image_size), with the factor ``class``.

    The shorter side is scaled to ``resize``, or ``image_size``, and the middle kept. A fifth of
    every class is held out, one image at least; the seed decides which.

    Raises:
        DataError: no folder given or there, fewer than two classes, a class with fewer than two
            images, an image that does not decode.
    """
    found = find_images(folder)
    samples = [(path, label) for label, paths in enumerate(found.values()) for path in paths]
    middle = ScaledPixels(image_size, resize)
    images = torch.stack([middle(open_image(path)).float().div_(255) for path, _ in samples])
    everything = Split(images, {"class": torch.tensor([label for _, label in samples])})
    train, test = _held_out(everything.labels["class"], seed)
    return make_dataset(
        FOLDER,
        everything.take(train[random_rows(len(train), train_size, seed, field="data.train_size")]),
        everything.take(test[random_rows(len(test), test_size, seed, field="data.test_size")]),
        class_names={"class": tuple(found)},
    )


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
