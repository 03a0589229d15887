"""The live view: all charts of a page in one component that never rebuilds a chart.

A tick sends arrays since the viewer's cursor, the drawings once; the browser keeps the numbers and
redraws with ``Plotly.react``. The rest of the app calls :func:`live_view` and knows none of this.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st
from streamlit.components.v1 import declare_component

from app.live_view.feed import Feed
from vcr_core.figures import Chart, plotly_folder
from vcr_core.store import Store

if TYPE_CHECKING:
    from streamlit.components.v2.types import ComponentRenderer

HERE = Path(__file__).parent
SCRIPTS = ("live_view.js", "plots.js", "numbers.js", "looks.js")


def live_view(charts: Sequence[Chart], *, store: Store, key: str = "live-view") -> None:
    """Show charts and keep them up to date: call it once per tick, with the same ``key``.

    Meant for the body of a ``st.fragment(run_every=…)``. Other charts (another layer, another run)
    may be passed at any time; what did not change is not touched.
    """
    feed = st.session_state.setdefault(f"{key}/feed", Feed())
    message = feed.next_message(charts, store)
    if "spec" in message:
        message["spec"]["plotly"] = _plotly_path()
    _component()(key=key, data=message, on_resend_change=feed.forget)


@cache
def _component() -> ComponentRenderer:
    return st.components.v2.component(
        "vcr_lab.live_view",
        css=(HERE / "live_view.css").read_text(encoding="utf-8"),
        js="\n".join((HERE / name).read_text(encoding="utf-8") for name in SCRIPTS),
    )


def _plotly_path() -> str:
    """The address of the Plotly package's own script, below the address of the app.

    Declaring a component of the first kind makes Streamlit serve its folder.
    """
    served = declare_component("plotly", path=plotly_folder())
    return f"component/{served.name}/plotly.min.js?v={version('plotly')}"
