"""Torchvision's ResNets, with a stem for small images."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn
from torchvision.models import ResNet as TorchvisionResNet
from torchvision.models import resnet18 as torchvision_resnet18
from torchvision.models import resnet34 as torchvision_resnet34
from torchvision.models import resnet50 as torchvision_resnet50

from vcr_core.models.base import SMALL_IMAGE, Model, classifier, register
from vcr_core.models.catalog import RESNET_STAGES, block_names


class ResNet(Model):
    """A ResNet (He et al., arXiv 1512.03385), its modules named as torchvision names them.

    Images of up to 64 pixels get a 3x3 stem of stride 1 and no max-pooling, so that they are not
    shrunk to nothing.
    """

    def __init__(
        self,
        name: str,
        network: TorchvisionResNet,
        in_shape: tuple[int, int, int],
        num_classes: int,
        *,
        dropout: float,
    ) -> None:
        super().__init__()
        small = max(in_shape[1:]) <= SMALL_IMAGE
        if small or in_shape[0] != network.conv1.in_channels:
            kernel, stride, padding = (3, 1, 1) if small else (7, 2, 3)
            network.conv1 = nn.Conv2d(in_shape[0], 64, kernel, stride, padding, bias=False)
        self.feature_dim = network.fc.in_features
        self.conv1, self.bn1, self.relu = network.conv1, network.bn1, network.relu
        self.maxpool = nn.Identity() if small else network.maxpool
        self._stages = [f"layer{stage}" for stage in range(1, RESNET_STAGES + 1)]
        for stage in self._stages:
            self.add_module(stage, getattr(network, stage))
        self.avgpool = nn.Sequential(network.avgpool, nn.Flatten())
        self.head = classifier(self.feature_dim, num_classes, dropout)
        self.block_names = block_names(name)

    def features(self, x: Tensor) -> Tensor:
        """Penultimate features (N, 512), of ResNet-50 (N, 2048)."""
        z = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        for stage in self._stages:
            z = self.get_submodule(stage)(z)
        features: Tensor = self.avgpool(z)
        return features


def _resnet(
    name: str,
    make: Callable[[], TorchvisionResNet],
    in_shape: tuple[int, int, int],
    num_classes: int,
    dropout: float,
) -> ResNet:
    return ResNet(name, make(), in_shape, num_classes, dropout=dropout)


@register
def resnet18(
    *, in_shape: tuple[int, int, int], num_classes: int, dropout: float, **_: Any
) -> ResNet:
    """ResNet-18 for images (C, H, W)."""
    return _resnet("resnet18", torchvision_resnet18, in_shape, num_classes, dropout)


@register
def resnet34(
    *, in_shape: tuple[int, int, int], num_classes: int, dropout: float, **_: Any
) -> ResNet:
    """ResNet-34 for images (C, H, W)."""
    return _resnet("resnet34", torchvision_resnet34, in_shape, num_classes, dropout)


@register
def resnet50(
    *, in_shape: tuple[int, int, int], num_classes: int, dropout: float, **_: Any
) -> ResNet:
    """ResNet-50 for images (C, H, W)."""
    return _resnet("resnet50", torchvision_resnet50, in_shape, num_classes, dropout)
