"""The bar of a run: what can be asked of it now. Each move is applied at the next step boundary.

The bar stays in sight while the page scrolls, also when the run is over. Its knobs and buttons are
a fragment of their own, so that a move costs no more than a command; the line below says what
became of what was asked, and looks twice a second as long as somebody waits. What was asked
elsewhere, the live part finds when it reads the run (:func:`is_behind`).
"""

from __future__ import annotations

import streamlit as st

from app import links
from app.commands import (
    Move,
    asked,
    asked_to_pause,
    follow,
    last_move,
    live_settings,
    moves,
    resume,
    send,
    turn_to,
    undo,
    withdraw,
)
from app.fork_panel import fork_panel
from app.guard import asks, guarded, say_problem
from app.layer_panel import layer_panel
from app.more_controls import more_controls
from app.share_panel import share_panel
from app.state import Watched, find_watched, lab_store
from app.texts import plain, tr
from app.turns import in_turn
from vcr_core.config import RunConfig, fields, get_value
from vcr_core.store import CommandKind, Run

STATUS_SECONDS = 0.5
TOLD = "told of"
WEIGHTS = (0.0, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0)
RATES = (1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1)
BECAME = {
    "requested": "requested",
    "planned": "planned for step {step}",
    "applied": "applied at step {step}",
    "refused": "refused: {reason}",
}
KNOBS = {
    "regularizer.variance_weight": WEIGHTS,
    "regularizer.covariance_weight": WEIGHTS,
    "optimizer.learning_rate": RATES,
}


def controls(watched: Watched) -> None:
    """The bar; knobs and what became of them as long as the run is not over.

    Whoever asks for something here draws the bar anew, and is told soon what became of it.
    """
    with st.container(key="controls"):
        st.fragment(guarded(_bar, quiet=True))(watched.main.id)


def is_behind(watched: Watched) -> bool:
    """Whether the bar does not tell yet what was asked of the run elsewhere, or became of it."""
    run = watched.main
    return st.session_state.get(f"{TOLD}:{run.id}") != asked(run)


def _bar(run_id: str) -> None:
    say_problem()
    watched = find_watched(lab_store(), run_id)
    st.session_state[f"{TOLD}:{watched.main.id}"] = asked(watched.main)
    with st.container(key="transport", horizontal=True, vertical_alignment="center"):
        if not watched.is_over and not links.is_hidden("transport"):
            _transport(watched)
        _panels(watched)
    if not watched.is_over and not links.is_hidden("knobs"):
        live = live_settings(watched.main)
        with st.container(key="knobs"):
            for column, (field, grid) in zip(st.columns(len(KNOBS)), KNOBS.items(), strict=True):
                with column:
                    _knob(watched, live, field, grid)
    if watched.is_over:
        return
    if _is_awaited(watched):
        st.fragment(guarded(in_turn(_status), quiet=True), run_every=STATUS_SECONDS)(run_id)
    else:
        _say_moves(watched)


def _status(run_id: str) -> None:
    """What became of what was asked; when all is done, the bar is drawn anew, to wait no more."""
    watched = find_watched(lab_store(), run_id)
    _say_moves(watched)
    if not _is_awaited(watched):
        st.rerun()


def _is_awaited(watched: Watched) -> bool:
    return any(move.is_awaited for move in moves(watched))


def _say_moves(watched: Watched) -> None:
    st.caption(" · ".join(map(told, moves(watched))) or "\u00a0")


def _transport(watched: Watched) -> None:
    if asked_to_pause(watched.main):
        _button(
            tr("Resume"), ":material/play_arrow:", CommandKind.RESUME, watched, shortcut="Space"
        )
    else:
        _button(tr("Pause"), ":material/pause:", CommandKind.PAUSE, watched, shortcut="Space")
    _button(tr("One step"), ":material/skip_next:", CommandKind.STEP, watched, shortcut="Right")
    _button(tr("Stop and keep"), ":material/stop:", CommandKind.STOP, watched)


def _panels(watched: Watched) -> None:
    """What opens: weights by layer, all other commands, forking, code and links."""
    over, live_knobs = watched.is_over, not links.is_hidden("knobs")
    if not over and live_knobs:
        _undo(watched)
        layer_panel(watched, locked=links.is_locked("knobs"))
    if not over and not links.is_hidden("transport") and not links.is_locked("transport"):
        more_controls(watched, shown=tuple(KNOBS))
    if not links.is_hidden("fork") and not links.is_locked("transport"):
        fork_panel(watched)
    if not links.is_hidden("code"):
        share_panel(watched)


def _undo(watched: Watched) -> None:
    move = last_move(watched.main)
    st.button(
        tr("Undo"),
        icon=":material/undo:",
        key="undo",
        disabled=move is None or links.is_locked("knobs"),
        help=tr("Turn the last knob back to where it stood."),
        on_click=asks(undo, button="undo"),
        args=(watched,),
    )


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
        on_click=asks(_ask, button=f"bar:{kind.value}"),
        args=(watched, kind),
    )


def _ask(watched: Watched, kind: CommandKind) -> None:
    if kind is CommandKind.PAUSE and asked_to_pause(watched.main):
        return  # the same click once more: it may come when the page is drawn anew
    if kind is CommandKind.RESUME:
        if asked_to_pause(watched.main):
            resume(watched)
        return
    runs = watched.active
    if kind is CommandKind.STOP:
        runs = tuple(run for run in runs if not withdraw(run))
    send(runs, kind)


def _knob(watched: Watched, live: RunConfig, field: str, grid: tuple[float, ...]) -> None:
    """One slider. The learning rate turns both twins; the weights turn the regularised one."""
    now, key, info = float(get_value(live, field)), _key(watched.main, field), fields()[field]
    follow(key, now)
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
        on_change=asks(turn_to),
        args=(watched, field, key),
        disabled=watched.main.state.is_over or links.is_locked("knobs"),
    )


def _key(run: Run, field: str) -> str:
    return f"knob:{run.id}:{field}"


def told(move: Move) -> str:
    """``Variance weight 1 → 3: applied at step 17``."""
    became = tr(BECAME[move.state], step=move.step, reason=plain(move.reason))
    return f"**{plain(move.what)}** {became}"
