"""Small pictures with captions as a grid, what stands there until they come, and points."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray
from PIL import Image

from app.texts import tr
from vcr_core.figures.points import mark_svg, points_svg

STYLE = Path(__file__).with_name("pictures.css")
KEPT_PICTURES = 4000
SOFT_FROM = 64  # pixels: smaller pictures are enlarged pixel by pixel


@dataclass(frozen=True)
class Tile:
    """A picture, or several views of one, uint8 (V, H, W, C); a caption and lines below it.

    ``whole`` is everything known about it, for a tooltip and for who cannot see it.
    """

    views: NDArray[np.uint8]
    caption: str
    lines: tuple[str, ...] = ()
    whole: str = ""


def show_tiles(tiles: Sequence[Tile], *, label: str, wide: bool = False) -> None:
    """A grid of pictures; all words in it are shown as text. Strips of frames need more room."""
    body = [_tile(tile) for tile in tiles]
    strips = any(_is_strip(tile.views[0]) for tile in tiles)
    show_styled(_grid(body, label, kind="strips" if strips else "wide" if wide else ""))


def show_skeleton(count: int, note: str, *, wide: bool = False) -> None:
    """As much room as the pictures will take."""
    tile = '<figure><div class="bone"></div><figcaption><b>\u00a0</b></figcaption></figure>'
    show_styled(
        f'<p class="vcr-wait" role="status">{escape(note)}</p>'
        + _grid(
            [tile] * count,
            tr("Pictures are on their way"),
            kind="wide" if wide else "",
            busy=True,
        )
    )


def show_styled(body: str) -> None:
    """HTML in the style of this module's rules."""
    style = STYLE.read_text(encoding="utf-8")
    st.html(f"<style>{style}</style>{body}")


def show_points(
    points: NDArray[Any],
    groups: NDArray[Any],
    names: Sequence[str],
    styles: Sequence[int] | None = None,
) -> None:
    """Points (N, 2) of the plane, each of the group (N,) that ``names`` calls, and a legend.

    ``styles`` says which looks of :mod:`vcr_core.figures.points` each group has.
    """
    drawn = np.asarray(styles or range(len(names)))
    counts = [
        (drawn[place], name, int((groups == place).sum())) for place, name in enumerate(names)
    ]
    shown = [each for each in counts if each[2]]
    alt = tr("Points by group: {counts}", counts=", ".join(f"{n}: {c:,}" for _, n, c in shown))
    legend = "".join(
        f"<li>{_drawing(mark_svg(int(style)))}{escape(name)} ({count:,})</li>"
        for style, name, count in shown
    )
    picture = _drawing(points_svg(points, drawn[groups]), alt)
    show_styled(f'<div class="vcr-points">{picture}<ul>{legend}</ul></div>')


def _drawing(svg: str, alt: str = "") -> str:
    data = base64.b64encode(svg.encode()).decode()
    return f'<img alt="{escape(alt)}" src="data:image/svg+xml;base64,{data}">'


def _grid(tiles: Sequence[str], label: str, *, kind: str, busy: bool = False) -> str:
    kind = f"vcr-tiles {kind}".strip()
    state = ' aria-busy="true"' if busy else ""
    body = "".join(tiles)
    return f'<div class="{kind}" role="group" aria-label="{escape(label)}"{state}>{body}</div>'


def _tile(tile: Tile) -> str:
    whole = tile.whole or ", ".join((tile.caption, *tile.lines))
    pictures = "".join(
        _picture(view, whole if not place else "") for place, view in enumerate(tile.views)
    )
    lines = "".join(f"<span>{escape(line)}</span>" for line in tile.lines)
    return (
        f'<figure title="{escape(whole)}"><div class="views">{pictures}</div>'
        f"<figcaption><b>{escape(tile.caption)}</b>{lines}</figcaption></figure>"
    )


def _is_strip(view: NDArray[np.uint8]) -> bool:
    """Whether a picture (H, W, C) is some frames of a clip side by side."""
    height, width = view.shape[:2]
    return bool(width > 2 * height)


def _picture(view: NDArray[np.uint8], alt: str) -> str:
    height, width = view.shape[:2]
    soft = "" if height < SOFT_FROM else ' class="soft"'
    data = _png(view.tobytes(), view.shape)
    return (
        f'<img{soft} alt="{escape(alt)}" width="{width}" height="{height}" '
        f'src="data:image/png;base64,{data}">'
    )


@lru_cache(maxsize=KEPT_PICTURES)
def _png(data: bytes, shape: tuple[int, ...]) -> str:
    """Pixels (H, W, C) as the base64 text of a PNG file."""
    pixels = np.frombuffer(data, dtype=np.uint8).reshape(shape)
    stream = io.BytesIO()
    Image.fromarray(as_rgb(pixels)).save(stream, format="PNG")
    return base64.b64encode(stream.getvalue()).decode()


def as_rgb(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Pixels (H, W, C) as grey (H, W) or RGB (H, W, 3): what an image file can hold."""
    channels = pixels.shape[2]
    if channels == 1:
        return pixels[:, :, 0]
    if channels == 3:
        return pixels
    return np.asarray(pixels.mean(axis=2).round(), dtype=np.uint8)
