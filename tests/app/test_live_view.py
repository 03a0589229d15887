"""The component call in Streamlit's own test runner."""

from __future__ import annotations

import json
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from vcr_core.config import RunConfig
from vcr_core.store import Report, Store


def page() -> None:
    import streamlit as st

    from app.live_view import live_view
    from vcr_core.figures import loss_chart, run_lines
    from vcr_core.live_view import View
    from vcr_core.store import open_store

    store = open_store()
    live_view(View((loss_chart(run_lines(store.runs())),)), store=store, key="live")
    store.close()
    st.caption("end of the page")


def message(app: AppTest) -> dict[str, Any]:
    component = app.get("bidi_component")[0]
    return dict(json.loads(component.proto.bytes))


@pytest.fixture
def run(store: Store) -> str:
    return store.create_run(RunConfig())


def test_the_page_mounts_one_component_with_drawings_and_where_plotly_lies(
    store: Store, run: str
) -> None:
    app = AppTest.from_function(page).run()
    assert not app.exception
    assert len(app.get("bidi_component")) == 1
    spec = message(app)["spec"]
    assert spec["plotly"].startswith("component/")
    assert "/plotly.min.js?v=" in spec["plotly"]
    assert app.caption[0].value == "end of the page"


def test_a_second_run_of_the_page_sends_only_new_numbers(store: Store, run: str) -> None:
    app = AppTest.from_function(page).run()
    store.write_reports(run, [Report(3, {"loss/task": 0.5}, {})], progress={"step": 3})
    tick = message(app.run())
    assert "spec" not in tick
    assert tick["series"] == {f"{run}/loss/task": {"from": 0, "x": [3], "y": [0.5]}}
    assert "series" not in message(app.run())
