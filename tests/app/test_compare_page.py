"""The compare page against a real store: links, choices, numbers, living and deleted runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from vcr_core.config import RunConfig, override
from vcr_core.errors import StoreError
from vcr_core.execution.launch import DISPATCHER_LEASE
from vcr_core.statistics import signed
from vcr_core.store import Report, RunState, Store

MAIN = str(Path(__file__).parents[2] / "app" / "main.py")
LAYERS = RunConfig().layer_names


@pytest.fixture(autouse=True)
def no_workers(store: Store) -> None:
    store.hold_lease(DISPATCHER_LEASE, "test", patience=0)


def trained(
    store: Store, seed: int, weight: float, accuracy: float, state: RunState = RunState.FINISHED
) -> str:
    weights = {"regularizer.variance_weight": weight, "regularizer.covariance_weight": weight}
    run = store.create_run(override(RunConfig(), {"seed": seed, **weights}))
    for step in (0, 10):
        matrix = np.array([[4.0, seed + weight], [seed + weight, 9.0]], dtype=np.float32)
        arrays = {(layer, "covariance"): matrix + step for layer in LAYERS}
        metrics = {"source/accuracy": accuracy, "transfer/colour": accuracy, "loss/task": 1.0}
        store.write_reports(run, [Report(step, metrics, arrays)], progress={"step": step})
    result = {
        "source_accuracy": accuracy,
        "transfer": {"colour": accuracy},
        "effective_rank": 9.0,
    }
    store.update_run(run, state=state.value, total_steps=10, result=result)
    return run


@pytest.fixture
def six(store: Store) -> list[str]:
    """Three seeds without and three with VCR; the differences are 10, 20 and 30 points."""
    plain = [trained(store, seed, 0.0, 0.5) for seed in range(3)]
    return [*plain, *(trained(store, s, 1.0, 0.6 + s / 10) for s in range(3))]


def open_compare(**query: str) -> AppTest:
    page = AppTest.from_file(MAIN, default_timeout=30)
    page.switch_page("../pages/compare.py")
    page.query_params.update(query)
    page.run()
    assert not page.exception
    return page


def tables(page: AppTest) -> str:
    return "\n".join(element.proto.body for element in page.get("html"))


def views(page: AppTest) -> list[dict[str, Any]]:
    """What the page's charts are told; a view without charts only loads Plotly."""
    told = [json.loads(found.proto.bytes) for found in page.get("bidi_component")]
    return [message for message in told if message["spec"]["charts"]]


def said(page: AppTest) -> str:
    parts = [*page.markdown, *page.warning, *page.error, *page.info, *page.caption]
    return "\n".join(str(part.value) for part in parts)


def test_two_groups_get_overlays_with_bands_and_paired_differences(six: list[str]) -> None:
    page = open_compare(runs=",".join(six))
    curves, matrices = views(page)
    accuracy = curves["spec"]["charts"][0]["panels"][0]
    assert [trace["kind"] for trace in accuracy["traces"]].count("band") == 2
    name = f"{six[3]}/source/accuracy"
    assert curves["series"][name]["y"] == [0.7, 0.7]
    assert curves["series"][f"{name}/high"]["y"][0] == pytest.approx(0.7 + 0.1 / 3**0.5, abs=1e-5)
    assert "Δ +20.0 (−4.8 … +44.8), n = 3" in tables(page)
    assert "50.0 ± 0.0 %" in tables(page)
    assert [chart["id"] for chart in matrices["spec"]["charts"]] == ["matrices", "differences"]


def test_only_settings_that_differ_are_in_the_table(six: list[str]) -> None:
    shown = tables(open_compare(runs=f"{six[0]},{six[3]}"))
    assert "Variance weight" in shown
    assert "Learning rate" not in shown


