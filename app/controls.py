"""The knobs of a run that trains: each move is a command, applied at the next step boundary."""

from __future__ import annotations

import time
from collections.abc import Iterable

import streamlit as st

from app.state import Watched, lab_store
from vcr_core.config import fields, get_value
from vcr_core.store import Command, CommandKind, Run, RunState

WEIGHTS = (0.0, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0)
RATES = (1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1)
KNOBS = {
    "regularizer.variance_weight": WEIGHTS,
    "regularizer.covariance_weight": WEIGHTS,
    "optimizer.learning_rate": RATES,
}


def controls(watched: Watched) -> None:
    """Sliders for both weights and the learning rate; pause, resume, stop."""
    columns = st.columns([3, 3, 3, 4], vertical_alignment="bottom")
    for column, (field, grid) in zip(columns, KNOBS.items(), strict=False):
        with column:
            _knob(watched, field, grid)
    with columns[-1], st.container(horizontal=True, horizontal_alignment="right"):
        if watched.is_paused:
            _button("Resume", ":material/play_arrow:", CommandKind.RESUME, watched.active)
        else:
            _button("Pause", ":material/pause:", CommandKind.PAUSE, watched.active)
        _button("Stop and keep", ":material/stop:", CommandKind.STOP, watched.active)


def _knob(watched: Watched, field: str, grid: tuple[float, ...]) -> None:
    """One slider. The learning rate turns both twins; the weights turn the regularised one."""
    runs = watched.active if field.startswith("optimizer") else (watched.main,)
    now = current_value(watched.main, field)
    key = f"knob:{watched.main.id}:{field}"
    info = fields()[field]
    if st.session_state.get(key, now) != now:  # turned elsewhere: another tab, another device
        st.session_state[key] = now
    both = " It turns both twins, so that they stay comparable." if len(runs) > 1 else ""
    st.select_slider(
        str(info.title),
        options=sorted({*grid, now}),
        value=now,
        format_func=lambda value: f"{value:g}",
        key=key,
        help=f"{info.description}{both}",
        on_change=_turn,
        args=(runs, field, key),
        disabled=watched.main.state.is_over,
    )


def _turn(runs: Iterable[Run], field: str, key: str) -> None:
    for run in runs:
        payload = {"field": field, "value": st.session_state[key]}
        lab_store().add_command(run.id, CommandKind.SET, payload)


def _button(label: str, icon: str, kind: CommandKind, runs: tuple[Run, ...]) -> None:
    if st.button(label, icon=icon, disabled=not runs):
        for run in runs:
            if kind is CommandKind.STOP and _withdraw(run):
                continue
            lab_store().add_command(run.id, kind)


def _withdraw(run: Run) -> bool:
    """Take a run out of the queue; False where it has started already."""
    return lab_store().move_run(
        run.id, before=RunState.QUEUED, after=RunState.STOPPED, finished_at=time.time()
    )


def current_value(run: Run, field: str) -> float:
    """What a knob stands at: the last value asked for and not refused, or the run's first."""
    moves = [
        command.payload["value"]
        for command in lab_store().commands(run.id)
        if command.kind is CommandKind.SET
        and command.payload.get("field") == field
        and command.state != "refused"
    ]
    return float(moves[-1] if moves else get_value(run.config, field))


def acknowledgement(commands: list[Command]) -> str:
    """What became of the last thing that was asked, in words; empty where nothing was."""
    if not commands:
        return ""
    last = commands[-1]
    if last.kind is CommandKind.SET:
        title = fields()[last.payload["field"]].title
        asked = f"{title} → {last.payload['value']:g}"
    else:
        asked = last.kind.value.capitalize()
    if last.state == "requested":
        return f"{asked}: requested, takes effect at the next step"
    if last.state == "refused":
        return f"{asked}: refused. {last.reason}"
    return f"{asked}: applied after step {last.applied_step}"
