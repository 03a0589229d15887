"""What is asked of a run less often: slow motion, steps, epochs, every live setting."""

from __future__ import annotations

from typing import Any

import streamlit as st

from app.commands import current_value, send, turn, watch_fork
from app.state import Watched, lab_store
from app.texts import tr
from app.texts.errors import told
from vcr_core.config import fields, live_fields
from vcr_core.errors import VcrLabError
from vcr_core.store import CommandKind
from vcr_core.training.fork import fork

SPEEDS = (0.0, 0.1, 0.5, 2.0)
FORKED = ("regularizer.variance_weight", "regularizer.covariance_weight")


def more_controls(watched: Watched, *, shown: tuple[str, ...]) -> None:
    """The body of the popover; ``shown`` are the settings that have a knob of their own."""
    run_id = watched.main.id
    with st.container(horizontal=True, vertical_alignment="bottom"):
        speed = st.selectbox(
            tr("Speed"), SPEEDS, format_func=_speed, key=f"speed:{run_id}", width=220
        )
        _ask(watched, CommandKind.SLOW, {"seconds": speed}, tr("Set"))
    with st.container(horizontal=True, vertical_alignment="bottom"):
        count = st.number_input(tr("Steps"), 1, 1000, 10, key=f"steps:{run_id}", width=220)
        _ask(watched, CommandKind.STEP, {"n": int(count)}, tr("Do {n} steps", n=int(count)))
    with st.container(horizontal=True, vertical_alignment="bottom"):
        epochs = st.number_input(tr("Epochs more"), 1, 1000, 5, key=f"more:{run_id}", width=220)
        _ask(watched, CommandKind.EXTEND, {"epochs": int(epochs)}, tr("Train longer"))
    st.caption(tr("Every setting that can change while it trains"))
    for field in live_fields():
        if field not in shown:
            _setting(watched, field)


def _speed(seconds: float) -> str:
    return tr("{seconds} s a step", seconds=f"{seconds:g}") if seconds else tr("Full speed")


def _ask(watched: Watched, kind: CommandKind, payload: dict[str, Any], label: str) -> None:
    if st.button(label, key=f"do:{kind.value}", disabled=not watched.active):
        send(watched.active, kind, payload)


def _setting(watched: Watched, field: str) -> None:
    now, info, key = current_value(watched.main, field), fields()[field], f"set:{field}"
    if now is not None and not isinstance(now, int | float):
        return
    st.session_state.setdefault(f"{key}:{watched.main.id}", now)
    st.number_input(
        tr(str(info.title)),
        value=None,
        format="%g",
        help=tr(info.description or ""),
        placeholder=tr("empty"),
        key=f"{key}:{watched.main.id}",
        on_change=lambda: turn(watched, field, st.session_state[f"{key}:{watched.main.id}"]),
    )


def fork_controls(watched: Watched) -> None:
    """Go on from the newest checkpoint in a run of its own, with other weights."""
    st.caption(tr("A new run that goes on from the newest checkpoint with these weights."))
    changes = {
        field: st.number_input(
            tr(str(fields()[field].title)),
            min_value=0.0,
            value=float(current_value(watched.main, field)),
            format="%g",
            key=f"fork:{field}:{watched.main.id}",
        )
        for field in FORKED
    }
    epochs = st.number_input(tr("Epochs more"), 0, 1000, 5, key=f"fork:more:{watched.main.id}")
    if not st.button(tr("Fork from here"), icon=":material/fork_right:", key="fork"):
        return
    total = int(current_value(watched.main, "training.epochs")) + int(epochs)
    try:
        child = fork(lab_store(), watched.main.id, {**changes, "training.epochs": total})
    except VcrLabError as error:
        st.error(told(error))
        return
    watch_fork(child)
