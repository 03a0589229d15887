"""The knobs and the buttons beside a live view: which there are, and where they stand.

A new knob is one more line in ``KNOBS``; its title and help are those of the setting.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from vcr_core.config import fields, get_value
from vcr_core.live_view.asked import asked_to_pause, live_settings
from vcr_core.live_view.language import Say
from vcr_core.live_view.watched import Watched
from vcr_core.store import Store

WEIGHTS = (0.0, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0)
RATES = (1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1)
KNOBS: Mapping[str, tuple[float, ...]] = {
    "regularizer.variance_weight": WEIGHTS,
    "regularizer.covariance_weight": WEIGHTS,
    "optimizer.learning_rate": RATES,
}
BOTH_TWINS = "It turns both twins, so that they stay comparable."
BUTTONS = {
    "pause": "Pause",
    "resume": "Resume",
    "step": "One step",
    "stop": "Stop and keep",
}


@dataclass(frozen=True)
class Knob:
    """One knob: the setting that it turns, in words, its stops, and the one it stands at."""

    field: str
    title: str
    help: str
    options: tuple[float, ...]
    value: float


def knobs(store: Store, watched: Watched, say: Say) -> list[Knob]:
    """All knobs where they stand now: a value between the stops is one of them."""
    live = live_settings(store, watched.main)
    return [
        Knob(
            field=field,
            title=say(str(fields()[field].title)),
            help=_help(field, watched, say),
            options=tuple(sorted({*stops, value})),
            value=value,
        )
        for field, stops in KNOBS.items()
        for value in (float(get_value(live, field)),)
    ]


def buttons(store: Store, watched: Watched) -> tuple[str, ...]:
    """Which of the words in ``BUTTONS`` can be asked now: pause or resume, step, stop."""
    first = "resume" if asked_to_pause(store, watched.main) else "pause"
    return (first, "step", "stop")


def _help(field: str, watched: Watched, say: Say) -> str:
    """The learning rate turns both twins; the weights turn the regularised one."""
    both = f" {say(BOTH_TWINS)}" if field.startswith("optimizer") and watched.is_pair else ""
    return f"{say(fields()[field].description or '')}{both}"
