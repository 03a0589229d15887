"""The pages, run by Streamlit's own test runner against a real store."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from app.forms import usable
from app.more_controls import OPEN
from vcr_core.config import RunConfig, override
from vcr_core.execution.launch import DISPATCHER_LEASE
from vcr_core.presets import PRESETS
from vcr_core.store import CommandKind, Report, Role, RunState, Store

ROOT = Path(__file__).parents[2]
MAIN = str(ROOT / "app" / "main.py")
RESULT = {
    "source_accuracy": 0.99,
    "transfer": {"colour": 0.36, "texture": 0.30},
    "effective_rank": 14.0,
    "seconds": 20.0,
}
ENVIRONMENT = {"device": "cpu", "threads": 1}


@pytest.fixture(autouse=True)
def no_workers(store: Store) -> None:
    """Somebody else seems to dispatch, so the page starts no workers for a test."""
    store.hold_lease(DISPATCHER_LEASE, "test", patience=0)


@pytest.fixture
def page() -> AppTest:
    return AppTest.from_file(MAIN, default_timeout=30)


@pytest.fixture
def opened(page: AppTest) -> AppTest:
    """The page with its settings open."""
    page.session_state["settings"] = True
    return page


def texts(page: AppTest) -> str:
    parts = [*page.markdown, *page.warning, *page.error, *page.info, *page.caption, *page.title]
    return "\n".join(str(part.value) for part in parts)


def finished_pair(store: Store) -> tuple[str, str]:
    baseline, regularized = store.create_pair(RunConfig(), preset="sprites-shape")
    results = {
        baseline: RESULT,
        regularized: {**RESULT, "transfer": {"colour": 0.92, "texture": 0.28}},
    }
    for run_id, result in results.items():
        report = Report(10, {"source/accuracy": 0.99, "transfer/colour": 0.5}, {})
        store.write_reports(run_id, [report], progress={"step": 460})
        store.update_run(
            run_id,
            state=RunState.FINISHED.value,
            total_steps=460,
            training_seconds=20.0,
            environment=ENVIRONMENT,
            result=result,
        )
    return baseline, regularized


def test_the_first_page_offers_every_preset_and_both_starts(page: AppTest) -> None:
    page.run()
    assert not page.exception
    assert page.selectbox(key="preset").options == [preset.title for preset in PRESETS.values()]
    assert [button.label for button in page.button] == ["Start pair", "Start one"]
    assert "What to look for" in texts(page)


@pytest.mark.parametrize("preset", ["table1-vit", "ssl-vicreg", "cifar10-lt", "speed-small"])
def test_a_preset_starts_as_it_is(page: AppTest, store: Store, preset: str) -> None:
    page.query_params["preset"] = preset
    page.run()
    assert not page.exception
    assert texts(page).count("needs mending") == 0
    page.button[1].click().run()
    (run,) = store.runs()
    threads = {"execution.threads": run.config.execution.threads}  # known when it is queued
    assert run.config == override(PRESETS[preset].config, threads)


def test_start_pair_queues_twins_and_puts_the_run_into_the_link(
    page: AppTest, store: Store
) -> None:
    page.run().button[0].click().run()
    assert not page.exception
    runs = {run.role: run for run in store.runs()}
    assert set(runs) == {Role.BASELINE, Role.REGULARIZED}
    assert page.query_params["run"] in ([runs[Role.REGULARIZED].id], runs[Role.REGULARIZED].id)
    assert runs[Role.REGULARIZED].config.execution.threads is not None


def test_start_one_queues_one(page: AppTest, store: Store) -> None:
    page.run().button[1].click().run()
    assert [run.role for run in store.runs()] == [Role.SINGLE]


def test_what_is_typed_into_the_form_is_what_runs(opened: AppTest, store: Store) -> None:
    opened.run()
    opened.number_input(key="form:sprites-shape:regularizer.variance_weight").set_value(2.5)
    opened.number_input(key="form:sprites-shape:training.epochs").set_value(3)
    opened.run().button[0].click().run()
    config = next(run for run in store.runs() if run.role is Role.REGULARIZED).config
    assert (config.regularizer.variance_weight, config.training.epochs) == (2.5, 3)


def test_what_is_typed_into_the_form_stays_when_it_is_closed(opened: AppTest, store: Store) -> None:
    opened.run()
    opened.number_input(key="form:sprites-shape:training.epochs").set_value(3).run()
    opened.session_state["settings"] = False
    opened.run()
    assert not opened.number_input
    opened.session_state["settings"] = True
    opened.run()
    assert opened.number_input(key="form:sprites-shape:training.epochs").value == 3
    opened.session_state["settings"] = False
    opened.run().button[0].click().run()
    assert {run.config.training.epochs for run in store.runs()} == {3}


def test_settings_whose_images_cannot_be_used_cannot_start_as_they_are(tmp_path: Path) -> None:
    own = {"data.dataset": "folder", "data.folder": str(tmp_path)}
    fits = {"data.source": "class", "transfer.targets": (), "data.train_size": None}
    assert usable(override(RunConfig(), {**own, **fits, "data.test_size": None})) is None
    assert usable(RunConfig()) == RunConfig()


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("regularizer.variance_weight", -1.0, "expected 0 or more, got -1"),
        ("training.batch_size", 1, "expected 2 or more, got 1"),
        ("data.shortcut", 3.0, "expected 1 or less, got 3"),
    ],
)
def test_a_bad_number_is_said_and_nothing_can_start(
    opened: AppTest, store: Store, field: str, value: float, message: str
) -> None:
    opened.run()
    opened.number_input(key=f"form:sprites-shape:{field}").set_value(value).run()
    assert not opened.exception
    assert [error.value for error in opened.error] == [message]
    assert all(button.disabled for button in opened.button)
    assert store.runs() == []


def test_a_layer_that_is_not_there_lists_those_that_are(opened: AppTest) -> None:
    opened.run()
    opened.text_input(key="form:sprites-shape:regularizer.layers").set_value("conv99").run()
    assert "blocks.0, blocks.1, blocks.2, pool, got 'conv99'" in opened.error[0].value


def test_two_bad_fields_are_both_said(opened: AppTest) -> None:
    opened.run()
    opened.number_input(key="form:sprites-shape:training.batch_size").set_value(0)
    opened.number_input(key="form:sprites-shape:training.epochs").set_value(0).run()
    assert len(opened.error) == 2


def test_a_finished_pair_says_what_came_out_with_its_own_numbers(
    page: AppTest, store: Store
) -> None:
    page.query_params["run"] = finished_pair(store)[1]
    page.run()
    assert not page.exception
    shown = texts(page)
    assert "**Colour** 0.36 without, 0.92 with" in shown
    assert "About the same: **Texture** 0.30 without, 0.28 with" in shown


def test_a_failed_run_shows_why_and_the_end_of_its_log(page: AppTest, store: Store) -> None:
    run_id = store.create_run(RunConfig())
    store.update_run(
        run_id, state=RunState.FAILED.value, error="It died.\n\nThe end of its log:\nKilled"
    )
    page.query_params["run"] = run_id
    page.run()
    assert not page.exception
    assert page.error[0].value == "It died."
    assert "Killed" in "".join(block.value for block in page.code)


def test_an_unknown_run_in_the_link_is_said_and_the_page_works(page: AppTest) -> None:
    page.query_params["run"] = "<script>alert(1)</script>"
    page.run()
    assert not page.exception
    assert "The link names a run that is not here" in texts(page)
    assert page.button


def test_knobs_send_commands_and_show_what_became_of_them(page: AppTest, store: Store) -> None:
    baseline, regularized = store.create_pair(RunConfig(), preset="sprites-shape")
    for run_id in (baseline, regularized):
        store.update_run(
            run_id, state=RunState.RUNNING.value, total_steps=460, environment=ENVIRONMENT
        )
    page.query_params["run"] = regularized
    page.run()
    knob = f"knob:{regularized}:regularizer.variance_weight"
    page.select_slider(key=knob).set_value(3.0).run()
    rate = f"knob:{regularized}:optimizer.learning_rate"
    page.select_slider(key=rate).set_value(1e-3).run()
    sent = [(command.kind, dict(command.payload)) for command in store.commands(regularized)]
    assert sent == [
        (CommandKind.SET, {"field": "regularizer.variance_weight", "value": 3.0}),
        (CommandKind.SET, {"field": "optimizer.learning_rate", "value": 1e-3}),
    ]
    assert [command.payload["field"] for command in store.commands(baseline)] == [
        "optimizer.learning_rate"
    ]
    assert "**Learning rate 0.003 → 0.001** requested" in texts(page)
    store.settle_command(store.commands(regularized)[-1].id, applied_step=17)
    page.run()
    assert "**Learning rate 0.003 → 0.001** applied at step 17" in texts(page)


def test_pause_and_stop_reach_both_twins(page: AppTest, store: Store) -> None:
    ids = store.create_pair(RunConfig())
    for run_id in ids:
        store.update_run(run_id, state=RunState.RUNNING.value)
    page.query_params["run"] = ids[1]
    page.run()
    next(button for button in page.button if button.label == "Pause").click().run()
    next(button for button in page.button if button.label == "Stop and keep").click().run()
    for run_id in ids:
        kinds = [command.kind for command in store.commands(run_id)]
        assert kinds == [CommandKind.PAUSE, CommandKind.STOP]


def test_a_file_that_is_no_store_is_said_without_a_traceback(
    page: AppTest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("not a database" * 100)
    monkeypatch.setenv("VCR_LAB_STORE", f"sqlite:///{path}")
    page.run()
    assert not page.exception
    assert "the file is not a database" in page.error[0].value


def test_the_pages_never_import_torch_and_the_first_not_even_pandas(lab_home: Path) -> None:
    code = f"""
