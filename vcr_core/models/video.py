"""Networks for clips (N, C, T, H, W): torchvision's video networks, and one for laptops.

Their modules are named as torchvision names them, so that its weights for Kinetics-400 fit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn
from torch.nn import functional
from torchvision.models import video as torchvision_video
from torchvision.models.video.swin_transformer import PatchMerging

from vcr_core.models.base import Model, classifier, register
from vcr_core.models.catalog import RESNET_STAGES, SWIN_STAGES, block_names

ClipShape = tuple[int, int, int, int]


class ResidualBlock3d(nn.Module):
    """relu(x' + bn(conv(relu(bn(conv(x)))))), where x' is x or its 1x1x1 projection."""

    def __init__(self, channels_in: int, channels_out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(channels_in, channels_out, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm3d(channels_out)
        self.conv2 = nn.Conv3d(channels_out, channels_out, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm3d(channels_out)
        self.shortcut = (
            nn.Identity()
            if stride == 1 and channels_in == channels_out
            else nn.Conv3d(channels_in, channels_out, 1, stride, bias=False)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, T, H, W) -> (N, C', T / stride, H / stride, W / stride)."""
        z = functional.relu(self.norm1(self.conv1(x)))
        return functional.relu(self.norm2(self.conv2(z)) + self.shortcut(x))


class SmallVideo(Model):
    """A stem that halves every frame, three residual blocks of ``width``, 2 and 4 times ``width``
    channels, of which the later two halve frames and time, then the mean over all places.
    """

    def __init__(
        self, in_shape: ClipShape, num_classes: int, *, width: int, dropout: float
    ) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv3d(in_shape[0], width, 3, (1, 2, 2), 1, bias=False),
            nn.BatchNorm3d(width),
            nn.ReLU(),
        )
        self.blocks = nn.Sequential(
            ResidualBlock3d(width, width, stride=1),
            ResidualBlock3d(width, 2 * width, stride=2),
            ResidualBlock3d(2 * width, 4 * width, stride=2),
        )
        self.pool = nn.Sequential(nn.AdaptiveAvgPool3d(1), nn.Flatten())
        self.feature_dim = 4 * width
        self.head = classifier(self.feature_dim, num_classes, dropout)
        self.block_names = block_names("video-small")

    def features(self, x: Tensor) -> Tensor:
        """Penultimate features (N, 4 · width) of clips (N, C, T, H, W)."""
        features: Tensor = self.pool(self.blocks(self.stem(x)))
        return features


class VideoResNet(Model):
    """One of the residual networks of Tran et al., arXiv 1711.11248."""

    def __init__(
        self, name: str, network: Any, in_shape: ClipShape, num_classes: int, *, dropout: float
    ) -> None:
        super().__init__()
        _fit_channels(network, in_shape)
        self.feature_dim = network.fc.in_features
        self.stem = network.stem
        self._stages = [f"layer{stage}" for stage in range(1, RESNET_STAGES + 1)]
        for stage in self._stages:
            self.add_module(stage, getattr(network, stage))
        self.avgpool = nn.Sequential(network.avgpool, nn.Flatten())
        self.head = classifier(self.feature_dim, num_classes, dropout)
        self.block_names = block_names(name)

    def features(self, x: Tensor) -> Tensor:
        """Penultimate features (N, 512) of clips (N, C, T, H, W)."""
        z = self.stem(x)
        for stage in self._stages:
            z = self.get_submodule(stage)(z)
        features: Tensor = self.avgpool(z)
        return features


class S3D(Model):
    """Separable 3-D inception (Xie et al., arXiv 1712.04851); features are the mean over places.

    Torchvision averages windows of 2 x 7 x 7 places first, which small clips do not have.
    """

    def __init__(self, in_shape: ClipShape, num_classes: int, *, dropout: float) -> None:
        super().__init__()
        self.network = torchvision_video.s3d()
        _fit_channels(self.network, in_shape)
        self.feature_dim = self.network.classifier[1].in_channels
        self.network.avgpool = nn.AdaptiveAvgPool3d(1)
        self.network.classifier = nn.Identity()
        self.head = classifier(self.feature_dim, num_classes, dropout)
        self.block_names = block_names("s3d")

    def features(self, x: Tensor) -> Tensor:
        """Penultimate features (N, 1024) of clips (N, C, T, H, W)."""
        places = self.network.avgpool(self.network.features(x))
        features: Tensor = self.network.classifier(places.flatten(1))
        return features