def test_every_choice_lives_in_the_link(six: list[str]) -> None:
    page = open_compare(runs=",".join(six))
    page.selectbox(key="compare:with").set_value(1)
    page.segmented_control(key="compare:curves").set_value("each")
    page.selectbox(key="compare:layer").set_value(LAYERS[0])
    page.selectbox(key="compare:matrix").set_value("covariance")
    page.selectbox(key="compare:order").set_value("clustered")
    page.selectbox(key="compare:seed").set_value("2")
    page.select_slider(key="compare:step").set_value(0).run()
    assert not page.exception
    link = {name: "".join(values) for name, values in page.query_params.items()}
    assert link == {
        "runs": ",".join(six),
        "with": six[3],
        "curves": "each",
        "layer": LAYERS[0],
        "matrix": "covariance",
        "order": "clustered",
        "seed": "2",
        "step": "0",
    }
    other = open_compare(**link)
    curves, matrices = views(other)
    assert len(curves["spec"]["charts"][0]["panels"][0]["traces"]) == 6
    assert "Δ −20.0" in tables(other)
    shown = matrices["spec"]["charts"][1]["panels"][0]["traces"][0]
    assert shown["source"] == f"{six[2]}:{LAYERS[0]}:covariance"
    assert shown["minus"] == f"{six[5]}:{LAYERS[0]}:covariance"
    assert {array["step"] for array in matrices["arrays"].values()} == {0}


def test_runs_that_train_are_compared_at_a_step_that_all_have_reached(store: Store) -> None:
    runs = [trained(store, 0, w, 0.5, RunState.RUNNING) for w in (0.0, 1.0)]
    page = open_compare(runs=",".join(runs))
    assert "So far, at step 10" in said(page)
    assert "Still going on" in said(page)
    report = Report(20, {"source/accuracy": 0.9, "transfer/colour": 0.9}, {})
    for run in runs:
        store.write_reports(run, [report], progress={"step": 20})
    page.run()
    assert "So far, at step 20" in said(page)


def test_runs_without_any_number_are_compared_too(store: Store) -> None:
    runs = [store.create_run(RunConfig(seed=seed)) for seed in range(2)]
    page = open_compare(runs=",".join(runs))
    assert "The first numbers arrive in a moment." in said(page)


def test_a_deleted_and_an_unknown_run_are_said_and_the_rest_is_shown(
    store: Store, six: list[str]
) -> None:
    store.delete_run(six[5])
    page = open_compare(runs=",".join([*six, "<script>alert(1)</script>"]))
    assert f"{six[5]} was deleted" in said(page)
    assert "\\<script\\>" in said(page)
    assert "Δ +15.0" in tables(page)


def test_many_unknown_runs_are_one_message(store: Store) -> None:
    page = open_compare(runs=",".join(f"unknown{place}" for place in range(40)))
    (warning,) = page.warning
    assert "names 40 runs that are not here: unknown0; unknown1" in warning.value
    assert "unknown39" not in warning.value


@pytest.mark.parametrize(
    ("count", "message"),
    [(0, "Select 2 to 12 runs"), (1, "This is one run"), (13, "These are 13 runs")],
)
def test_too_few_and_too_many_runs_say_what_to_do(store: Store, count: int, message: str) -> None:
    runs = [store.create_run(RunConfig(seed=seed)) for seed in range(count)]
    assert message in said(open_compare(runs=",".join(runs)))


@pytest.mark.parametrize("value", ["<script>", "-1", "9" * 30, "constructor"])
def test_hostile_choices_in_the_link_count_as_not_given(six: list[str], value: str) -> None:
    names = ("with", "curves", "layer", "matrix", "order", "seed", "step")
    page = open_compare(runs=",".join(six), **dict.fromkeys(names, value))
    assert len(views(page)) == 2


def test_html_in_a_name_is_shown_as_text(store: Store, six: list[str]) -> None:
    for run in six[3:]:
        store.update_run(run, name="<img src=x onerror=alert(1)>")
    page = open_compare(runs=",".join(six))
    assert "<img" not in tables(page)
    assert "&lt;img src=x" in tables(page)
    assert "\\<img" in said(page)


def test_numbers_carry_a_sign_but_zero_does_not() -> None:
    assert [signed(value) for value in (1.25, -0.04, -3.0, 0.0)] == ["+1.2", "0.0", "−3.0", "0.0"]


def test_a_store_that_goes_away_gives_a_message(
    six: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    page = open_compare(runs=",".join(six))

    def gone(*_: object, **__: object) -> None:
        raise StoreError("cannot use the store at here: it is gone")

    for method in ("run", "snapshot_steps", "metrics"):
        with monkeypatch.context() as outage:
            outage.setattr(Store, method, gone)
            page.session_state["compare:curves:kept"] = None
            page.run()
            assert not page.exception
            assert "it is gone" in page.error[0].value
    page.run()
    assert not page.error
