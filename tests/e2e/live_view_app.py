"""A tiny page around the live view, for the browser tests: the newest pair, a layer to choose."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import streamlit as st

from app.live_view import live_view
from vcr_core.figures import (
    accuracy_chart,
    covariance_chart,
    loss_chart,
    penalty_chart,
    rank_chart,
    run_lines,
    spread_chart,
)
from vcr_core.store import open_store

st.set_page_config(layout="wide")
store = st.cache_resource(open_store)()
baseline, regularized = sorted(store.runs(limit=2), key=lambda run: run.role)
layer = st.segmented_control("Layer", regularized.layers, default=regularized.layers[-1])


@st.fragment(run_every=0.5)
def charts() -> None:
    if st.session_state.pop("drop-a-tick", False):
        st.session_state["live/feed"].next_message(page, store)
    live_view(page, store=store, key="live")


lines = run_lines([baseline, regularized])
steps = regularized.total_steps
targets = ("colour", "texture", "background", "scale", "x-position", "y-position")
page = (
    accuracy_chart(lines, source="shape", targets=targets, total_steps=steps),
    covariance_chart(lines, str(layer)),
    spread_chart(lines, [str(layer)], total_steps=steps),
    loss_chart(lines, total_steps=steps),
    rank_chart(lines, total_steps=steps),
    penalty_chart(lines, total_steps=steps),
)
st.button("Drop a tick", on_click=lambda: st.session_state.update({"drop-a-tick": True}))
charts()
