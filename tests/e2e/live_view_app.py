"""A tiny page around the live view, for the browser tests: the newest pair, a layer to choose."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1])]

import streamlit as st  # noqa: E402
from feeder import LAYERS, all_charts, network  # noqa: E402

from app.live_view import live_view  # noqa: E402
from vcr_core.live_view import View  # noqa: E402
from vcr_core.store import open_store  # noqa: E402

st.set_page_config(layout="wide")
store = st.cache_resource(open_store)()
baseline, regularized = sorted(store.runs(limit=2), key=lambda run: run.role)
layer = st.segmented_control("Layer", LAYERS, default=LAYERS[-1])
charts = all_charts((baseline, regularized), str(layer))
view = View(charts, network((baseline, regularized), str(layer)))


@st.fragment(run_every=0.5)
def live() -> None:
    if st.session_state.get("drop-a-tick"):
        lost = st.session_state["live/feed"].next_message(view, store)
        st.session_state["drop-a-tick"] = "series" not in lost
    live_view(view, store=store, key="live")


st.button("Drop a tick", on_click=lambda: st.session_state.update({"drop-a-tick": True}))
if not st.checkbox("Hide the charts"):
    live()
