"""The operations of AutoAugment on a batch: every image with a strength of its own.

Pixels (N, C, H, W) are in 0 to 255. What torchvision does to one picture of 8 bits, sample by
sample on the device that the batch lies on. All of an image's geometry is one nearest-neighbour
lookup; what comes from outside is black.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from vcr_core.device_copies import send

WHITE = 255.0
#: Luma of ITU-R 601, the grey that torchvision takes too.
GREY = (0.2989, 0.587, 0.114)
SOFTEN = ((1 / 13, 1 / 13, 1 / 13), (1 / 13, 5 / 13, 1 / 13), (1 / 13, 1 / 13, 1 / 13))


class Draw(NamedTuple):
    """What each of N images suffers: the operation's place in ``NAMES`` and its strength, (N,)."""

    operations: Tensor
    strengths: Tensor


def apply(pixels: Tensor, draw: Draw) -> Tensor:
    """Pixels (N, C, H, W) in 0 to 255 after each image's own operation."""
    changed = pixels.clone()
    moved = draw.operations < len(_GEOMETRY)
    for place, operation in enumerate(_OPERATIONS):
        rows = (draw.operations == place + len(_GEOMETRY)).nonzero().flatten()
        if len(rows):
            there = send(rows, pixels.device)
            strengths = send(draw.strengths[rows].to(pixels.dtype), pixels.device)
            strengths = strengths.view(-1, 1, 1, 1)
            changed[there] = operation(pixels[there], strengths)
    rows = moved.nonzero().flatten()
    if len(rows):
        there = send(rows, pixels.device)
        theta = _theta(draw.operations[rows], draw.strengths[rows], pixels.shape[-2:])
        changed[there] = _looked_up(pixels[there], send(theta.to(pixels.dtype), pixels.device))
    return changed


def _theta(operations: Tensor, strengths: Tensor, size: Sequence[int]) -> Tensor:
    """The maps (N, 2, 3) from places of the result to places of the image, in [-1, 1]."""
    height, width = size
    theta = torch.eye(2, 3).repeat(len(operations), 1, 1)
    for place, geometry in enumerate(_GEOMETRY):
        rows = (operations == place).nonzero().flatten()
        if len(rows):
            theta[rows] = geometry(strengths[rows], width, height)
    return theta


def _looked_up(pixels: Tensor, theta: Tensor) -> Tensor:
    grid = functional.affine_grid(theta, list(pixels.shape), align_corners=False)
    return functional.grid_sample(
        pixels, grid, mode="nearest", padding_mode="zeros", align_corners=False
    )


# ------------------------------------------------------------------------------------ geometry

Geometry = Callable[[Tensor, int, int], Tensor]


def _map(count: int, entries: Mapping[tuple[int, int], Tensor]) -> Tensor:
    theta = torch.eye(2, 3).repeat(count, 1, 1)
    for (row, column), value in entries.items():
        theta[:, row, column] = value
    return theta


def _shear_x(strengths: Tensor, width: int, height: int) -> Tensor:
    """Rows slide against the top one by ``strength`` times their distance from it."""
    slope = strengths * height / width
    return _map(len(strengths), {(0, 1): slope, (0, 2): slope})


def _shear_y(strengths: Tensor, width: int, height: int) -> Tensor:
    slope = strengths * width / height
    return _map(len(strengths), {(1, 0): slope, (1, 2): slope})


def _translate_x(strengths: Tensor, width: int, _: int) -> Tensor:
    """To the right by whole pixels."""
    return _map(len(strengths), {(0, 2): -2 * strengths.trunc() / width})


def _translate_y(strengths: Tensor, _: int, height: int) -> Tensor:
    return _map(len(strengths), {(1, 2): -2 * strengths.trunc() / height})


def _rotate(strengths: Tensor, width: int, height: int) -> Tensor:
    """Counter-clockwise by degrees, about the middle."""
    angle = strengths * math.pi / 180
    sine, cosine = angle.sin(), angle.cos()
    return _map(
        len(strengths),
        {
            (0, 0): cosine,
            (0, 1): -sine * height / width,
            (1, 0): sine * width / height,
            (1, 1): cosine,
        },
    )


# -------------------------------------------------------------------------------------- colours

Operation = Callable[[Tensor, Tensor], Tensor]


