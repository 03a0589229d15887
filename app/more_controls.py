"""What is asked of a run less often: slow motion, steps, epochs, every other live setting."""

from __future__ import annotations

import streamlit as st

from app.commands import ask, follow, is_moved, turn_to
from app.forms import sensible_step
from app.guard import asks
from app.state import Watched, lab_store
from app.texts import tr
from vcr_core.config import BY_LAYER, RunConfig, fields, get_value, live_fields
from vcr_core.live_view.asked import asked_speed, live_settings, speed_in_words

SPEEDS = (0.0, 0.1, 0.5, 2.0)
OPEN = "more:open"


def more_controls(watched: Watched, *, shown: tuple[str, ...]) -> None:
    """A popover, its body made when it is opened; ``shown`` are the settings that have a knob."""
    panel = st.popover(tr("More"), icon=":material/tune:", key=OPEN, on_change="rerun")
    if panel.open:
        with panel:
            _body(watched, shown)


def _body(watched: Watched, shown: tuple[str, ...]) -> None:
    run_id = watched.main.id
    _speed(watched)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        key = f"steps:{run_id}"
        count = st.number_input(tr("Steps"), 1, 1000, 10, key=key, width=220)
        _ask(watched, "step", "n", key, tr("Do {n} steps", n=int(count)))
    with st.container(horizontal=True, vertical_alignment="bottom"):
        key = f"more:{run_id}"
        st.number_input(tr("Epochs more"), 1, 1000, 5, key=key, width=220)
        _ask(watched, "extend", "epochs", key, tr("Train longer"))
    st.caption(tr("Every other setting that can change while it trains"))
    live = live_settings(lab_store(), watched.main)
    for field in live_fields():
        if field not in {*shown, *BY_LAYER}:
            _setting(watched, live, field)


def _speed(watched: Watched) -> None:
    """Slow motion: acts at once."""
    now, key = asked_speed(lab_store(), watched.main), f"speed:{watched.main.id}"
    follow(key, now)
    st.select_slider(
        tr("Speed"),
        options=sorted({*SPEEDS, now}, reverse=True),
        value=now,
        format_func=lambda seconds: speed_in_words(seconds, tr),
        key=key,
        help=tr("Waits before every step, and shows every step."),
        on_change=asks(_slow),
        args=(watched, key),
        disabled=not watched.active,
    )


def _slow(watched: Watched, key: str) -> None:
    if is_moved(key):
        ask(watched, "slow", seconds=st.session_state[key])


def _ask(watched: Watched, word: str, name: str, key: str, label: str) -> None:
    """A button that asks for the number in the field ``key``."""
    st.button(
        label,
        key=f"do:{word}",
        disabled=not watched.active,
        on_click=asks(_send, button=f"do:{word}"),
        args=(watched, word, name, key),
    )


def _send(watched: Watched, word: str, name: str, key: str) -> None:
    ask(watched, word, **{name: int(st.session_state[key])})


def _setting(watched: Watched, live: RunConfig, field: str) -> None:
    """A number that is asked for as soon as it is typed."""
    now, info = get_value(live, field), fields()[field]
    if now is not None and not isinstance(now, int | float):
        return
    key, now = f"set:{field}:{watched.main.id}", None if now is None else float(now)
    follow(key, now)
    st.number_input(
        tr(str(info.title)),
        value=now,
        format="%g",
        step=sensible_step(now),
        help=tr(info.description or ""),
        placeholder=tr("empty"),
        key=key,
        on_change=asks(turn_to),
        args=(watched, field, key),
    )
