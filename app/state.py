"""What all pages share: the store, a living dispatcher, and the run that the link names."""

from __future__ import annotations

from functools import cache
from threading import Lock

import streamlit as st

from vcr_core import paths
from vcr_core.errors import UnknownRunError
from vcr_core.execution import ensure_dispatcher
from vcr_core.live_view.watched import Watched, find_watched
from vcr_core.store import Store, open_store

RUN_PARAMETER = "run"
LAST_RUN = "last run"
_opening = Lock()  # of many that ask first at once, one opens it


def lab_store() -> Store:
    """This server's connection to the store."""
    url = paths.store_url()
    with _opening:
        return _opened(url)


@cache
def _opened(url: str) -> Store:
    return open_store(url)


def open_lab() -> None:
    """See that a dispatcher keeps two workers warm while somebody looks at the page."""
    ensure_dispatcher(lab_store())


def watched() -> Watched | None:
    """The run that the link names, else the one this visitor watched last, with its twin.

    Raises:
        UnknownRunError: the link names a run that the store does not hold.
    """
    run_id = st.query_params.get(RUN_PARAMETER) or st.session_state.get(LAST_RUN)
    if not run_id:
        return None
    found = find_watched(lab_store(), run_id)
    watch(run_id)
    return found


def watch(run_id: str) -> None:
    """Show this run: its id goes into the link, so reloading finds it again."""
    st.query_params[RUN_PARAMETER] = run_id
    st.session_state[LAST_RUN] = run_id


__all__ = [
    "RUN_PARAMETER",
    "UnknownRunError",
    "Watched",
    "find_watched",
    "lab_store",
    "open_lab",
    "watch",
    "watched",
]
