"""The bar's panels and the links of the lab page, run by Streamlit's own test runner."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from app import fork_panel, layer_panel, share_panel
from app.layer_panel import in_all_conventions
from vcr_core.config import RunConfig, override
from vcr_core.errors import StoreError
from vcr_core.execution.launch import DISPATCHER_LEASE
from vcr_core.store import Command, CommandKind, Report, RunState, Store

MAIN = str(Path(__file__).parents[2] / "app" / "main.py")
IN_VAIN = {
    "hide": ("knobs,everything", "expected one of start, settings"),
    "lock": ("network", "expected one of settings, transport, knobs"),
    "layer": ("blocks.99", "expected one of blocks.0, "),
    "step": ("-1e99", "expected a whole number"),
    "matrix": ("\x00" * 300, "expected one of correlation, covariance"),
    "lang": ("xx", "expected one of en, ja"),
    "regularizer.variance_wieght": ("3", "Did you mean regularizer.variance_weight"),
    "preset": ("nothing", "expected one of sprites-shape, "),
}
"""What a link may ask for in vain: the value, and what is said of it."""
VARIANCE, COVARIANCE = "regularizer.variance_factors", "regularizer.covariance_factors"


@pytest.fixture(autouse=True)
def no_workers(store: Store) -> None:
    """Somebody else seems to dispatch, so the page starts no workers for a test."""
    store.hold_lease(DISPATCHER_LEASE, "test", patience=0)


@pytest.fixture
def page() -> AppTest:
    return AppTest.from_file(MAIN, default_timeout=30)


def training(store: Store, *, step: int = 0, changes: Mapping[str, object] | None = None) -> str:
    run_id = store.create_run(override(RunConfig(), changes or {}))
    store.update_run(run_id, state=RunState.RUNNING.value, total_steps=460, step=step)
    return run_id


def opened(page: AppTest, run_id: str, panel: str) -> AppTest:
    """The lab with a run and one of its panels open."""
    page.query_params["run"] = run_id
    page.session_state[panel] = True
    return page.run()


def asked(store: Store, run_id: str) -> list[tuple[str, object]]:
    """Every turn of a knob: field and value."""
    return [
        (str(each.payload["field"]), each.payload["value"])
        for each in store.commands(run_id)
        if each.kind is CommandKind.SET
    ]


def said(page: AppTest) -> str:
    parts = [*page.markdown, *page.warning, *page.error, *page.caption, *page.toast]
    return "\n".join(str(part.value) for part in parts)


def test_a_layers_weight_is_turned_and_named_with_its_layer(page: AppTest, store: Store) -> None:
    run_id = training(store)
    layer = RunConfig().layer_names[0]
    opened(page, run_id, layer_panel.OPEN)
    slider = page.select_slider(key=f"knob:{run_id}:{VARIANCE}.{layer}")
    assert slider.value == 1.0
    slider.set_value(3.0).run()
    assert not page.exception
    assert asked(store, run_id) == [(f"{VARIANCE}.{layer}", 3.0)]
    assert page.select_slider(key=f"knob:{run_id}:{VARIANCE}.{layer}").label.endswith(": 3")
    assert f"Variance weight of {layer} ×1 → ×3" in said(page).replace("\\", "")


def test_undo_turns_one_layer_back_and_alike_turns_all(page: AppTest, store: Store) -> None:
    run_id = training(store, changes={COVARIANCE: ("*=0.1",)})
    first, second = RunConfig().layer_names[:2]
    store.add_command(run_id, CommandKind.SET, {"field": f"{VARIANCE}.{first}", "value": 30.0})
    opened(page, run_id, layer_panel.OPEN)
    assert page.select_slider(key=f"knob:{run_id}:{VARIANCE}.{first}").value == 30.0
    assert page.select_slider(key=f"knob:{run_id}:{COVARIANCE}.{second}").value == 0.1
    page.button(key="undo").click().run()
    page.button(key="layers:alike").click().run()
    assert not page.exception
    assert asked(store, run_id)[1:] == [(f"{VARIANCE}.{first}", 1.0), (COVARIANCE, [])]
    assert page.button(key="layers:alike").disabled


def test_a_locked_link_shows_the_layers_weights_and_lets_nobody_turn_them(
    page: AppTest, store: Store
) -> None:
    page.query_params["lock"] = "knobs"
    run_id = training(store)
    opened(page, run_id, layer_panel.OPEN)
    knobs = [knob for knob in page.select_slider if knob.key and "factors" in knob.key]
    assert len(knobs) == 2 * len(RunConfig().layer_names)
    assert all(knob.disabled for knob in knobs)


def test_weights_in_the_three_conventions_follow_the_sizes_of_the_layer() -> None:
    features, samples = 64, 2048
    live = override(RunConfig(), {f"{VARIANCE}.pool": 3.0, "regularizer.covariance_weight": 2.0})
    found = in_all_conventions(live, "pool", features=features, samples=samples)
    assert live.regularizer.scale == "exact"
    assert (found["exact"].variance, found["exact"].covariance) == (3.0, 2.0)
    assert found["published"].covariance == pytest.approx(2.0 / (samples - 1))
    assert found["vicreg"].covariance == pytest.approx(2.0 / (features - 1))
    assert found["vicreg"].variance == pytest.approx(2 * found["exact"].variance)


def test_the_conventions_come_with_the_first_matrices(page: AppTest, store: Store) -> None:
    run_id = training(store, step=10)
    layer = RunConfig().layer_names[-1]
    opened(page, run_id, layer_panel.OPEN)
    assert "first matrices" in said(page)
    spread = {(layer, "std"): np.ones(64, dtype=np.float32)}
    store.write_reports(
        run_id, [Report(10, {f"layer/{layer}/count": 2048.0}, spread)], progress={"step": 10}
    )
    page.run()
    assert not page.exception
    assert "D = 64 features and n = 2,048 samples" in said(page)


def test_a_run_is_forked_at_the_step_that_the_link_shows(page: AppTest, store: Store) -> None:
    run_id = training(store, step=200)
    store.add_command(
        run_id, CommandKind.SET, {"field": "regularizer.covariance_weight", "value": 5.0}
    )
    (turn,) = store.commands(run_id)
    store.settle_command(turn.id, applied_step=50)
    page.query_params["step"] = "120"
    opened(page, run_id, fork_panel.OPEN)
    assert page.number_input(key=f"fork:step:{run_id}:120").value == 120
    weight = page.number_input(key=f"fork:regularizer.covariance_weight:{run_id}:120")
    assert weight.value == 5.0
    weight.set_value(0.0)
    page.button(key="fork").click().run()
    assert not page.exception
    (child,) = [run for run in store.runs() if run.id != run_id]
    assert child.parent_id == run_id
    assert page.query_params["run"] in (child.id, [child.id])
    assert "step" not in page.query_params
    assert planned(store.commands(child.id)) == [
        (50, {"field": "regularizer.covariance_weight", "value": 5.0}),
        (120, {"field": "regularizer.covariance_weight", "value": 0.0}),
        (120, {"epochs": 5}),
    ]


def planned(commands: list[Command]) -> list[tuple[int | None, dict[str, object]]]:
    return [(each.applied_step, dict(each.payload)) for each in commands]


def test_a_fork_that_cannot_be_is_said_and_makes_no_run(page: AppTest, store: Store) -> None:
    run_id = training(store, step=460)
    store.update_run(run_id, state=RunState.FINISHED.value)
    opened(page, run_id, fork_panel.OPEN)
    page.number_input(key=f"fork:more:{run_id}").set_value(0)
    page.button(key="fork").click().run()
    assert not page.exception
    assert "at its end at step 460" in said(page)
    assert [run.id for run in store.runs()] == [run_id]


def test_the_link_for_a_class_leaves_out_and_locks_what_is_chosen(
    page: AppTest, store: Store
) -> None:
    run_id = training(store)
    page.query_params["layer"] = RunConfig().layer_names[0]
    opened(page, run_id, share_panel.OPEN)
    page.multiselect(key="share:hide").set_value(["start", "settings"]).run()
    page.multiselect(key="share:lock").set_value(["knobs"]).run()
    assert not page.exception
    link = link_of(page)
    assert link == {
        "run": [run_id],
        "layer": [RunConfig().layer_names[0]],
        "hide": ["start,settings"],
        "lock": ["knobs"],
    }
    page.checkbox(key="share:run").uncheck().run()
    assert link_of(page) == {"hide": ["start,settings"], "lock": ["knobs"]}


def link_of(page: AppTest) -> dict[str, list[str]]:
    return parse_qs(urlsplit(next(each.value for each in page.code if "?" in each.value)).query)


def test_code_of_a_turned_run_repeats_the_turn(page: AppTest, store: Store) -> None:
    run_id = training(store, step=100)
    field = f"{VARIANCE}.{RunConfig().layer_names[0]}"
    store.add_command(run_id, CommandKind.SET, {"field": field, "value": 3.0})
    (turn,) = store.commands(run_id)
    store.settle_command(turn.id, applied_step=40)
    opened(page, run_id, share_panel.OPEN)
    assert not page.exception
    assert any(f"40:{field}=3" in code.value for code in page.code if code.language == "bash")
    assert any(field in code.value for code in page.code if code.language == "python")


def test_what_a_link_asks_for_in_vain_is_said_and_the_run_is_shown(
    page: AppTest, store: Store
) -> None:
    page.query_params["run"] = training(store)
    for name, (value, _) in IN_VAIN.items():
        page.query_params[name] = value
    page.query_params["utm_source"] = "newsletter"  # what other sites add is none of ours
    page.run()
    assert not page.exception
    assert len(page.warning) == len(IN_VAIN)
    warnings = [warning.value.replace("\\", "") for warning in page.warning]
    for name, (_, message) in IN_VAIN.items():
        assert any(message in warning for warning in warnings), name
    assert page.button(key="bar:pause")


def test_markup_in_a_link_is_shown_as_text(page: AppTest) -> None:
    page.query_params["matrix"] = "<b>[x](https://example.org)$a$ :red[b]"
    page.run()
    (warning,) = page.warning
    assert r"\<b\>\[x\](https\://example.org)\$a\$ \:red\[b\]" in warning.value


def test_a_click_that_comes_twice_counts_once(
    page: AppTest, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.guard.ONE_CLICK_SECONDS", 3600.0)
    run_id = training(store)
    page.query_params["run"] = run_id
    page.run()
    page.button(key="bar:step").click().run()
    page.button(key="bar:step").click().run()
    assert [each.kind for each in store.commands(run_id)] == [CommandKind.STEP]
    page.button(key="bar:resume").click().run()  # another button is another click
    assert store.commands(run_id)[-1].kind is CommandKind.RESUME


def test_a_run_removed_for_good_while_it_is_watched_is_said(page: AppTest, store: Store) -> None:
    run_id = store.create_run(RunConfig())
    store.update_run(run_id, state=RunState.STOPPED.value)
    page.query_params["run"] = run_id
    page.run()
    assert not page.warning
    store.delete_runs([run_id])
    store.purge()
    page.run()
    assert not page.exception
    assert "not here" in page.warning[0].value


def test_a_store_that_goes_away_and_comes_back(
    page: AppTest, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = training(store)
    page.query_params["run"] = run_id
    page.run()

    def away(self: Store, *args: object, **kwargs: object) -> None:
        raise StoreError("the <disk> is full")

    with monkeypatch.context() as gone:
        gone.setattr(Store, "with_twin", away)
        page.run()
        assert not page.exception
        assert "The store cannot be used." in page.error[0].value
        assert "<disk>" not in page.error[0].value
    page.run()
    assert not page.error
    assert page.button(key="bar:pause")


def test_what_a_reopened_panel_tells_of_before_is_no_move() -> None:
    def script() -> None:
        import streamlit as st

        from app.commands import follow, is_moved

        follow("speed", 0.0)
        st.session_state["speed"] = 0.1
        first = is_moved("speed")  # somebody moves it
        del st.session_state["speed"]  # the panel is closed, and the widget gone
        st.session_state["speed"] = 0.1  # it opens: the browser still has the value
        again = is_moved("speed")
        follow("speed", 0.5)  # turned elsewhere meanwhile
        late = is_moved("speed")
        st.session_state["speed"] = 2.0
        st.text(f"{first} {again} {late} {is_moved('speed')} {st.session_state['speed']}")

    page = AppTest.from_function(script).run()
    assert not page.exception
    assert page.text[0].value == "True False False True 2.0"
