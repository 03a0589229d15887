"""Frozen features of images, without touching the model."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from vcr_core.models import Model

BATCH = 500


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


def extract_features(model: Model, images: Tensor, *, batch_size: int = BATCH) -> Tensor:
    """Penultimate features (N, D) of images (N, C, H, W), float32.

    Batch-norm statistics, dropout, gradients and all random state stay as they are.
    """
    with frozen(model):
        return torch.cat([model.features(part).float() for part in images.split(batch_size)])
