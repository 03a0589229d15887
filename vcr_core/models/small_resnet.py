"""A residual network that learns in seconds on a laptop."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from vcr_core.models.base import Model, classifier, register

HALVED_FROM = 24
NARROW = 8


class Projection(nn.Conv2d):
    """A 1x1 convolution with a stride, for the shortcut of a block.

    With fewer than ``NARROW`` channels it takes every stride-th pixel first, which is the same: on
    processors whose vectors hold 8 numbers (AVX2), oneDNN as of torch 2.15 writes past the end of
    its buffers in the backward of such a convolution in channels-last order.
    """

    def __init__(self, channels_in: int, channels_out: int, stride: int) -> None:
        super().__init__(channels_in, channels_out, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C', H / stride, W / stride)."""
        if self.in_channels >= NARROW:
            return super().forward(x)
        height, width = self.stride
        return functional.conv2d(x[:, :, ::height, ::width], self.weight)


class ResidualBlock(nn.Module):
    """relu(x' + bn(conv(relu(bn(conv(x)))))), where x' is x or its 1x1 projection."""

    def __init__(self, channels_in: int, channels_out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(channels_out)
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels_out)
        self.shortcut = (
            nn.Identity()
            if stride == 1 and channels_in == channels_out
            else Projection(channels_in, channels_out, stride)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C', H / stride, W / stride)."""
        z = functional.relu(self.norm1(self.conv1(x)))
        return functional.relu(self.norm2(self.conv2(z)) + self.shortcut(x))


class SmallResNet(Model):
    """A stem, three residual blocks of ``width``, 2 and 4 times ``width`` channels, the mean.

    The stem halves images of 24 pixels or more. Weights and images are kept channels-last, which
    is a quarter faster on a CPU.
    """

    def __init__(
        self, in_shape: tuple[int, int, int], num_classes: int, *, width: int, dropout: float
    ) -> None:
        super().__init__()
        stem_stride = 2 if min(in_shape[1:]) >= HALVED_FROM else 1
        self.stem = nn.Sequential(
            nn.Conv2d(in_shape[0], width, 3, stem_stride, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
        )
        self.blocks = nn.Sequential(
            ResidualBlock(width, width, stride=1),
            ResidualBlock(width, 2 * width, stride=2),
            ResidualBlock(2 * width, 4 * width, stride=2),
        )
        self.pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.feature_dim = 4 * width
        self.head = classifier(self.feature_dim, num_classes, dropout)
        self.block_names = (*(f"blocks.{index}" for index in range(len(self.blocks))), "pool")

    def features(self, x: Tensor) -> Tensor:
        """Penultimate features (N, 4 · width)."""
        x = x.contiguous(memory_format=torch.channels_last)
        features: Tensor = self.pool(self.blocks(self.stem(x)))
        return features


@register
def small_resnet(
    *, in_shape: tuple[int, int, int], num_classes: int, width: int, dropout: float, **_: Any
) -> SmallResNet:
    """The small ResNet for images (C, H, W)."""
    network = SmallResNet(in_shape, num_classes, width=width, dropout=dropout)
    return network.to(memory_format=torch.channels_last)
