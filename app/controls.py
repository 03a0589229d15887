"""The bar of a run: what can be asked of it now. Each move is applied at the next step boundary.

The bar stays in sight while the page scrolls, also when the run is over. Its knobs and buttons are
a fragment of their own, so that a move costs no more than a command; the line below says what
became of what was asked, and looks twice a second as long as somebody waits. What was asked
elsewhere, the live part finds when it reads the run (:func:`is_behind`).
"""

from __future__ import annotations

import streamlit as st

from app import links
from app.commands import ask, follow, turn_to
from app.fork_panel import fork_panel
from app.guard import asks, guarded, say_problem
from app.layer_panel import layer_panel
from app.more_controls import more_controls
from app.share_panel import share_panel
from app.state import Watched, find_watched, lab_store
from app.texts import plain, tr
from app.turns import in_turn
from vcr_core.live_view.asked import BECAME, Move, asked, last_move, moves
from vcr_core.live_view.knobs import BUTTONS, KNOBS, Knob, buttons, knobs
from vcr_core.store import Run

STATUS_SECONDS = 0.5
TOLD = "told of"
ICONS = {
    "pause": ":material/pause:",
    "resume": ":material/play_arrow:",
    "step": ":material/skip_next:",
    "stop": ":material/stop:",
}
SHORTCUTS = {"pause": "Space", "resume": "Space", "step": "Right"}


def controls(watched: Watched) -> None:
    """The bar; knobs and what became of them as long as the run is not over.

    Whoever asks for something here draws the bar anew, and is told soon what became of it.
    """
    with st.container(key="controls"):
        st.fragment(guarded(_bar, quiet=True))(watched.main.id)


def is_behind(watched: Watched) -> bool:
    """Whether the bar does not tell yet what was asked of the run elsewhere, or became of it."""
    run = watched.main
    return st.session_state.get(f"{TOLD}:{run.id}") != asked(lab_store(), run)


def _bar(run_id: str) -> None:
    say_problem()
    watched = find_watched(lab_store(), run_id)
    st.session_state[f"{TOLD}:{watched.main.id}"] = asked(lab_store(), watched.main)
    with st.container(key="transport", horizontal=True, vertical_alignment="center"):
        if not watched.is_over and not links.is_hidden("transport"):
            _transport(watched)
        _panels(watched)
    if not watched.is_over and not links.is_hidden("knobs"):
        with st.container(key="knobs"):
            shown = knobs(lab_store(), watched, tr)
            for column, knob in zip(st.columns(len(shown)), shown, strict=True):
                with column:
                    _knob(watched, knob)
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
    return any(move.is_awaited for move in moves(lab_store(), watched.main, tr))


def _say_moves(watched: Watched) -> None:
    said = map(told, moves(lab_store(), watched.main, tr))
    st.caption(" · ".join(said) or "\u00a0")


def _transport(watched: Watched) -> None:
    for word in buttons(lab_store(), watched):
        st.button(
            tr(BUTTONS[word]),
            icon=ICONS[word],
            key=f"bar:{word}",
            disabled=links.is_locked("transport") or not watched.active,
            shortcut=SHORTCUTS.get(word),
            on_click=asks(ask, button=f"bar:{word}"),
            args=(watched, word),
        )


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
    move = last_move(lab_store(), watched.main)
    st.button(
        tr("Undo"),
        icon=":material/undo:",
        key="undo",
        disabled=move is None or links.is_locked("knobs"),
        help=tr("Turn the last knob back to where it stood."),
        on_click=asks(ask, button="undo"),
        args=(watched, "undo"),
    )


def _knob(watched: Watched, knob: Knob) -> None:
    """One slider."""
    key = _key(watched.main, knob.field)
    follow(key, knob.value)
    st.select_slider(
        knob.title,
        options=knob.options,
        value=knob.value,
        format_func=lambda value: f"{value:g}",
        key=key,
        help=knob.help,
        on_change=asks(turn_to),
        args=(watched, knob.field, key),
        disabled=watched.main.state.is_over or links.is_locked("knobs"),
    )


def _key(run: Run, field: str) -> str:
    return f"knob:{run.id}:{field}"


def told(move: Move) -> str:
    """``Variance weight 1 → 3: applied at step 17``."""
    became = tr(BECAME[move.state], step=move.step, reason=plain(move.reason))
    return f"**{plain(move.what)}** {became}"
