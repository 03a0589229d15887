"""Sprites: rendered shapes whose factors are independent, so that nothing but the task decides
what a network keeps.

Each image is one shape on a background, 32 x 32 pixels, RGB. Shape, colour, texture, background,
scale and both positions are drawn independently and uniformly; within a class, hue, size, place
and angle vary a little, and every pixel carries noise. Nothing here imports torch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from vcr_core.datasets.catalog import SPRITES

SIZE = 32
NOISE = 6.0
CHUNK = 500
Floats = NDArray[np.float32]
Labels = dict[str, NDArray[np.int64]]

COLOURS = np.array(
    [(225, 55, 50), (240, 200, 40), (60, 180, 75), (60, 205, 215), (50, 90, 220), (160, 70, 190)],
    dtype=np.float32,
)
# Each background runs from a colour at the top to one at the bottom.
BACKGROUNDS = np.array(
    [
        [(190, 220, 245), (235, 242, 248)],
        [(150, 185, 120), (105, 145, 85)],
        [(225, 205, 165), (195, 165, 120)],
        [(120, 85, 120), (215, 150, 125)],
        [(20, 25, 50), (55, 55, 85)],
    ],
    dtype=np.float32,
)
RADII = np.array([0.30, 0.42, 0.56], dtype=np.float32)
CENTRES = np.array([-0.36, 0.0, 0.36], dtype=np.float32)


def render(
    count: int, *, seed: int, shortcut: float = 0.0
) -> tuple[NDArray[np.uint8], Labels]:
    """``count`` images (N, 3, 32, 32) uint8 and the labels (N,) of every factor.

    ``shortcut`` is the share of images whose colour is the one that belongs to their shape.
    The same arguments give the same images on every machine.
    """
    random = np.random.default_rng(seed)
    labels = {
        factor: random.integers(len(classes), size=count)
        for factor, classes in SPRITES.factors.items()
    }
    tied = random.random(count) < shortcut
    labels["colour"] = np.where(tied, labels["shape"] % len(COLOURS), labels["colour"])
    parts = [
        _render_chunk({name: values[start : start + CHUNK] for name, values in labels.items()}, random)
        for start in range(0, count, CHUNK)
    ]
    return np.concatenate(parts), labels


def _render_chunk(labels: Mapping[str, NDArray[np.int64]], random: np.random.Generator) -> NDArray[np.uint8]:
    count = len(labels["shape"])
    axis = (np.arange(SIZE, dtype=np.float32) + 0.5) / SIZE * 2 - 1
    x, y = axis[None, None, :], axis[None, :, None]

    def vary(amount: float, *shape: int) -> Floats:
        return random.uniform(-amount, amount, (count, *shape)).astype(np.float32)

    radius = (RADII[labels["scale"]] + vary(0.04))[:, None, None]
    u = x - (CENTRES[labels["x-position"]] + vary(0.09))[:, None, None]
    v = (CENTRES[labels["y-position"]] + vary(0.09))[:, None, None] - y
    angle = vary(0.3)[:, None, None]
    u, v = (
        (u * np.cos(angle) - v * np.sin(angle)) / radius,
        (u * np.sin(angle) + v * np.cos(angle)) / radius,
    )
    distance = np.empty((count, SIZE, SIZE), dtype=np.float32)
    for index, shape in enumerate(SPRITES.factors["shape"]):
        chosen = labels["shape"] == index
        distance[chosen] = SHAPES[shape](u[chosen], v[chosen])
    cover = np.clip(0.5 - distance * radius * SIZE / 2, 0, 1)[:, None]
    shade = _shade(labels["texture"], u * radius, v * radius)[:, None]
    ink = (COLOURS[labels["colour"]] + vary(22, 3))[:, :, None, None] * shade
    image = ink * cover + _background(labels["background"], vary(16, 3), y) * (1 - cover)
    image += random.standard_normal(image.shape, dtype=np.float32) * NOISE
    return np.clip(image, 0, 255).astype(np.uint8)


def _background(kinds: NDArray[np.int64], tint: Floats, y: Floats) -> Floats:
    top, bottom = BACKGROUNDS[kinds, 0], BACKGROUNDS[kinds, 1]
    share = ((y + 1) / 2)[:, None]
    background: Floats = (top + tint)[:, :, None, None] * (1 - share)
    background = background + (bottom + tint)[:, :, None, None] * share
    return np.broadcast_to(background, (len(kinds), 3, SIZE, SIZE))


def _shade(textures: NDArray[np.int64], u: Floats, v: Floats) -> Floats:
    """Brightness (N, 32, 32) of the shape's surface; (u, v) in units of half the image."""
    wave = 2 * np.pi / 0.30
    across, along = np.cos(wave * u), np.cos(wave * v)
    patterns = {
        "plain": np.zeros_like(u),
        "stripes": across > 0,
        "dots": across + along > 0.7,
        "checks": across * along > 0,
    }
    shade = np.ones_like(u)
    for index, texture in enumerate(SPRITES.factors["texture"]):
        chosen = textures == index
        shade[chosen] = 1 - 0.45 * patterns[texture][chosen]
    return shade


def _circle(u: Floats, v: Floats) -> Floats:
    return np.hypot(u, v) - 0.95


def _square(u: Floats, v: Floats) -> Floats:
    return np.maximum(np.abs(u), np.abs(v)) - 0.82


def _triangle(u: Floats, v: Floats) -> Floats:
    return np.maximum(0.866 * np.abs(u) + 0.5 * v, -v) - 0.55


def _star(u: Floats, v: Floats) -> Floats:
    spike = np.arccos(np.cos(5 * np.arctan2(u, v))) / np.pi
    return 0.7 * (np.hypot(u, v) - (1.1 - 0.62 * spike))


def _cross(u: Floats, v: Floats) -> Floats:
    wide = np.maximum(np.abs(u) - 0.95, np.abs(v) - 0.32)
    tall = np.maximum(np.abs(v) - 0.95, np.abs(u) - 0.32)
    return np.minimum(wide, tall)


def _heart(u: Floats, v: Floats) -> Floats:
    lobes = np.hypot(np.abs(u) - 0.44, v - 0.34) - 0.5
    point = np.maximum(0.72 * np.abs(u) - 0.69 * v - 0.66, v - 0.34)
    return np.minimum(lobes, point)


# Signed distance to a shape's outline, negative inside, in units of its radius.
SHAPES: Mapping[str, Callable[[Floats, Floats], Floats]] = {
    "circle": _circle,
    "square": _square,
    "triangle": _triangle,
    "star": _star,
    "cross": _cross,
    "heart": _heart,
}
