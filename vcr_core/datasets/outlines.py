"""Outlines of the sprites as signed distances: negative inside, in units of the radius.

Each function takes coordinates u (to the right) and v (downwards), any shape, and returns the
distance from the outline, exact near the edge, which is where a pixel is partly covered.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

STAR_POINTS, STAR_WAIST = 5, 0.45


def circle(u: Tensor, v: Tensor) -> Tensor:
    return torch.hypot(u, v) - 0.88


def square(u: Tensor, v: Tensor) -> Tensor:
    return torch.maximum(u.abs(), v.abs()) - 0.78


def triangle(u: Tensor, v: Tensor) -> Tensor:
    """Equilateral, one corner up."""
    sides = 0.5 * math.sqrt(3) * u.abs() - 0.5 * v
    return torch.maximum(sides, v) - 0.55


def star(u: Tensor, v: Tensor) -> Tensor:
    """Five points, one of them up: all edges are folded onto one."""
    sector = math.pi / STAR_POINTS
    angle = torch.atan2(u, -v)
    folded = (torch.remainder(angle + sector, 2 * sector) - sector).abs()
    along = STAR_WAIST * math.cos(sector) - 1.0
    aside = STAR_WAIST * math.sin(sector)
    length = math.hypot(along, aside)
    radius = torch.hypot(u, v)
    x, y = radius * folded.cos(), radius * folded.sin()
    return ((x - 1.0) * aside - y * along) / length


def cross(u: Tensor, v: Tensor) -> Tensor:
    long, wide = 0.92, 0.32
    level = torch.maximum(u.abs() - long, v.abs() - wide)
    upright = torch.maximum(u.abs() - wide, v.abs() - long)
    return torch.minimum(level, upright)


def heart(u: Tensor, v: Tensor) -> Tensor:
    """A square on its corner with a half disc on each of its upper edges."""
    half = 0.52
    right, left = (u - v) / math.sqrt(2), (-u - v) / math.sqrt(2)
    box = torch.maximum(right.abs(), left.abs()) - half
    discs = torch.minimum(torch.hypot(right - half, left), torch.hypot(right, left - half)) - half
    return torch.minimum(box, discs)


OUTLINES: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = {
    "circle": circle,
    "square": square,
    "triangle": triangle,
    "star": star,
    "cross": cross,
    "heart": heart,
}