import sys
import time
from PIL import Image
from streamlit.testing.v1 import AppTest
from vcr_core.store import open_store
open_store().hold_lease("dispatcher", "test", patience=0)
page = AppTest.from_file({MAIN!r}, default_timeout=30).run()
assert "pandas" not in sys.modules
page.button[0].click().run()
for name in ("runs", "data"):
    page.switch_page("../pages/" + name + ".py").run()
    assert not page.exception, page.exception
assert "torch" not in sys.modules
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_a_bad_folder_of_images_is_said_beside_its_field(opened: AppTest, tmp_path: Path) -> None:
    opened.run()
    opened.selectbox(key="form:sprites-shape:data.dataset").set_value("folder").run()
    assert "expected the path of a folder" in opened.error[0].value
    for name in ("cats", "dogs"):
        (tmp_path / "pets" / name).mkdir(parents=True)
        for number in range(2):
            Image.new("RGB", (8, 8)).save(tmp_path / "pets" / name / f"{number}.png")
    broken = tmp_path / "pets" / "dogs" / "1.png"
    broken.write_bytes(b"no image")
    field = opened.text_input(key="form:sprites-shape:data.folder")
    field.set_value(str(tmp_path / "pets")).run()
    assert f"'{broken}' is none" in opened.error[0].value
    assert all(button.disabled for button in opened.button)
    broken.unlink()
    Image.new("RGB", (8, 8)).save(broken)
    opened.run()
    assert not opened.error
    assert not any(button.disabled for button in opened.button)


