"""The runs page: every control against a real store, and what its callbacks keep."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from app.run_actions import parse_tags, plain
from app.run_list import describe_rows
from vcr_core.config import RunConfig
from vcr_core.errors import StoreError
from vcr_core.execution import Place
from vcr_core.execution.launch import DISPATCHER_LEASE
from vcr_core.store import RunState, Store
from vcr_core.training.checkpoint import Folder

MAIN = str(Path(__file__).parents[2] / "app" / "main.py")
PAGE = "../pages/runs.py"


@pytest.fixture(autouse=True)
def no_workers(store: Store) -> None:
    store.hold_lease(DISPATCHER_LEASE, "test", patience=0)


def open_runs(**query: str) -> AppTest:
    page = AppTest.from_file(MAIN, default_timeout=30)
    page.switch_page(PAGE)
    page.query_params.update(query)
    page.run()
    assert not page.exception
    return page


def rows(page: AppTest) -> list[dict[str, object]]:
    found = page.get("bidi_component")
    return list(json.loads(found[0].proto.bytes)["rows"]) if found else []


def listed(page: AppTest) -> list[str]:
    return [str(row["id"]) for row in rows(page)]


def run_in(store: Store, state: RunState = RunState.FINISHED, **columns: object) -> str:
    run = store.create_run(RunConfig(), preset="sprites-shape")
    store.update_run(run, state=state.value, **columns)
    return run


def test_an_empty_store_says_what_to_do_next() -> None:
    page = open_runs()
    assert "Start pair" in page.info[0].value
    assert rows(page) == []


def test_rows_say_what_tells_runs_apart(store: Store) -> None:
    result = {"source_accuracy": 0.98, "transfer": {"a": 0.5, "b": 0.7}}
    run_in(store, result=result, training_seconds=20.0, total_steps=460, step=460)
    row = rows(open_runs())[0]
    assert row["title"] == "Train for shape, transfer to colour"
    assert "variance 1, covariance 1 · seed 0" in str(row["facts"])
    assert (row["source"], row["transfer"]) == ("98.0 %", "60.0 %")
    assert row["how"] == "20 s of training"


def test_search_order_and_filters_choose_what_is_listed(store: Store) -> None:
    tagged = run_in(store, tags=["keep"], name="first")
    failed = run_in(store, RunState.FAILED, error="out of memory\n\nThe end of its log: …")
    page = open_runs()
    assert listed(page) == [failed, tagged]
    assert rows(page)[0]["how"] == "out of memory"
    page.selectbox(key="sort").set_value("oldest").run()
    assert listed(page) == [tagged, failed]
    page.multiselect(key="state").set_value(["failed"]).run()
    assert listed(page) == [failed]
    page.multiselect(key="state").set_value([])
    page.multiselect(key="tag").set_value(["keep"]).run()
    assert listed(page) == [tagged]
    page.text_input(key="q").set_value("nothing of the kind").run()
    assert "No run matches" in page.info[0].value


def test_the_link_names_filter_order_page_and_selection(store: Store) -> None:
    runs = [run_in(store) for _ in range(30)]
    page = open_runs(sort="oldest", page="2", selected=f"{runs[0]},{runs[1]}")
    assert listed(page) == runs[25:]
    assert page.button(key="runs:next").disabled
    assert not page.button(key="runs:compare").disabled
    page.button(key="runs:previous").click().run()
    assert listed(page) == runs[:25]
    page.button(key="runs:next").click().run()
    assert listed(page) == runs[25:]
    assert open_runs(q="nothing", state="finished").info


@pytest.mark.parametrize("value", ["<script>alert(1)</script>", "-1", "0", "9" * 30, "%00", "٢"])
def test_hostile_links_list_the_runs_all_the_same(store: Store, value: str) -> None:
    run = run_in(store)
    names = ("sort", "page", "selected", "state", "experiment", "tag", "owner", "study")
    page = open_runs(**dict.fromkeys(names, value))
    assert listed(page) == [run]
    said = [warning.value for warning in page.warning]
    for name in ("sort", "state", "experiment", "tag", "owner", "study"):
        assert sum(f"asks for {name} “" in text for text in said) == 1, (name, said)
    page.run()
    assert not page.warning


def test_delete_says_so_and_undo_brings_back(store: Store) -> None:
    run, kept = run_in(store), run_in(store)
    page = open_runs(selected=run)
    page.button(key="runs:all:delete").click().run()
    assert listed(page) == [kept]
    assert page.success[0].value == plain("Deleted: 1.")
    page.button(key="runs:undo").click().run()
    assert listed(page) == [kept, run]
    page.button(key="runs:dismiss").click().run()
    assert not page.success


def test_a_run_that_trains_is_not_deleted_and_the_page_says_why(store: Store) -> None:
    busy, idle = run_in(store, RunState.RUNNING), run_in(store)
    page = open_runs(selected=f"{busy},{idle}")
    page.button(key="runs:all:delete").click().run()
    assert listed(page) == [busy]
    assert "stop it first" in page.warning[0].value


def test_deleted_runs_are_found_by_the_filter(store: Store) -> None:
    run = run_in(store)
    store.delete_run(run)
    page = open_runs()
    assert "All runs are deleted" in page.info[0].value
    page.multiselect(key="state").set_value(["deleted"]).run()
    assert listed(page) == [run]
    assert rows(page)[0]["actions"] == ["restore"]


def test_stop_and_resume_ask_for_what_can_be_asked(store: Store) -> None:
    queued, paused = run_in(store, RunState.QUEUED), run_in(store, RunState.PAUSED)
    page = open_runs(selected=f"{queued},{paused}")
    page.button(key="runs:all:resume").click().run()
    assert [command.kind.value for command in store.commands(paused)] == ["resume"]
    page.button(key="runs:all:stop").click().run()
    assert store.run(queued).state is RunState.STOPPED
    assert store.commands(paused)[-1].kind.value == "stop"
    page.button(key="runs:all:clear").click().run()
    assert page.button(key="runs:compare").disabled


def test_only_a_run_or_a_pair_opens_in_the_lab(store: Store) -> None:
    pair = store.create_pair(RunConfig())
    single = run_in(store)
    for chosen, is_one in (
        (pair, True),
        ((pair[0],), True),
        ((pair[0], single), False),
        ((), False),
    ):
        page = open_runs(selected=",".join(chosen))
        assert page.button(key="runs:lab").disabled is not is_one
    page = open_runs(selected=",".join(pair))
    page.button(key="runs:lab").click().run()
    assert page.query_params["run"] in (pair[1], [pair[1]])


def test_a_store_that_goes_away_gives_a_message(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_in(store)
    page = open_runs()

    def gone(*_: object, **__: object) -> None:
        raise StoreError("cannot use the store at here: it is gone")

    with monkeypatch.context() as outage:
        outage.setattr(Store, "find_runs", gone)
        page.run()
        assert not page.exception
        assert "it is gone" in page.error[0].value
    page.run()
    assert len(rows(page)) == 1


def test_a_waiting_run_says_its_place_and_its_wait(store: Store) -> None:
    run = store.run(store.create_run(RunConfig()))
    shown = describe_rows([run], {run.id: Place(2, 5, 40.0)}, {})[0]["how"]
    assert shown == "2 of 5 in the queue, starts in about 40 s"
    shown = describe_rows([run], {run.id: Place(1, 1, None)}, {})[0]["how"]
    assert shown == "1 of 1 in the queue"


def test_tags_are_trimmed_cut_and_kept_once() -> None:
    assert parse_tags(" good,  very   good, good,, ") == ["good", "very good"]
    assert len(parse_tags(",".join(map(str, range(99))))) == 20
    assert parse_tags("x" * 99) == ["x" * 40]


def test_a_run_is_forked_with_other_weights_and_the_fork_opens(store: Store) -> None:
    run = run_in(store, checkpoint=None)
    store.update_run(run, checkpoint=Folder.of(store.run(run)).address, checkpoint_step=40)
    page = open_runs(selected=run)
    page.button(key="runs:fork").click().run()
    assert "has no checkpoint to fork from" in page.error[0].value
    tree = RunConfig().model_dump(mode="json")
    knobs = {"totals": [460]}
    state = {"config": tree, "control": {"live": tree, "knobs": knobs}, "last_command": 3}
    data = b"weights"
    total = hashlib.sha256(data).hexdigest()
    note = {"format": 1, "step": 40, "bytes": len(data), "sha256": total, "state": state}
    Folder.of(store.run(run)).write_raw(note, data)
    key = f"runs:fork:regularizer.variance_weight:{run}"
    page.number_input(key=key).set_value(7.0)
    page.button(key="runs:fork").click().run()
    assert not page.exception
    child = store.runs(states=[RunState.QUEUED])[0]
    assert (child.parent_id, child.parent_step) == (run, 40)
    assert child.config.regularizer.variance_weight == 7.0
    assert page.query_params["run"] in (child.id, [child.id])
