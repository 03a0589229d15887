"""One HTML file holds a whole run: no address of a server, hostile names harmless."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from vcr_core.config import RunConfig
from vcr_core.figures import covariance_chart, loss_chart, run_lines
from vcr_core.live_view import Network, View, html_page
from vcr_core.store import Report, Store

LAYERS = RunConfig().layer_names
STEPS = (1, 12, 23)


@pytest.fixture
def page(store: Store) -> str:
    run_id = store.create_run(RunConfig())
    for step in STEPS:
        eye = np.eye(4, dtype=np.float32) * step
        arrays = {}
        for layer in LAYERS:
            arrays |= {
                (layer, "covariance"): eye,
                (layer, "std"): eye[0],
                (layer, "spectrum"): eye[0],
            }
        store.write_reports(run_id, [Report(step, {"loss/task": 1.0}, arrays)], progress={})
    runs = (store.run(run_id),)
    lines = run_lines(runs)

    def view(layer: str) -> View:
        charts = (loss_chart(lines), covariance_chart(lines, layer))
        return View(charts, Network(runs, lines, LAYERS, layer, 23))

    return html_page(view, LAYERS[0], store=store, title="</script><b>x", facts="<img src=x>")


def test_every_layer_has_its_matrices_at_every_step(page: str) -> None:
    found = re.search(r"^const messages = (.*);$", page, re.MULTILINE)
    assert found is not None
    messages = json.loads(found[1])
    assert list(messages) == list(LAYERS)
    for layer, message in messages.items():
        assert [array["step"] for array in message["past"]] == list(STEPS)
        assert all(f":{layer}:" in array["source"] for array in message["past"])
        assert {len(frames) for frames in message["frames"].values()} == {len(STEPS)}


def test_nothing_is_loaded_from_anywhere(page: str) -> None:
    assert not re.search(r"<(script|link|img|iframe)[^>]*(src|href)=", page)


def test_names_are_text(page: str) -> None:
    assert "&lt;/script&gt;&lt;b&gt;x" in page
    assert "<img src=x>" not in page
