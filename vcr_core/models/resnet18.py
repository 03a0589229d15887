"""Torchvision's ResNet-18, with a stem for small images."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torchvision.models import resnet18 as torchvision_resnet18

from vcr_core.models.base import Model, classifier, register
from vcr_core.models.catalog import RESNET18_BLOCKS_PER_STAGE, RESNET18_STAGES

SMALL_IMAGE = 64


class ResNet18(Model):
    """ResNet-18 (He et al., arXiv 1512.03385), its modules named as torchvision names them.

    Images of up to 64 pixels get a 3x3 stem of stride 1 and no max-pooling, so that they are not
    shrunk to nothing.
    """

    def __init__(self, in_shape: tuple[int, int, int], num_classes: int, *, dropout: float) -> None:
        super().__init__()
        network = torchvision_resnet18()
        small = max(in_shape[1:]) <= SMALL_IMAGE
        if small or in_shape[0] != network.conv1.in_channels:
            kernel, stride, padding = (3, 1, 1) if small else (7, 2, 3)
            network.conv1 = nn.Conv2d(in_shape[0], 64, kernel, stride, padding, bias=False)
        self.feature_dim = network.fc.in_features
        self.conv1, self.bn1, self.relu = network.conv1, network.bn1, network.relu
        self.maxpool = nn.Identity() if small else network.maxpool
        stages = [f"layer{stage}" for stage in range(1, RESNET18_STAGES + 1)]
        for stage in stages:
            self.add_module(stage, getattr(network, stage))
        self.avgpool = nn.Sequential(network.avgpool, nn.Flatten())
        self.head = classifier(self.feature_dim, num_classes, dropout)
        blocks = range(RESNET18_BLOCKS_PER_STAGE)
        self.block_names = (
            *(f"{stage}.{block}" for stage in stages for block in blocks),
            "avgpool",
        )
        self._stages = stages

    def features(self, x: Tensor) -> Tensor:
        """Penultimate features (N, 512)."""
        z = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        for stage in self._stages:
            z = self.get_submodule(stage)(z)
        features: Tensor = self.avgpool(z)
        return features


@register
def resnet18(
    *, in_shape: tuple[int, int, int], num_classes: int, dropout: float, **_: Any
) -> ResNet18:
    """ResNet-18 for images (C, H, W)."""
    return ResNet18(in_shape, num_classes, dropout=dropout)
