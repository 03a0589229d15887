"""The theme's colours: readable, and apart for people who see red and green as one."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from vcr_core.figures.charts import DASHES, TONES
from vcr_core.figures.theme import THEMES, ThemeName

Colour = NDArray[np.float64]
TEXT = 4.5  # WCAG 2.2 AA, text
GRAPHIC = 3.0  # the same for lines and symbols
INKS = ("ink", "muted", "mark", "baseline", *TONES)
THEME_NAMES: tuple[ThemeName, ...] = ("light", "dark")
FAR_APART = 20.0  # CIE76; 2.3 is just noticeable
APART = 10.0
# Viénot, Brettel and Mollon (1999), in linear RGB: what is left without one kind of cones.
DICHROMATS = {
    "deuteranopia": ((0.29275, 0.70725, 0.0), (0.29275, 0.70725, 0.0), (-0.02234, 0.02234, 1.0)),
    "protanopia": ((0.11238, 0.88762, 0.0), (0.11238, 0.88762, 0.0), (0.00401, -0.00401, 1.0)),
}


def linear(colour: str) -> Colour:
    """``#rrggbb`` as linear RGB in 0 … 1."""
    values = np.array([int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)])
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def seen_by(colour: str, who: str) -> Colour:
    """The colour in linear RGB as somebody sees it."""
    return np.clip(np.array(DICHROMATS[who]) @ linear(colour), 0, 1) if who else linear(colour)


def lab(rgb: Colour) -> Colour:
    """CIE L*a*b* under D65."""
    to_xyz = np.array(
        [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    )
    x, y, z = np.cbrt(np.maximum(to_xyz @ rgb / (0.9505, 1.0, 1.089), 0.008856))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def distance(first: str, second: str, who: str = "") -> float:
    return float(np.linalg.norm(lab(seen_by(first, who)) - lab(seen_by(second, who))))


def contrast(first: str, second: str) -> float:
    """WCAG's ratio of luminances."""
    low, high = sorted(float(linear(c) @ (0.2126, 0.7152, 0.0722)) for c in (first, second))
    return (high + 0.05) / (low + 0.05)


def stop(theme: dict[str, Any], place: float) -> str:
    return str(dict(theme["diverging"])[place])


@pytest.mark.parametrize("name", THEME_NAMES)
@pytest.mark.parametrize("ink", INKS)
def test_what_is_written_can_be_read(name: ThemeName, ink: str) -> None:
    assert contrast(THEMES[name][ink], THEMES[name]["paper"]) >= TEXT


@pytest.mark.parametrize("name", THEME_NAMES)
@pytest.mark.parametrize("who", ["", *DICHROMATS])
def test_twins_are_far_apart_and_other_runs_apart(name: ThemeName, who: str) -> None:
    theme = THEMES[name]
    assert distance(theme["baseline"], theme["regularized"], who) >= FAR_APART
    for first, second in combinations(("baseline", *TONES), 2):
        assert distance(theme[first], theme[second], who) >= APART, (first, second)


def test_runs_differ_in_their_dashes_too() -> None:
    assert len({"dash", *DASHES}) == 1 + len(TONES)


@pytest.mark.parametrize("name", THEME_NAMES)
@pytest.mark.parametrize("who", ["", *DICHROMATS])
def test_covariances_of_both_signs_are_apart_and_equally_far_from_zero(
    name: ThemeName, who: str
) -> None:
    theme = dict(THEMES[name])
    for low, high in ((0.0, 1.0), (0.25, 0.75)):
        assert distance(stop(theme, low), stop(theme, high), who) >= FAR_APART
        from_zero = [distance(stop(theme, end), stop(theme, 0.5), who) for end in (low, high)]
        assert min(from_zero) >= FAR_APART
        assert max(from_zero) / min(from_zero) <= 1.6
    assert distance(stop(theme, 0.5), theme["paper"]) <= APART


@pytest.mark.parametrize("name", THEME_NAMES)
def test_lightness_leads_away_from_zero_without_a_turn(name: ThemeName) -> None:
    lightness = [lab(linear(colour))[0] for _, colour in THEMES[name]["diverging"]]
    to_zero, from_zero = np.diff(lightness[:3]), np.diff(lightness[2:])
    sign = 1 if name == "light" else -1
    assert (sign * to_zero > 0).all()
    assert (sign * from_zero < 0).all()
    steps = [lab(linear(colour))[0] for _, colour in THEMES[name]["sequential"]]
    assert (sign * np.diff(steps) < 0).all()


def test_the_page_and_the_figures_have_the_same_paper() -> None:
    config = (Path(__file__).parents[2] / "app" / ".streamlit" / "config.toml").read_text()
    for name in THEME_NAMES:
        section = config.split(f"[theme.{name}]")[1].split("[")[0]
        assert f'backgroundColor = "{THEMES[name]["paper"]}"' in section
        assert f'textColor = "{THEMES[name]["ink"]}"' in section
