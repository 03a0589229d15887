"""Noisy, blurred and shifted versions of test images, in five severities.

After the idea of Hendrycks and Dietterich, arXiv 1903.12261; strengths are ours, made for small
images: lengths scale with the image. Every corruption takes pixels (N, C, H, W) in [0, 1] and
gives pixels in [0, 1]. All frames of a clip (N, C, T, H, W) suffer the same, but for noise, which
is drawn anew for each.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.nn import functional
from torchvision.transforms import functional as transforms

from vcr_core.datasets.corruption_names import parse_corruption

NOISE_STD = (0.04, 0.08, 0.14, 0.22, 0.32)
SALTED = (0.01, 0.03, 0.06, 0.12, 0.2)  # share of pixels
BLUR_STD = (0.4, 0.6, 0.9, 1.3, 1.8)  # pixels of a 32-pixel image
CONTRAST = (0.75, 0.55, 0.4, 0.25, 0.15)  # factor
BRIGHTNESS = (0.1, 0.2, 0.3, 0.4, 0.5)  # added
PIXELATED = (0.75, 0.6, 0.45, 0.33, 0.25)  # share of the resolution that is left
SHIFTED = (0.04, 0.08, 0.12, 0.18, 0.25)  # of the side
TURNED = (5, 10, 20, 30, 45)  # degrees
INVERTED = (0.25, 0.5, 0.75, 0.9, 1.0)  # from the image itself to its negative


def corrupt(pixels: Tensor, corruption: str, draws: torch.Generator) -> Tensor:
    """Pixels (N, C, H, W) in [0, 1] as ``corruption`` ("noise-3") leaves them; chance from draws.

    Raises:
        ConfigError: no such corruption.
    """
    name, severity = parse_corruption(corruption)
    flat = pixels.clamp(0, 1).flatten(1, -3)  # frames are channels
    changed = _BY_NAME[name](flat, severity - 1, draws).clamp_(0, 1)
    return changed.reshape(pixels.shape)


def _noise(pixels: Tensor, level: int, draws: torch.Generator) -> Tensor:
    return pixels + NOISE_STD[level] * torch.randn(pixels.shape, generator=draws)


def _salt(pixels: Tensor, level: int, draws: torch.Generator) -> Tensor:
    shape = (len(pixels), 1, *pixels.shape[2:])
    hit = torch.rand(shape, generator=draws) < SALTED[level]
    white = (torch.rand(shape, generator=draws) < 0.5).float()
    return torch.where(hit, white, pixels)


def _blur(pixels: Tensor, level: int, draws: torch.Generator) -> Tensor:
    side = min(pixels.shape[2:])
    std = max(0.3, BLUR_STD[level] * side / 32)
    reach = min(math.ceil(3 * std), side - 1)
    blurred: Tensor = transforms.gaussian_blur(pixels, [2 * reach + 1] * 2, [std, std])
    return blurred if reach else pixels.clone()


def _contrast(pixels: Tensor, level: int, draws: torch.Generator) -> Tensor:
    return pixels.mean(dim=(1, 2, 3), keepdim=True).lerp(pixels, CONTRAST[level])


def _brightness(pixels: Tensor, level: int, draws: torch.Generator) -> Tensor:
    return pixels + BRIGHTNESS[level]


def _pixelate(pixels: Tensor, level: int, draws: torch.Generator) -> Tensor:
    size = [max(1, round(side * PIXELATED[level])) for side in pixels.shape[2:]]
    small = functional.interpolate(pixels, size=size, mode="area")
    return functional.interpolate(small, size=pixels.shape[2:], mode="nearest")


def _shift(pixels: Tensor, level: int, draws: torch.Generator) -> Tensor:
    """Every image, or point (N, 2, 1, 1), by one distance, each in a direction of its own."""
    count, channels, height, width = pixels.shape
    angle = 2 * math.pi * torch.rand(count, 1, generator=draws)
    if (channels, height, width) == (2, 1, 1):
        step = torch.cat([angle.cos(), angle.sin()], dim=1).view(count, 2, 1, 1)
        return pixels + SHIFTED[level] * step
    down = (SHIFTED[level] * height * angle.sin()).round().long()
    across = (SHIFTED[level] * width * angle.cos()).round().long()
    rows = (torch.arange(height) + down).clamp(0, height - 1)
    columns = (torch.arange(width) + across).clamp(0, width - 1)
    places = (rows.unsqueeze(2) * width + columns.unsqueeze(1)).view(count, 1, -1)
    return pixels.flatten(2).gather(2, places.expand(-1, channels, -1)).view_as(pixels)


def _rotate(pixels: Tensor, level: int, draws: torch.Generator) -> Tensor:
    sign = torch.randint(2, (len(pixels),), generator=draws) * 2 - 1
    angle = math.radians(TURNED[level]) * sign
    theta = torch.zeros(len(pixels), 2, 3)
    theta[:, 0, 0], theta[:, 0, 1] = angle.cos(), -angle.sin()
    theta[:, 1, 0], theta[:, 1, 1] = angle.sin(), angle.cos()
    grid = functional.affine_grid(theta, list(pixels.shape), align_corners=False)
    return functional.grid_sample(pixels, grid, padding_mode="border", align_corners=False)


def _invert(pixels: Tensor, level: int, draws: torch.Generator) -> Tensor:
    return pixels.lerp(1 - pixels, INVERTED[level])


_BY_NAME: Mapping[str, Callable[[Tensor, int, torch.Generator], Tensor]] = {
    "noise": _noise,
    "salt": _salt,
    "blur": _blur,
    "contrast": _contrast,
    "brightness": _brightness,
    "pixelate": _pixelate,
    "shift": _shift,
    "rotate": _rotate,
    "invert": _invert,
}