def _grey(pixels: Tensor) -> Tensor:
    """(N, 1, H, W) in whole levels; the mean over channels where there are not three."""
    channels = pixels.shape[1]
    shares = torch.tensor(GREY if channels == len(GREY) else [1 / channels] * channels)
    luma = send(shares.to(pixels.dtype), pixels.device)
    return (pixels * luma.view(1, -1, 1, 1)).sum(dim=1, keepdim=True).floor_()


def _blend(pixels: Tensor, other: Tensor, strengths: Tensor) -> Tensor:
    """(1 + m) pixels − m other, in whole levels: m = −1 is the other, m = 0 the image itself."""
    factor = 1 + strengths
    return (factor * pixels + (1 - factor) * other).clamp_(0, WHITE).floor_()


def _identity(pixels: Tensor, _: Tensor) -> Tensor:
    return pixels


def _brightness(pixels: Tensor, strengths: Tensor) -> Tensor:
    return _blend(pixels, torch.zeros_like(pixels), strengths)


def _colour(pixels: Tensor, strengths: Tensor) -> Tensor:
    return pixels if pixels.shape[1] == 1 else _blend(pixels, _grey(pixels), strengths)


def _contrast(pixels: Tensor, strengths: Tensor) -> Tensor:
    return _blend(pixels, _grey(pixels).mean(dim=(1, 2, 3), keepdim=True), strengths)


def _sharpness(pixels: Tensor, strengths: Tensor) -> Tensor:
    """Against a softened image; the outermost pixels stay."""
    channels, (height, width) = pixels.shape[1], pixels.shape[2:]
    if min(height, width) <= 2:
        return pixels
    soft = pixels.clone()
    kernel = send(torch.tensor(SOFTEN, dtype=pixels.dtype), pixels.device)
    kernel = kernel.expand(channels, 1, 3, 3)
    soft[:, :, 1:-1, 1:-1] = functional.conv2d(pixels, kernel, groups=channels).round_()
    return _blend(pixels, soft, strengths)


def _posterize(pixels: Tensor, bits: Tensor) -> Tensor:
    """Only the highest ``bits`` of the eight are kept."""
    step = torch.exp2(8 - bits.round())
    return (pixels / step).floor_().mul_(step)


def _solarize(pixels: Tensor, threshold: Tensor) -> Tensor:
    """Levels from the threshold on are turned into their negative."""
    return torch.where(pixels >= threshold, WHITE - pixels, pixels)


def _invert(pixels: Tensor, _: Tensor) -> Tensor:
    return WHITE - pixels


def _auto_contrast(pixels: Tensor, _: Tensor) -> Tensor:
    """Every channel stretched to the whole range."""
    low, high = pixels.amin(dim=(2, 3), keepdim=True), pixels.amax(dim=(2, 3), keepdim=True)
    flat = high == low
    scale = WHITE / torch.where(flat, WHITE, high - low)
    return ((pixels - torch.where(flat, 0.0, low)) * scale).clamp_(0, WHITE).floor_()


def _equalize(pixels: Tensor, _: Tensor) -> Tensor:
    """Every channel's levels spread so that their histogram is even, by PIL's rule."""
    levels = pixels.flatten(2).flatten(0, 1).long()  # (N · C, H · W)
    histogram = levels.new_zeros(len(levels), 256)
    histogram.scatter_add_(1, levels, torch.ones_like(levels))
    last = histogram.gather(1, levels.amax(dim=1, keepdim=True))
    step = (levels.shape[1] - last) // 255
    before = histogram.cumsum(dim=1) - histogram
    table = ((before + step // 2) // step.clamp_min(1)).clamp_(0, 255)
    equal = table.gather(1, levels).view_as(pixels).to(pixels)
    return torch.where((step == 0).view(*pixels.shape[:2], 1, 1), pixels, equal)


_GEOMETRY: tuple[Geometry, ...] = (_shear_x, _shear_y, _translate_x, _translate_y, _rotate)
_OPERATIONS: tuple[Operation, ...] = (
    *(_identity, _brightness, _colour, _contrast, _sharpness),
    *(_posterize, _solarize, _auto_contrast, _equalize, _invert),
)
#: Torchvision's names, in the order of the two tuples above.
NAMES = (
    *("ShearX", "ShearY", "TranslateX", "TranslateY", "Rotate"),
    *("Identity", "Brightness", "Color", "Contrast", "Sharpness"),
    *("Posterize", "Solarize", "AutoContrast", "Equalize", "Invert"),
)