def test_a_queued_pair_is_stopped_at_once(page: AppTest, store: Store) -> None:
    ids = store.create_pair(RunConfig())
    page.query_params["run"] = ids[1]
    page.run()
    next(button for button in page.button if button.label == "Stop and keep").click().run()
    assert not page.exception
    assert [store.run(run_id).state for run_id in ids] == [RunState.STOPPED] * 2
    assert store.commands(ids[0]) == []


def test_a_knob_turned_elsewhere_moves_here_too(page: AppTest, store: Store) -> None:
    run_id = store.create_run(RunConfig())
    store.update_run(run_id, state=RunState.RUNNING.value, total_steps=460)
    page.query_params["run"] = run_id
    page.run()
    payload = {"field": "regularizer.variance_weight", "value": 10.0}
    store.add_command(run_id, CommandKind.SET, payload)
    page.run()
    assert page.select_slider(key=f"knob:{run_id}:regularizer.variance_weight").value == 10.0
    assert len(store.commands(run_id)) == 1


@pytest.mark.parametrize(("hears_after", "turns"), [(60.0, [10.0]), (0.0, [10.0, 1.0])])
def test_a_browser_that_has_not_heard_of_a_turn_does_not_undo_it(
    hears_after: float,
    turns: list[float],
    page: AppTest,
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("app.commands.HEARS_SECONDS", hears_after)
    run_id = training(store)
    page.query_params["run"] = run_id
    page.run()
    payload = {"field": "regularizer.variance_weight", "value": 10.0}
    store.add_command(run_id, CommandKind.SET, payload)
    page.run()
    key = f"knob:{run_id}:regularizer.variance_weight"
    page.select_slider(key=key).set_value(1.0).run()  # what it stood at before
    assert turned(store, run_id) == turns
    assert page.select_slider(key=key).value == turns[-1]
    page.select_slider(key=key).set_value(3.0).run()
    assert turned(store, run_id) == [*turns, 3.0]


def test_another_data_set_starts_without_the_presets_sizes(opened: AppTest) -> None:
    opened.run()
    opened.selectbox(key="preset").set_value("fashion-coarse").run()
    size = "form:fashion-coarse:data.train_size"
    assert opened.number_input(key=f"{size}:fashion-mnist").value == 10_000
    opened.selectbox(key="form:fashion-coarse:data.dataset").set_value("sprites").run()
    assert opened.number_input(key=f"{size}:sprites").value is None
    assert not opened.error


def test_the_result_says_which_experiment_it_is(page: AppTest, store: Store) -> None:
    page.query_params["run"] = finished_pair(store)[1]
    page.run()
    page.selectbox(key="preset").set_value("digits-parity").run()
    assert page.subheader[0].value == "Train for shape, transfer to colour"


def training(store: Store) -> str:
    run_id = store.create_run(RunConfig())
    store.update_run(run_id, state=RunState.RUNNING.value, total_steps=460)
    return run_id


def turned(store: Store, run_id: str) -> list[float]:
    return [c.payload["value"] for c in store.commands(run_id) if c.kind is CommandKind.SET]


def test_undo_turns_knobs_back_move_by_move(
    page: AppTest, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.guard.ONE_CLICK_SECONDS", 0.0)
    run_id = training(store)
    page.query_params["run"] = run_id
    page.run()
    assert page.button(key="undo").disabled
    key = f"knob:{run_id}:regularizer.variance_weight"
    page.select_slider(key=key).set_value(3.0).run()
    time.sleep(1.1)
    page.select_slider(key=key).set_value(10.0).run()
    page.button(key="undo").click().run()
    page.button(key="undo").click().run()
    assert turned(store, run_id) == [3.0, 10.0, 3.0, 1.0]
    assert page.select_slider(key=key).value == 1.0
    assert page.button(key="undo").disabled


def test_a_dragged_knob_is_one_move(page: AppTest, store: Store) -> None:
    run_id = training(store)
    for value in (3.0, 10.0, 30.0):
        payload = {"field": "regularizer.variance_weight", "value": value}
        store.add_command(run_id, CommandKind.SET, payload)
    page.query_params["run"] = run_id
    page.run()
    assert "**Variance weight 1 → 30** requested" in texts(page)
    page.button(key="undo").click().run()
    assert turned(store, run_id)[-1] == 1.0


def test_pause_becomes_resume_as_soon_as_it_is_asked(page: AppTest, store: Store) -> None:
    page.query_params["run"] = training(store)
    page.run()
    page.button(key="bar:pause").click().run()
    page.button(key="bar:resume").click().run()
    assert page.button(key="bar:pause")


def test_a_link_hides_and_locks_parts(page: AppTest, store: Store) -> None:
    run_id = training(store)
    page.query_params.update({"run": run_id, "hide": "transport,<b>,start", "lock": "knobs"})
    page.run()
    assert not page.exception
    assert not [button for button in page.button if button.label in {"Pause", "Stop and keep"}]
    assert page.select_slider(key=f"knob:{run_id}:regularizer.variance_weight").disabled


@pytest.mark.parametrize("step", ["", "-1", "1e9", "١٢", "99999999999999999999", "<script>"])
def test_a_broken_step_in_the_link_shows_the_newest(page: AppTest, store: Store, step: str) -> None:
    page.query_params.update({"run": training(store), "step": step, "layer": step, "matrix": step})
    page.run()
    assert not page.exception
    assert page.get("bidi_component")


def test_a_copied_link_brings_preset_settings_and_seed_to_another_device(
    opened: AppTest, store: Store
) -> None:
    opened.run()
    opened.selectbox(key="preset").set_value("digits-parity").run()
    opened.number_input(key="form:digits-parity:training.epochs").set_value(3)
    opened.number_input(key="form:digits-parity:seed").set_value(9)
    opened.text_input(key="form:digits-parity:model.hidden").set_value("64, 32").run()
    link = {name: "".join(values) for name, values in opened.query_params.items()}
    assert link == {
        "preset": "digits-parity",
        "training.epochs": "3",
        "model.hidden": "64,32",
        "seed": "9",
    }
    other = AppTest.from_file(MAIN, default_timeout=30)
    other.query_params.update(link)
    other.run().button[0].click().run()
    assert not other.exception
    config = next(run for run in store.runs() if run.role is Role.REGULARIZED).config
    assert (config.training.epochs, config.seed, config.model.hidden) == (3, 9, (64, 32))
    assert config.data.dataset == "digits"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("training.epochs", "-3"),
        ("training.epochs", "<script>alert(1)</script>"),
        ("data.dataset", "../../etc/passwd"),
        ("regularizer.layers", "nowhere"),
        ("seed", "1e400"),
    ],
)
def test_a_hostile_setting_in_the_link_is_said_and_left_out(
    page: AppTest, name: str, value: str
) -> None:
    page.query_params[name] = value
    page.run()
    assert not page.exception
    assert "The link asks for a setting that cannot be" in page.warning[0].value
    assert not page.button[0].disabled


