"""The knobs of a run that trains: each move is a command, applied at the next step boundary.

The bar stays in sight while the page scrolls. Its knobs and buttons are a fragment of their own, so
that a move costs no more than a command; the line below says what became of what was asked.
"""

from __future__ import annotations

from collections.abc import Iterable

import streamlit as st

from app import links
from app.commands import (
    Move,
    asked_to_pause,
    current_value,
    last_move,
    moves,
    send,
    turn,
    undo,
    withdraw,
)
from app.more_controls import fork_controls, more_controls
from app.state import Watched, find_watched, lab_store
from app.texts import tr
from vcr_core.config import fields
from vcr_core.store import CommandKind, Run

STATUS_SECONDS = 0.5
WEIGHTS = (0.0, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0)
RATES = (1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1)
BECAME = {
    "requested": "requested",
    "applied": "applied at step {step}",
    "refused": "refused: {reason}",
}
KNOBS = {
    "regularizer.variance_weight": WEIGHTS,
    "regularizer.covariance_weight": WEIGHTS,
    "optimizer.learning_rate": RATES,
}


def controls(watched: Watched) -> None:
    """The bar of a run that is not over."""
    with st.container(key="controls"):
        st.fragment(_bar)(watched.main.id)
        st.fragment(_status, run_every=STATUS_SECONDS)(watched.main.id)


def _bar(run_id: str) -> None:
    watched = find_watched(lab_store(), run_id)
    if not links.is_hidden("transport"):
        with st.container(key="transport", horizontal=True, vertical_alignment="center"):
            _transport(watched)
    if not links.is_hidden("knobs"):
        with st.container(key="knobs"):
            for column, (field, grid) in zip(st.columns(len(KNOBS)), KNOBS.items(), strict=True):
                with column:
                    _knob(watched, field, grid)


def _status(run_id: str) -> None:
    """What became of what was asked; a knob that was turned elsewhere moves here too."""
    watched = find_watched(lab_store(), run_id)
    st.caption(" · ".join(map(told, moves(watched))) or "\u00a0")
    for field in KNOBS:
        shown = st.session_state.get(_key(watched.main, field))
        if shown is not None and shown != current_value(watched.main, field):
            st.rerun()


def _transport(watched: Watched) -> None:
    if asked_to_pause(watched.main):
        _button(
            tr("Resume"), ":material/play_arrow:", CommandKind.RESUME, watched, shortcut="Space"
        )
    else:
        _button(tr("Pause"), ":material/pause:", CommandKind.PAUSE, watched, shortcut="Space")
    _button(tr("Stop and keep"), ":material/stop:", CommandKind.STOP, watched)
    _button(tr("One step"), ":material/skip_next:", CommandKind.STEP, watched, shortcut="Right")
    move = last_move(watched.main)
    st.button(
        tr("Undo"),
        icon=":material/undo:",
        key="undo",
        disabled=move is None or links.is_locked("knobs"),
        help=tr("Turn the last knob back to where it stood."),
        on_click=undo,
        args=(watched,),
    )
    if not links.is_locked("transport"):
        with st.popover(tr("More"), icon=":material/tune:"):
            more_controls(watched, shown=tuple(KNOBS))
        with st.popover(tr("Fork from here"), icon=":material/fork_right:"):
            fork_controls(watched)


def _button(
    label: str,
    icon: str,
    kind: CommandKind,
    watched: Watched,
    *,
    shortcut: str | None = None,
) -> None:
    st.button(
        label,
        icon=icon,
        key=f"bar:{kind.value}",
        disabled=links.is_locked("transport") or not watched.active,
        shortcut=shortcut,
        on_click=_ask,
        args=(watched.active, kind),
    )


def _ask(runs: Iterable[Run], kind: CommandKind) -> None:
    send([run for run in runs if not (kind is CommandKind.STOP and withdraw(run))], kind)


def _knob(watched: Watched, field: str, grid: tuple[float, ...]) -> None:
    """One slider. The learning rate turns both twins; the weights turn the regularised one."""
    now, key, info = (
        float(current_value(watched.main, field)),
        _key(watched.main, field),
        fields()[field],
    )
    if st.session_state.get(key, now) != now:  # turned elsewhere: another tab, another device
        st.session_state[key] = now
    both = ""
    if field.startswith("optimizer") and watched.is_pair:
        both = f" {tr('It turns both twins, so that they stay comparable.')}"
    st.select_slider(
        tr(str(info.title)),
        options=sorted({*grid, now}),
        value=now,
        format_func=lambda value: f"{value:g}",
        key=key,
        help=f"{tr(info.description or '')}{both}",
        on_change=_turned,
        args=(watched, field, key),
        disabled=watched.main.state.is_over or links.is_locked("knobs"),
    )


def _turned(watched: Watched, field: str, key: str) -> None:
    turn(watched, field, st.session_state[key])


def _key(run: Run, field: str) -> str:
    return f"knob:{run.id}:{field}"


def told(move: Move) -> str:
    """``Variance weight 1 → 3: applied at step 17``."""
    became = tr(BECAME[move.state], step=move.step, reason=move.reason)
    return f"**{move.what}** {became}"
