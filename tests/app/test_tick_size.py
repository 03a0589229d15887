"""What a second of the lab page weighs: a tick stays small, also where both twins report."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from vcr_core.config import RunConfig
from vcr_core.presets import DEFAULT_PRESET, find_preset
from vcr_core.store import Report, RunState, Store

MAIN = Path(__file__).parents[2] / "app" / "main.py"
SHOWN_FEATURES = 64
STEPS = 460
MOST_BYTES = 60_000
QUANTILES = ("std_q05", "std_q25", "std_q50", "std_q75", "std_q95")


def write_snapshots(store: Store, run: str, steps: Sequence[int], config: RunConfig) -> None:
    """All that a run says at steps at which it keeps matrices and probes."""
    random = np.random.default_rng(steps[0])
    square = random.normal(size=(SHOWN_FEATURES, SHOWN_FEATURES))
    covariance = (square + square.T).astype(np.float32)
    std, spectrum = random.random(size=(2, SHOWN_FEATURES)).astype(np.float32)
    arrays = {}
    names = ["features/effective_rank", "source/accuracy"]
    names += [f"transfer/{target}" for target in config.targets]
    names += [f"loss/{name}" for name in ("task", "penalty", "variance", "covariance")]
    for layer in config.layer_names:
        kinds = {"covariance": covariance, "std": std, "spectrum": spectrum}
        arrays |= {(layer, kind): values for kind, values in kinds.items()}
        numbers = ("effective_rank", "rms_correlation", "count", "active_hinges")
        names += [f"layer/{layer}/{name}" for name in (*QUANTILES, *numbers)]
    reports = [Report(step, {name: random.random() for name in names}, arrays) for step in steps]
    store.write_reports(run, reports, progress={"step": steps[-1]})


@pytest.fixture
def pair(store: Store) -> tuple[str, str]:
    """Twins of the default preset near their end: as many points as charts get."""
    config = find_preset(DEFAULT_PRESET).config
    runs = store.create_pair(config, preset=DEFAULT_PRESET)
    for run in runs:
        store.update_run(run, state=RunState.RUNNING.value, total_steps=STEPS)
        write_snapshots(store, run, range(1, STEPS - 2, 8), config)
    return runs


def tick(page: AppTest, layer: str = "") -> Any:
    """The live view's part of the next tick, as it goes over the wire."""
    if layer:
        page.query_params["layer"] = layer
    page.run()
    assert not page.exception
    return page.get("bidi_component")[0].proto


def test_a_tick_of_the_default_view_weighs_at_most_60_kilobytes(
    store: Store, pair: tuple[str, str]
) -> None:
    config = find_preset(DEFAULT_PRESET).config
    page = AppTest.from_file(MAIN, default_timeout=30)
    page.query_params["run"] = pair[1]
    assert json.loads(tick(page).bytes)["fresh"]
    for run in pair:  # two a second: as fast as any machine so far
        write_snapshots(store, run, (STEPS - 1, STEPS), config)
    proto = tick(page)
    news = json.loads(proto.bytes)
    assert "spec" not in news
    assert len(news["arrays"]) == 6
    assert sum(map(len, news["frames"].values())) == 2 * 2 * len(config.layer_names)
    assert proto.ByteSize() <= MOST_BYTES


def test_another_layer_brings_only_its_own_drawings(store: Store, pair: tuple[str, str]) -> None:
    page = AppTest.from_file(MAIN, default_timeout=30)
    page.query_params["run"] = pair[1]
    first, second = (
        json.loads(tick(page, layer).bytes)["spec"]["charts"]
        for layer in reversed(find_preset(DEFAULT_PRESET).config.layer_names[:2])
    )
    assert [chart["id"] for chart in first] == [chart["id"] for chart in second]
    assert all("panels" in chart for chart in first)
    known = [chart["id"] for chart in second if "panels" not in chart]
    assert known == ["accuracy", "rank", "loss", "penalty"]


def test_a_components_code_is_sent_once_a_session(store: Store, pair: tuple[str, str]) -> None:
    page = AppTest.from_file(MAIN, default_timeout=30)
    page.query_params["run"] = pair[1]
    first, second = (json.loads(tick(page).bytes)["code"] for _ in range(2))
    assert {"js", "css"} <= first.keys()
    assert second == {"id": first["id"]}
