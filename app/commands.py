"""Widgets that follow what was asked of a run, wherever it was asked, and what they ask of it."""

from __future__ import annotations

import time
from typing import Any

import streamlit as st

from app.state import Watched, lab_store
from vcr_core.live_view.asked import current_value
from vcr_core.live_view.commands import obey

HEARS_SECONDS = 1.5  # so long a browser may not have heard yet that a widget follows


def ask(watched: Watched, word: str, **numbers: Any) -> None:
    """Ask something of the watched run (:func:`vcr_core.live_view.commands.obey` says what)."""
    obey(lab_store(), watched, {"do": word, **numbers})


def turn_to(watched: Watched, field: str, key: str) -> None:
    """Turn a knob to where its widget was moved."""
    moved = is_moved(key)
    if moved and st.session_state[key] != current_value(lab_store(), watched.main, field):
        ask(watched, "set", field=field, value=st.session_state[key])


def follow(key: str, now: Any) -> None:
    """Let the widget ``key`` stand at ``now``, wherever it was turned: in another tab, by undo."""
    shown = st.session_state.get(f"{key}:shown", now)
    if shown != now:
        st.session_state[f"{key}:before"] = (shown, time.monotonic())
    if st.session_state.get(key, now) != now:
        st.session_state[key] = now
    st.session_state[f"{key}:shown"] = now


def is_moved(key: str) -> bool:
    """Whether somebody has moved the widget ``key``, which follows.

    A browser that has not heard yet where a widget stands now, or that opens a panel again, tells
    where it stood before. Taken for a move, it would undo what somebody else has done.
    """
    value = st.session_state[key]
    before, at = st.session_state.get(f"{key}:before", (None, -HEARS_SECONDS))
    is_late = value == before and time.monotonic() - at < HEARS_SECONDS
    if is_late or value == st.session_state.get(f"{key}:shown"):
        return False
    st.session_state[f"{key}:shown"] = value
    return True
