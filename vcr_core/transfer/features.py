"""Frozen features of images, without touching the model."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from vcr_core.datasets.streaming import Images, parts_of
from vcr_core.models import Model

BATCH = 500
#: Clips are larger than images: no more of them at a time than this holds, in bytes of float32.
PART_BYTES = 300 << 20


@contextmanager
def frozen(model: nn.Module) -> Iterator[None]:
    """Evaluation mode without gradients; every module's own mode is restored afterwards."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module, training in modes.items():
            module.training = training


def extract_features(model: Model, images: Images, *, batch_size: int = BATCH) -> Tensor:
    """Penultimate features (N, D) of images (N, C, H, W), float32.

    Batch-norm statistics, dropout, gradients and all random state stay as they are.
    """
    size = max(1, min(batch_size, PART_BYTES // (4 * images.shape[1:].numel())))
    with frozen(model):
        return torch.cat([model.features(part).float() for part in parts_of(images, size)])


class FrozenFeatures:
    """The features of a model as it is now, each set of images passed through it once."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._kept: dict[int, tuple[Images, Tensor]] = {}

    def __call__(self, images: Images) -> Tensor:
        """Features (N, D) of images (N, C, H, W); the same tensor is not extracted twice."""
        if id(images) not in self._kept:
            self._kept[id(images)] = (images, extract_features(self._model, images))
        return self._kept[id(images)][1]
