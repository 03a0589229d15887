"""Colours and type of every figure, light and dark, safe for colour-blind readers.

Drawings name colours by tokens (``"$regularized"``); a theme says what a token is. The browser gets
both themes and follows the page; notebooks and exports take one of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

ThemeName = Literal["light", "dark"]
Theme = Mapping[str, Any]

FONT = "'Source Sans 3', 'Source Sans Pro', 'Source Sans', system-ui, sans-serif"

LIGHT: Theme = {
    "ink": "#31333f",
    "muted": "#5c6070",
    "grid": "rgba(49, 51, 63, 0.09)",
    "axis": "rgba(49, 51, 63, 0.28)",
    "paper": "#ffffff",
    "mark": "#7a3e9d",
    "baseline": "#b8560b",
    "regularized": "#0067b1",
    "third": "#00745a",
    "fourth": "#a23b7c",
    "baseline-soft": "rgba(217, 119, 30, 0.20)",
    "regularized-soft": "rgba(0, 114, 189, 0.20)",
    "third-soft": "rgba(0, 150, 115, 0.20)",
    "fourth-soft": "rgba(190, 80, 150, 0.20)",
    "diverging": (
        (0.0, "#4a1a68"),
        (0.25, "#9b6fb8"),
        (0.5, "#f6f5f8"),
        (0.75, "#58a873"),
        (1.0, "#0a5730"),
    ),
    "sequential": ((0.0, "#ffffff"), (0.3, "#9fc3e6"), (0.7, "#2f74b5"), (1.0, "#0b2e5c")),
}

DARK: Theme = {
    "ink": "#f2f3f6",
    "muted": "#a6acba",
    "grid": "rgba(250, 250, 250, 0.09)",
    "axis": "rgba(250, 250, 250, 0.30)",
    "paper": "#0e1117",
    "mark": "#cf9bef",
    "baseline": "#f5a24b",
    "regularized": "#62bdf8",
    "third": "#43d0a4",
    "fourth": "#ef95cd",
    "baseline-soft": "rgba(245, 162, 75, 0.24)",
    "regularized-soft": "rgba(98, 189, 248, 0.24)",
    "third-soft": "rgba(67, 208, 164, 0.24)",
    "fourth-soft": "rgba(239, 149, 205, 0.24)",
    "diverging": (
        (0.0, "#e3bbf8"),
        (0.25, "#8f5cae"),
        (0.5, "#171a22"),
        (0.75, "#3c915c"),
        (1.0, "#a5f0bf"),
    ),
    "sequential": ((0.0, "#0e1117"), (0.3, "#1f4f7d"), (0.7, "#5aa5e0"), (1.0, "#e2f1ff")),
}

THEMES: Mapping[ThemeName, Theme] = {"light": LIGHT, "dark": DARK}


def resolve(drawing: Any, theme: Theme) -> Any:
    """A copy of a drawing with every token replaced by what the theme says."""
    if isinstance(drawing, str):
        return theme[drawing[1:]] if drawing.startswith("$") else drawing
    if isinstance(drawing, Mapping):
        return {name: resolve(value, theme) for name, value in drawing.items()}
    if isinstance(drawing, list | tuple):
        return [resolve(value, theme) for value in drawing]
    return drawing
