"""A first convolution that whitens small patches of the training images, and is not trained.

With Σ = V diag(λ) Vᵀ the second moments of patches of C · k · k numbers, its filters are
± v_i / sqrt(λ_i + eps) for the directions v_i of largest λ_i, as many as there are filters for.
Source: Page, "How to train your ResNet" (2018), and Jordan, arXiv 2404.00498, section 3.1.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from vcr_core.errors import ConfigError

EPS = 5e-4  # of images standardised to a variance of 1
IMAGES = 5000
PIECE = 64


def whiten_first_convolution(model: nn.Module, images: Tensor) -> None:
    """Set the model's first convolution by images (N, C, H, W), and freeze it.

    An odd filter, and those beyond two for each direction, stay as they were drawn.

    Raises:
        ConfigError: a network without a convolution.
    """
    first = next((each for each in model.modules() if isinstance(each, nn.Conv2d)), None)
    if first is None:
        raise ConfigError(
            "expected a network that begins with a convolution, this one has none: choose another, "
            "or do without whitening",
            field="model.whitening",
        )
    filters = whitening_filters(images, first.kernel_size, first.out_channels // 2)
    both = torch.cat([filters, -filters]).to(first.weight)
    with torch.no_grad():
        first.weight[: len(both)] = both
    first.weight.requires_grad_(False)


def whitening_filters(images: Tensor, size: tuple[int, ...], most: int) -> Tensor:
    """The whitening directions of patches of ``size``, largest first: (F, C, *size), F ≤ most."""
    channels = images.shape[1]
    total, count = torch.zeros(()), 0
    for piece in torch.split(images, PIECE):  # all patches at once would be many times the images
        patches = functional.unfold(piece.float(), size)  # (N, C · k · k, places)
        total = total + torch.einsum("nip,njp->ij", patches, patches)
        count += patches.shape[0] * patches.shape[2]
    moments = total / count
    values, directions = torch.linalg.eigh(moments.double())
    scaled: Tensor = directions / (values.clamp_min(0) + EPS).sqrt()
    return scaled.flip(1).T[:most].reshape(-1, channels, *size).float()
