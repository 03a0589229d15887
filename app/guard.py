"""Parts of the page that say in words what the store cannot give, and go on by themselves.

A run may be purged while somebody watches it, and a store may go away and come back. Fragments
that tick keep ticking, so that the page is whole again as soon as the store is.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec

import streamlit as st

from app.texts import plain, tr
from app.texts.errors import told
from vcr_core.errors import StoreError, UnknownRunError, VcrLabError

RETRY_SECONDS = 2.0
PROBLEM = "problem"
CLICKED = "clicked"
ONE_CLICK_SECONDS = 0.25
Arguments = ParamSpec("Arguments")


def guarded(part: Callable[Arguments, None], *, quiet: bool = False) -> Callable[Arguments, None]:
    """A part of the page that may find the store away or the run gone.

    ``quiet`` says nothing: another part of the page, which reads the same, says it already.
    """

    @wraps(part)
    def shown(*args: Arguments.args, **kwargs: Arguments.kwargs) -> None:
        try:
            part(*args, **kwargs)
        except StoreError as error:
            if not quiet:
                store_is_away(error)
        except UnknownRunError:
            if not quiet:
                st.warning(
                    tr("This run is no longer in the store: it was removed for good."),
                    icon=":material/delete_forever:",
                )

    return shown


def store_is_away(error: StoreError) -> None:
    """Say what is wrong with the store, and that the page waits for it."""
    st.error(
        f"**{tr('The store cannot be used.')}** {plain(told(error))}  \n"
        f"{tr('This page goes on by itself as soon as it can be.')}",
        icon=":material/cloud_off:",
    )


def wait_for_store(error: StoreError, ask: Callable[[], object]) -> None:
    """Say that the store is away, and draw the page anew once ``ask`` gets an answer."""
    found = [error]

    def look() -> None:
        """At first what was found just now; from then on, ask again."""
        if found:
            store_is_away(found.pop())
            return
        try:
            ask()
        except StoreError as newer:
            store_is_away(newer)
        else:
            st.rerun()

    st.fragment(look, run_every=RETRY_SECONDS)()


def asks(action: Callable[Arguments, None], *, button: str = "") -> Callable[Arguments, None]:
    """What a widget does; where it cannot be done, the page says so.

    ``button`` is the key of one that must not do it twice: a browser in which it is just being
    drawn anew may send one click, or one key, two times.
    """

    @wraps(action)
    def done(*args: Arguments.args, **kwargs: Arguments.kwargs) -> None:
        if button and _is_same_click(button):
            return
        try:
            action(*args, **kwargs)
        except VcrLabError as error:
            st.session_state[PROBLEM] = told(error)

    return done


def _is_same_click(button: str) -> bool:
    """Whether a button was clicked just now; remembers that it is clicked."""
    now = time.monotonic()
    last, at = st.session_state.get(CLICKED, ("", now))
    if last == button and now - at < ONE_CLICK_SECONDS:
        return True
    st.session_state[CLICKED] = button, now
    return False


def say_problem() -> None:
    """What a button could not do, once."""
    problem = st.session_state.pop(PROBLEM, None)
    if problem:
        st.toast(plain(problem), icon=":material/error:", duration="long")
