"""Small figures as SVG text for pages without scripts, such as a README.

Written out directly and rounded, so that the same numbers give the same text on every machine and
a check can compare files. They follow the reader's light or dark theme.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from vcr_core.figures.theme import DARK, FONT, LIGHT, Theme

ROW = 19
LETTER = 6.4
TOKENS = ("ink", "muted", "grid", "paper", "baseline", "regularized", "third", "fourth")
SERIES = ("regularized", "baseline", "third", "fourth")


@dataclass(frozen=True)
class Gain:
    """A point with its interval: a labelled row of a forest, or a dot of a scatter at ``x``."""

    label: str
    mean: float
    low: float
    high: float
    group: str = ""
    x: float = 0.0


def forest(title: str, axis: str, gains: Sequence[Gain]) -> str:
    """One row a gain with its interval, around a line at zero; gains are shares of 1."""
    left = 24 + LETTER * max(len(gain.label) for gain in gains)
    width, top = left + 440, 64
    height = top + ROW * len(gains) + 56
    scale = _Scale(*_range(gains), left + 10, width - 24)
    parts = [_text(16, 26, title, kind="title"), _text(16, 46, axis, kind="muted")]
    bottom = top + ROW * len(gains)
    parts += _vertical_lines(scale, top - 6, bottom)
    groups = _groups(gains)
    for place, gain in enumerate(gains):
        y = top + ROW * place + ROW / 2
        colour = SERIES[groups.index(gain.group) % len(SERIES)]
        low, mean, high = (f"{100 * each:+.1f}" for each in (gain.low, gain.mean, gain.high))
        tip = f"{gain.label}: {mean} ({low} to {high})"
        parts.append(_text(left, y + 4, gain.label, anchor="end"))
        parts.append(_line(scale.at(gain.low), y, scale.at(gain.high), y, colour))
        parts.append(_dot(scale.at(gain.mean), y, colour, tip))
    parts += _legend(groups, left, height - 12)
    return _page(width, height, parts)


def scatter(title: str, x_axis: str, y_axis: str, gains: Sequence[Gain]) -> str:
    """Gains with their intervals over ``x``, which is drawn in orders of magnitude."""
    left, right, top, bottom, height = 64, 700, 64, 400, 472
    logs = [math.log10(gain.x) for gain in gains]
    across = _Scale(min(logs) - 0.05, max(logs) + 0.05, left, right)
    up = _Scale(*_range(gains), bottom, top)
    parts = [_text(16, 26, title, kind="title"), _text(16, 46, y_axis, kind="muted")]
    for value in _ticks(up.low, up.high):
        y = up.at(value)
        parts.append(_line(left, y, right, y, "ink" if value == 0 else "grid", width=1))
        parts.append(_text(left - 8, y + 4, f"{100 * value:+.0f}", anchor="end", kind="muted"))
    for value in (1, 2, 3, 5, 10, 20, 30, 50, 100, 200):
        if across.low <= math.log10(value) <= across.high:
            x = across.at(math.log10(value))
            parts.append(_text(x, bottom + 18, f"{value:g}", anchor="middle", kind="muted"))
    parts.append(_text((left + right) / 2, bottom + 38, x_axis, anchor="middle", kind="muted"))
    groups = _groups(gains)
    for gain, log in zip(gains, logs, strict=True):
        colour = SERIES[groups.index(gain.group) % len(SERIES)]
        x = across.at(log)
        parts.append(_line(x, up.at(gain.low), x, up.at(gain.high), colour, width=1))
        parts.append(_dot(x, up.at(gain.mean), colour, f"{gain.label}: {100 * gain.mean:+.1f}"))
    parts += _legend(groups, left, height - 10)
    return _page(right + 24, height, parts)


def grid(
    title: str, x_axis: str, y_axis: str, names: Sequence[str], values: Sequence[Sequence[float]]
) -> str:
    """A table of gains as coloured cells: ``values[row][column]``, both named by ``names``."""
    cell, left, top = 64, 84, 84
    most = max(abs(value) for row in values for value in row) or 1.0
    parts = [_text(16, 26, title, kind="title"), _text(16, 46, y_axis, kind="muted")]
    parts.append(_text(left, 68, x_axis, kind="muted"))
    for row, name in enumerate(names):
        y = top + cell * row
        parts.append(_text(left - 10, y + cell / 2 + 4, name, anchor="end"))
        below = top + cell * len(names) + 18
        parts.append(_text(left + cell * (row + 0.5), below, name, anchor="middle"))
        for column, value in enumerate(values[row]):
            x = left + cell * column
            colour = "regularized" if value >= 0 else "baseline"
            parts.append(
                f'<rect x="{x}" y="{y}" width="{cell - 2}" height="{cell - 2}" rx="3" '
                f'class="f-{colour}" fill-opacity="{0.08 + 0.47 * abs(value) / most:.3f}"/>'
            )
            words = f"{100 * value:+.1f}"
            parts.append(_text(x + cell / 2 - 1, y + cell / 2 + 4, words, anchor="middle"))
    size = cell * len(names)
    return _page(max(left + size + 24, 520), top + size + 36, parts)


@dataclass(frozen=True)
class _Scale:
    """From numbers to pixels."""

    low: float
    high: float
    first: float
    last: float

    def at(self, value: float) -> float:
        share = (value - self.low) / ((self.high - self.low) or 1.0)
        return self.first + share * (self.last - self.first)


def _range(gains: Sequence[Gain]) -> tuple[float, float]:
    low, high = min(g.low for g in gains), max(g.high for g in gains)
    return min(low, 0.0) - 0.005, max(high, 0.0) + 0.005


def _ticks(low: float, high: float) -> list[float]:
    step = next((s for s in (0.01, 0.02, 0.05, 0.1, 0.2) if (high - low) / s <= 9), 0.5)
    return [i * step for i in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _vertical_lines(scale: _Scale, top: float, bottom: float) -> list[str]:
    parts = []
    for value in _ticks(scale.low, scale.high):
        x = scale.at(value)
        parts.append(_line(x, top, x, bottom, "ink" if value == 0 else "grid", width=1))
        parts.append(_text(x, bottom + 18, f"{100 * value:+.0f}", anchor="middle", kind="muted"))
    return parts


def _groups(gains: Sequence[Gain]) -> list[str]:
    return list(dict.fromkeys(gain.group for gain in gains))


def _legend(groups: Sequence[str], x: float, y: float) -> list[str]:
    parts = []
    for place, group in enumerate(groups if len(groups) > 1 else ()):
        parts.append(_dot(x, y - 4, SERIES[place % len(SERIES)], group))
        parts.append(_text(x + 9, y, group))
        x += 36 + LETTER * len(group)
    return parts


def _line(x1: float, y1: float, x2: float, y2: float, colour: str, *, width: float = 2) -> str:
    return (
        f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="s-{colour}" '
        f'stroke-width="{width:g}"/>'
    )


def _dot(x: float, y: float, colour: str, tip: str) -> str:
    title = f"<title>{escape(tip)}</title>"
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" class="f-{colour}">{title}</circle>'


def _text(x: float, y: float, words: str, *, anchor: str = "start", kind: str = "ink") -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    return f'<text {place} class="t-{kind}">{escape(words)}</text>'


def _page(width: float, height: float, parts: Sequence[str]) -> str:
    style = (
        f"text{{font:12px {FONT}}}.t-title{{font-size:15px;font-weight:600}}{_rules(LIGHT)}"
        f"@media(prefers-color-scheme:dark){{{_rules(DARK)}}}"
    )
    box = f'viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}"'
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {box} role="img">\n<style>{style}</style>\n'
        f'<rect width="100%" height="100%" class="f-paper"/>\n{body}\n</svg>\n'
    )


def _rules(theme: Theme) -> str:
    rules = [f".s-{name}{{stroke:{theme[name]}}}.f-{name}{{fill:{theme[name]}}}" for name in TOKENS]
    words = f".t-ink,.t-title{{fill:{theme['ink']}}}.t-muted{{fill:{theme['muted']}}}"
    return "".join([*rules, words])
