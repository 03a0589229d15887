"""Images with several labellings each, as tensors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vcr_core.errors import DataError


@dataclass(frozen=True)
class Split:
    """Images (N, C, H, W) float32, standardised, and int64 labels (N,) for every factor."""

    images: Tensor
    labels: Mapping[str, Tensor]

    def head(self, count: int | None) -> Split:
        """The first ``count`` images, or all."""
        if count is None or count >= len(self.images):
            return self
        labels = {name: values[:count] for name, values in self.labels.items()}
        return Split(self.images[:count], labels)


@dataclass(frozen=True)
class Dataset:
    """A training and a test split, and the class names of every factor."""

    name: str
    train: Split
    test: Split
    class_names: Mapping[str, tuple[str, ...]]


Labels = Mapping[str, NDArray[np.int64]]


def make_dataset(
    name: str,
    class_names: Mapping[str, tuple[str, ...]],
    train: tuple[NDArray[np.uint8], Labels],
    test: tuple[NDArray[np.uint8], Labels],
) -> Dataset:
    """From uint8 images (N, C, H, W) to standardised tensors.

    Every channel is standardised by its mean and standard deviation over the training images.

    Raises:
        DataError: there is a factor with one class only among the training images.
    """
    images = torch.from_numpy(train[0]).float()
    mean = images.mean(dim=(0, 2, 3), keepdim=True)
    std = images.std(dim=(0, 2, 3), keepdim=True).clamp_min(1.0)
    for factor, labels in train[1].items():
        if len(np.unique(labels)) < 2:  # noqa: PLR2004
            raise DataError(
                f"expected at least two classes of '{factor}' among the {len(labels)} training "
                f"images of '{name}', got one: use more images"
            )
    return Dataset(
        name=name,
        train=Split((images - mean) / std, _tensors(train[1])),
        test=Split((torch.from_numpy(test[0]).float() - mean) / std, _tensors(test[1])),
        class_names=class_names,
    )


def _tensors(labels: Labels) -> dict[str, Tensor]:
    return {name: torch.from_numpy(values.astype(np.int64)) for name, values in labels.items()}
