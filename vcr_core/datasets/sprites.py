"""Sprites: small coloured shapes on painted backgrounds, every factor drawn on its own.

coordinates (N, H, W)  →  coverage of the shape  →  texture  →  paint over the background
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from vcr_core.datasets.catalog import SPRITES
from vcr_core.datasets.outlines import OUTLINES
from vcr_core.datasets.spec import DataSpec
from vcr_core.datasets.split import Dataset, Split, generator, make_dataset

SIZE = 32
PIXEL = 2.0 / SIZE  # the picture spans [-1, 1] both ways
CHUNK = 250  # images painted at once: small enough for the processor's cache

COLOURS = {
    "red": (0.90, 0.22, 0.21),
    "yellow": (0.97, 0.80, 0.20),
    "green": (0.25, 0.70, 0.32),
    "cyan": (0.25, 0.80, 0.85),
    "blue": (0.20, 0.38, 0.88),
    "purple": (0.66, 0.28, 0.78),
}
#: Colour at the top and at the bottom of each background.
BACKGROUNDS = {
    "sky": ((0.48, 0.62, 0.76), (0.74, 0.76, 0.74)),
    "meadow": ((0.62, 0.71, 0.60), (0.49, 0.58, 0.39)),
    "sand": ((0.74, 0.73, 0.66), (0.72, 0.62, 0.47)),
    "dusk": ((0.47, 0.41, 0.52), (0.79, 0.58, 0.46)),
    "night": ((0.28, 0.31, 0.37), (0.41, 0.40, 0.42)),
}
RADIUS = {"small": 0.42, "medium": 0.58, "large": 0.76}
POSITION = (-0.28, 0.0, 0.28)
COLOUR_JITTER, POSITION_JITTER, RADIUS_JITTER, TILT = 0.03, 0.09, 0.05, 0.2
TEXTURE_WAVES, TEXTURE_DEPTH = 15.0, 0.3
NOISE = 0.03


@dataclass(frozen=True)
class _Chance:
    """What is random about each sprite beside its labels; ranges are those of the constants."""

    centre: Tensor  # (N, 2)
    radius: Tensor  # (N,)
    tilt: Tensor  # (N,) radians
    phase: Tensor  # (N, 2) radians, of the texture
    colour: Tensor  # (N, 3)
    background: Tensor  # (N, 2, 3) top and bottom


def load(spec: DataSpec) -> Dataset:
    """Render the sprites, (N, 3, 32, 32). Any size can be asked for.

    ``shortcut`` is the share of training images whose colour is given by the shape. Test images
    and the images that probes learn from are free of it.
    """
    seed, train_size = spec.seed, spec.train_size or SPRITES.train_size
    return make_dataset(
        spec,
        render(train_size, generator(seed, "sprites, train"), shortcut=spec.shortcut),
        render(spec.test_size or SPRITES.test_size, generator(seed, "sprites, test")),
        probe=render(train_size, generator(seed, "sprites, probe")) if spec.shortcut else None,
    )


def render(count: int, draws: torch.Generator, *, shortcut: float = 0.0) -> Split:
    """``count`` sprites with images in [0, 1] before noise, and the labels of every factor."""
    labels = _labels(count, draws, shortcut)
    chance = _chance(labels, draws)
    images = torch.empty(count, 3, SIZE, SIZE).normal_(std=NOISE, generator=draws)
    for rows in torch.split(torch.arange(count), CHUNK):
        images[rows] += _paint(rows, labels, chance)
    return Split(images, labels)


def _labels(count: int, draws: torch.Generator, shortcut: float) -> dict[str, Tensor]:
    labels = {
        factor: torch.randint(len(classes), (count,), generator=draws)
        for factor, classes in SPRITES.factors.items()
    }
    tied = torch.rand(count, generator=draws) < shortcut
    labels["colour"] = torch.where(tied, labels["shape"], labels["colour"])
    return labels


def _chance(labels: Mapping[str, Tensor], draws: torch.Generator) -> _Chance:
    count = len(labels["shape"])

    def around_zero(*shape: int) -> Tensor:
        """Uniform in [-1, 1]."""
        return torch.rand(count, *shape, generator=draws) * 2 - 1

    position, radius = torch.tensor(POSITION), torch.tensor(list(RADIUS.values()))
    centre = torch.stack([position[labels["x-position"]], position[labels["y-position"]]], dim=1)
    colours, backgrounds = (
        torch.tensor(list(COLOURS.values())),
        torch.tensor(list(BACKGROUNDS.values())),
    )
    return _Chance(
        centre=centre + POSITION_JITTER * around_zero(2),
        radius=radius[labels["scale"]] + RADIUS_JITTER * around_zero(),
        tilt=TILT * around_zero(),
        phase=math.pi * around_zero(2),
        colour=colours[labels["colour"]] + COLOUR_JITTER * around_zero(3),
        background=backgrounds[labels["background"]] + COLOUR_JITTER * around_zero(2, 3),
    )


def _paint(rows: Tensor, labels: Mapping[str, Tensor], chance: _Chance) -> Tensor:
    """The pictures of ``rows`` (M,), (M, 3, H, W), without noise."""
    axis = (torch.arange(SIZE) + 0.5) * PIXEL - 1
    centre = chance.centre[rows]
    across = (axis - centre[:, :1]).unsqueeze(1)  # (M, 1, W)
    down = (axis - centre[:, 1:]).unsqueeze(2)  # (M, H, 1)
    cos, sin = (f(chance.tilt[rows]).view(-1, 1, 1) for f in (torch.cos, torch.sin))
    u, v = cos * across + sin * down, cos * down - sin * across  # (M, H, W)
    distance = _distance(u, v, labels["shape"][rows], chance.radius[rows])
    coverage = (0.5 - distance / PIXEL).clamp_(0, 1)
    shade = 1 - TEXTURE_DEPTH * _texture(u, v, labels["texture"][rows], chance.phase[rows])
    paint = chance.colour[rows].view(-1, 3, 1, 1) * shade.unsqueeze(1)
    return torch.lerp(_backdrop(chance.background[rows]), paint, coverage.unsqueeze(1))


def _distance(u: Tensor, v: Tensor, shape: Tensor, radius: Tensor) -> Tensor:
    """Signed distance (M, H, W) of every pixel from the outline, negative inside."""
    size = radius.view(-1, 1, 1)
    distance = torch.empty_like(u)
    for index, name in enumerate(SPRITES.factors["shape"]):
        rows = (shape == index).nonzero().flatten()
        scaled_u, scaled_v = u[rows] / size[rows], v[rows] / size[rows]
        distance[rows] = OUTLINES[name](scaled_u, scaled_v) * size[rows]
    return distance


def _texture(u: Tensor, v: Tensor, texture: Tensor, phase: Tensor) -> Tensor:
    """Where a texture darkens the paint, (M, H, W) in [0, 1]."""
    pattern = torch.zeros_like(u)
    for index, name in enumerate(SPRITES.factors["texture"]):
        if name in PATTERNS:
            rows = (texture == index).nonzero().flatten()
            a, b = phase[rows].view(-1, 2, 1, 1).unbind(1)
            pattern[rows] = PATTERNS[name](u[rows] * TEXTURE_WAVES + a, v[rows] * TEXTURE_WAVES + b)
    return pattern


def _soft(wave: Tensor) -> Tensor:
    """A wave in [-1, 1] as soft-edged areas in [0, 1]."""
    return torch.sigmoid(6 * wave)


PATTERNS: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = {
    "stripes": lambda u, v: _soft(torch.sin((u + v) * 0.8)),
    "dots": lambda u, v: _soft(torch.sin(u) + torch.sin(v) - 1.0),
    "checks": lambda u, v: _soft(torch.sin(u * 0.7) * torch.sin(v * 0.7) * 1.5),
}


def _backdrop(ends: Tensor) -> Tensor:
    """From the colours of top and bottom (M, 2, 3) to a vertical gradient (M, 3, H, W)."""
    fall = torch.linspace(0, 1, SIZE).view(1, 1, SIZE, 1)
    top, bottom = ends.unsqueeze(-1).unsqueeze(-1).unbind(1)  # (M, 3, 1, 1) each
    return torch.lerp(top, bottom, fall).expand(-1, -1, -1, SIZE)
