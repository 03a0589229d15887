"""Points of the plane as SVG text: two moons, and what networks make of them.

Groups differ in shape as well as in colour. Colours have at least 3 to 1 of contrast on white and
on our dark paper, so that the same text serves both themes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

COLOURS = ("#2b85cf", "#d2691e", "#1d9577", "#c0559e", "#8a8f9c", "#a58a1f")
SIZE = 520
MARGIN = 10
HALF = 3.6
QUIET = 4
"""The group that stays in the background: small grey discs."""
PAGE = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}">{body}</svg>'


def points_svg(points: NDArray[np.float32], groups: NDArray[np.int64]) -> str:
    """Points (N, 2), each drawn as the group that ``groups`` (N,) says; the quiet one below all."""
    height, places = _fitted(points)
    body = "".join(
        f'<g fill="{COLOURS[group % len(COLOURS)]}" fill-opacity="0.78">'
        + "".join(_mark(group, x, y) for x, y in places[groups == group])
        + "</g>"
        for group in sorted(map(int, np.unique(groups)), key=lambda group: group != QUIET)
    )
    return PAGE.format(width=SIZE, height=round(height), body=body)


def mark_svg(group: int) -> str:
    """How the points of a group look, for a legend."""
    body = f'<g fill="{COLOURS[group % len(COLOURS)]}">{_mark(group, 6, 6)}</g>'
    return PAGE.format(width=12, height=12, body=body)


def _fitted(points: NDArray[np.float32]) -> tuple[float, NDArray[np.float64]]:
    """Height in pixels, and the points (N, 2) in pixels with the y axis upwards, at one scale."""
    if not len(points):
        return 2.0 * MARGIN, np.zeros((0, 2))
    low, high = points.min(axis=0).astype(float), points.max(axis=0).astype(float)
    span = np.maximum(high - low, 1e-6)
    scale = (SIZE - 2 * MARGIN) / max(span[0], span[1])
    height = span[1] * scale + 2 * MARGIN
    x = MARGIN + (points[:, 0] - low[0]) * scale
    y = height - MARGIN - (points[:, 1] - low[1]) * scale
    return float(height), np.stack([x, y], axis=1)


def _mark(group: int, x: float, y: float) -> str:
    """A disc, a square, a triangle or a diamond around a place; a small disc for the quiet."""
    if group == QUIET:
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{0.7 * HALF:.1f}"/>'
    kind = group % 4
    if kind == 0:
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{HALF}"/>'
    if kind == 1:
        side = 2 * HALF
        return f'<rect x="{x - HALF:.1f}" y="{y - HALF:.1f}" width="{side}" height="{side}"/>'
    reach = HALF * 1.35
    corners = {
        2: ((0, -reach), (reach, reach), (-reach, reach)),
        3: ((0, -reach), (reach, 0), (0, reach), (-reach, 0)),
    }[kind]
    return f'<path d="M{"L".join(f"{x + dx:.1f} {y + dy:.1f}" for dx, dy in corners)}Z"/>'
