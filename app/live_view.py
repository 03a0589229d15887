"""The live view on a page of Streamlit: carries messages to the browser and back.

A tick sends arrays since the viewer's cursor, the drawings once; the browser keeps the numbers and
redraws with ``Plotly.react``. The rest of the app calls :func:`live_view` and knows none of this.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import streamlit as st
from streamlit.components.v1 import declare_component

from app import plotly_script
from app.browser_code import BrowserCode, loader
from app.texts import visitors_language
from vcr_core.figures import plotly_folder
from vcr_core.live_view import Feed, View
from vcr_core.live_view.bundle import bundle
from vcr_core.store import Store

if TYPE_CHECKING:
    from streamlit.components.v2.types import ComponentRenderer

Choose = Callable[[str, Any], None]


def live_view(
    view: View,
    *,
    store: Store,
    key: str = "live-view",
    on_choose: Choose | None = None,
    feed: Feed | None = None,
) -> None:
    """Show charts and keep them up to date: call it once per tick, with the same ``key``.

    Meant for the body of a ``st.fragment(run_every=…)``. Other charts (another layer, another run)
    may be passed at any time; what did not change is not touched. ``on_choose(name, value)`` hears
    what was clicked inside: ``layer``, ``step``, or the id of a choice.
    """
    feed = feed or st.session_state.setdefault(f"{key}/feed", Feed())
    message = feed.next_message(view, store, visitors_language())
    if "spec" in message:
        message["spec"]["plotly"] = _plotly_path()

    def wanted() -> None:
        feed.want(st.session_state[key].wanted or ())

    def chosen() -> None:
        for name, value in dict(st.session_state[key].chosen or {}).items():
            if on_choose is not None:
                on_choose(str(name), value)

    _component()(
        key=key,
        data=_code().attached(message),
        on_code_change=_code().forget,
        on_resend_change=feed.forget,
        on_wanted_change=wanted,
        on_chosen_change=chosen,
    )


def make_ready(store: Store) -> None:
    """Let the browser load what charts need before there is one: the first should not wait."""
    live_view(View(()), store=store, key="ready")


@cache
def _component() -> ComponentRenderer:
    return st.components.v2.component("vcr_lab.live_view", js=loader())


@cache
def _code() -> BrowserCode:
    return BrowserCode(bundle())


def _plotly_path() -> str:
    """The address of the Plotly package's own script, below the address of the app.

    Where another server than ours runs the page, declaring a component of the first kind makes
    Streamlit serve its folder.
    """
    if plotly_script.is_served():
        return plotly_script.address()
    served = declare_component("plotly", path=plotly_folder())
    return f"component/{served.name}/plotly.min.js?v={version('plotly')}"
