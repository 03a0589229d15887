"""The page of browser_cpu.py: the lab's charts of one pair, each second, drawn in one of two ways.

``?draw=live`` shows them in the live view, ``?draw=plotly`` with ``st.plotly_chart``.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import streamlit as st

from app.live_page import _view
from app.live_view import live_view
from app.state import find_watched, lab_store
from vcr_core.figures import read_history, to_figure
from vcr_core.live_view import View

TICK_SECONDS = 1.0


@st.fragment(run_every=TICK_SECONDS)
def charts() -> None:
    """All charts with what there is now, and how many times they were drawn."""
    st.session_state["ticks"] = st.session_state.get("ticks", 0) + 1
    st.caption(f"tick {st.session_state['ticks']}")
    store = lab_store()
    watched = find_watched(store, st.query_params["run"])
    shown = _view(watched).charts
    if st.query_params["draw"] == "live":
        live_view(View(shown), store=store)
        return
    history = read_history(store, shown)
    for chart in shown:
        st.plotly_chart(to_figure(chart, history), key=chart.id)


st.set_page_config(layout="wide")
charts()
