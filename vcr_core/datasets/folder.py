"""A folder of your own images, one sub-folder a class."""

from __future__ import annotations

import torch
from torch import Tensor

from vcr_core.datasets.own_images import find_images, open_image
from vcr_core.datasets.pictures import ScaledPixels
from vcr_core.datasets.spec import DataSpec
from vcr_core.datasets.split import Dataset, Split, generator, make_dataset, rows_asked_for

HELD_OUT = 0.2


def load(spec: DataSpec) -> Dataset:
    """The images under ``folder``, (N, 3, image_size, image_size), with the factor ``class``.

    The shorter side is scaled to ``resize``, or ``image_size``, and the middle kept. A fifth of
    every class is held out, one image at least; the seed decides which.

    Raises:
        DataError: no folder given or there, fewer than two classes, a class with fewer than two
            images, an image that does not decode.
    """
    found = find_images(spec.folder)
    samples = [(path, label) for label, paths in enumerate(found.values()) for path in paths]
    middle = ScaledPixels(spec.image_size, spec.resize)
    images = torch.stack([middle(open_image(path)).float().div_(255) for path, _ in samples])
    everything = Split(images, {"class": torch.tensor([label for _, label in samples])})
    train, test = _held_out(everything.labels["class"], spec.seed)
    of_train, of_test = rows_asked_for(spec, len(train), len(test))
    return make_dataset(
        spec,
        everything.take(train[of_train]),
        everything.take(test[of_test]),
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
