"""Torchvision's ConvNeXt, tiny and small enough for a laptop, with stems for small images."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torchvision.models.convnext import CNBlockConfig
from torchvision.models.convnext import ConvNeXt as TorchvisionConvNeXt

from vcr_core.models.base import SMALL_IMAGE, Model, classifier, register
from vcr_core.models.catalog import (
    CONVNEXT_TINY_DEPTHS,
    SMALL_CONVNEXT_DEPTHS,
    block_names,
)

TINY_WIDTHS = (96, 192, 384, 768)
TINY_STOCHASTIC_DEPTH = 0.1
SMALLEST_MAP = 2  # pixels that the last stage has at least, where the image allows it


class ConvNeXt(Model):
    """A ConvNeXt (Liu et al., arXiv 2201.03545) made of torchvision's parts.

    The stem takes patches of 4 pixels; of images up to 64 pixels smaller ones, so that the last
    stage still sees a map and not a point.
    """

    def __init__(
        self,
        name: str,
        in_shape: tuple[int, int, int],
        num_classes: int,
        *,
        widths: tuple[int, ...],
        depths: tuple[int, ...],
        dropout: float,
        stochastic_depth: float,
    ) -> None:
        super().__init__()
        stages = [
            CNBlockConfig(width, after, depth)
            for width, after, depth in zip(widths, (*widths[1:], None), depths, strict=True)
        ]
        self.network = TorchvisionConvNeXt(stages, stochastic_depth_prob=stochastic_depth)
        patch = _patch(in_shape, len(stages))
        if in_shape[0] != 3 or patch != 4:
            self.network.features[0][0] = nn.Conv2d(in_shape[0], widths[0], patch, patch)
        self.network.classifier[-1] = nn.Identity()
        self.feature_dim = widths[-1]
        self.head = classifier(self.feature_dim, num_classes, dropout)
        self.block_names = block_names(name)

    def features(self, x: Tensor) -> Tensor:
        """Penultimate features (N, last width): the normalised mean over all places."""
        features: Tensor = self.network(x)
        return features


def _patch(in_shape: tuple[int, int, int], stages: int) -> int:
    size = min(in_shape[1:])
    if size > SMALL_IMAGE:
        return 4
    halvings = 2 ** (stages - 1)
    return max(
        patch for patch in (1, 2, 4) if patch == 1 or size // (patch * halvings) >= SMALLEST_MAP
    )


@register
def convnext_tiny(
    *, in_shape: tuple[int, int, int], num_classes: int, dropout: float, **_: Any
) -> ConvNeXt:
    """ConvNeXt-T for images (C, H, W)."""
    return ConvNeXt(
        "convnext-tiny",
        in_shape,
        num_classes,
        widths=TINY_WIDTHS,
        depths=CONVNEXT_TINY_DEPTHS,
        dropout=dropout,
        stochastic_depth=TINY_STOCHASTIC_DEPTH,
    )


@register
def small_convnext(
    *, in_shape: tuple[int, int, int], num_classes: int, width: int, dropout: float, **_: Any
) -> ConvNeXt:
    """Three stages of ``width``, 2 and 4 times ``width`` channels."""
    return ConvNeXt(
        "small-convnext",
        in_shape,
        num_classes,
        widths=(width, 2 * width, 4 * width),
        depths=SMALL_CONVNEXT_DEPTHS,
        dropout=dropout,
        stochastic_depth=0.0,
    )