class Tap(nn.Identity):
    """Passes maps (N, C, T, H, W) on."""

    channels_first = True  # read by the regulariser


class Swin3d(Model):
    """A video Swin transformer (Liu et al., arXiv 2106.13230), tiny.

    Its stages keep channels last; ``taps`` see them as (N, C, T, H, W).
    """

    def __init__(self, in_shape: ClipShape, num_classes: int, *, dropout: float) -> None:
        super().__init__()
        self.network = torchvision_video.swin3d_t()
        _fit_channels(self.network, in_shape)
        self.feature_dim = self.network.num_features
        self.network.head = nn.Identity()
        self.taps = nn.ModuleList(Tap() for _ in range(SWIN_STAGES))
        self.pool = nn.Sequential(nn.AdaptiveAvgPool3d(1), nn.Flatten())
        self.head = classifier(self.feature_dim, num_classes, dropout)
        self.block_names = block_names("swin3d-t")

    def features(self, x: Tensor) -> Tensor:
        """Penultimate features (N, 768) of clips (N, C, T, H, W)."""
        z = self.network.pos_drop(self.network.patch_embed(x))  # (N, T, H, W, C)
        taps = iter(self.taps)
        for part in self.network.features:
            z = part(z)
            if not isinstance(part, PatchMerging):
                z = next(taps)(z.movedim(-1, 1)).movedim(1, -1)
        features: Tensor = self.pool(self.network.norm(z).movedim(-1, 1))
        return features


def _fit_channels(network: nn.Module, in_shape: ClipShape) -> None:
    """Give a network made for colours a first convolution for C channels."""
    name, first = next(
        (name, module) for name, module in network.named_modules() if isinstance(module, nn.Conv3d)
    )
    if first.in_channels == in_shape[0]:
        return
    fitting = nn.Conv3d(
        in_shape[0],
        first.out_channels,
        first.kernel_size,  # type: ignore[arg-type]
        first.stride,  # type: ignore[arg-type]
        first.padding,  # type: ignore[arg-type]
        bias=first.bias is not None,
    )
    network.set_submodule(name, fitting)


def _resnet(
    name: str, make: Callable[[], Any], in_shape: ClipShape, num_classes: int, dropout: float
) -> VideoResNet:
    return VideoResNet(name, make(), in_shape, num_classes, dropout=dropout)


@register
def video_small(
    *, in_shape: ClipShape, num_classes: int, width: int, dropout: float, **_: Any
) -> SmallVideo:
    """The small video network for clips (C, T, H, W)."""
    return SmallVideo(in_shape, num_classes, width=width, dropout=dropout)


@register
def r3d_18(*, in_shape: ClipShape, num_classes: int, dropout: float, **_: Any) -> VideoResNet:
    """R3D-18 for clips (C, T, H, W)."""
    return _resnet("r3d-18", torchvision_video.r3d_18, in_shape, num_classes, dropout)


@register
def mc3_18(*, in_shape: ClipShape, num_classes: int, dropout: float, **_: Any) -> VideoResNet:
    """MC3-18 for clips (C, T, H, W)."""
    return _resnet("mc3-18", torchvision_video.mc3_18, in_shape, num_classes, dropout)


@register
def r2plus1d_18(*, in_shape: ClipShape, num_classes: int, dropout: float, **_: Any) -> VideoResNet:
    """R(2+1)D-18 for clips (C, T, H, W)."""
    return _resnet("r2plus1d-18", torchvision_video.r2plus1d_18, in_shape, num_classes, dropout)


@register
def s3d(*, in_shape: ClipShape, num_classes: int, dropout: float, **_: Any) -> S3D:
    """S3D for clips (C, T, H, W)."""
    return S3D(in_shape, num_classes, dropout=dropout)


@register
def swin3d_t(*, in_shape: ClipShape, num_classes: int, dropout: float, **_: Any) -> Swin3d:
    """Video Swin-T for clips (C, T, H, W)."""
    return Swin3d(in_shape, num_classes, dropout=dropout)