def test_another_preset_leaves_the_first_ones_settings_behind(opened: AppTest) -> None:
    opened.query_params["training.epochs"] = "3"
    opened.run()
    opened.selectbox(key="preset").set_value("digits-parity").run()
    assert opened.number_input(key="form:digits-parity:training.epochs").value == 30
    assert "training.epochs" not in opened.query_params


def test_hidden_settings_still_hold(page: AppTest, store: Store) -> None:
    page.query_params.update({"hide": "settings", "training.epochs": "2"})
    page.run().button[0].click().run()
    assert not page.exception
    assert {run.config.training.epochs for run in store.runs()} == {2}


def test_the_page_speaks_japanese_when_the_link_says_so(page: AppTest, store: Store) -> None:
    page.query_params.update({"run": finished_pair(store)[1], "lang": "ja"})
    page.run()
    assert not page.exception
    assert [button.label for button in page.button][:2] == ["双子を始める", "一つ始める"]
    assert "**色** なし 0.36、あり 0.92" in texts(page)
    message = page.get("bidi_component")[0].proto.bytes
    assert "ネットワークが知っていること" in json.loads(message)["spec"]["charts"][0]["title"]


def test_more_controls_send_their_commands_with_their_numbers(page: AppTest, store: Store) -> None:
    run_id = training(store)
    page.query_params["run"] = run_id
    page.session_state[OPEN] = True
    page.run()
    page.select_slider(key=f"speed:{run_id}").set_value(0.5).run()
    page.number_input(key=f"steps:{run_id}").set_value(7).run()
    page.button(key="do:step").click().run()
    page.number_input(key=f"more:{run_id}").set_value(3).run()
    page.button(key="do:extend").click().run()
    page.button(key="bar:step").click().run()
    page.number_input(key=f"set:regularizer.target_std:{run_id}").set_value(2.0).run()
    assert not page.exception
    assert [(c.kind, dict(c.payload)) for c in store.commands(run_id)] == [
        (CommandKind.SLOW, {"seconds": 0.5}),
        (CommandKind.STEP, {"n": 7}),
        (CommandKind.EXTEND, {"epochs": 3}),
        (CommandKind.STEP, {}),
        (CommandKind.SET, {"field": "regularizer.target_std", "value": 2.0}),
    ]
