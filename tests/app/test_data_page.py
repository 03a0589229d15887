"""The data page, and the images that one of two runs gets right; the answers are the real ones."""

from __future__ import annotations

import re
from pathlib import Path
from threading import Event, Thread
from typing import Any

import numpy as np
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from app import answers
from app.right_and_wrong import in_common, pick
from vcr_core.config import override
from vcr_core.execution.answers import answer
from vcr_core.execution.launch import DISPATCHER_LEASE
from vcr_core.execution.runner import execute
from vcr_core.presets import find_preset
from vcr_core.store import Answer, RunState, Store, open_store

MAIN = str(Path(__file__).parents[2] / "app" / "main.py")


@pytest.fixture(autouse=True)
def no_workers(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.hold_lease(DISPATCHER_LEASE, "test", patience=0)
    monkeypatch.setattr(answers, "WAIT_SECONDS", 20.0)
    st.cache_data.clear()


@pytest.fixture
def worker(store: Store) -> Any:
    """Answers what is asked, as a worker does."""
    over = Event()

    def serve() -> None:
        mine = open_store(store.url)
        while not over.wait(0.02):
            for request in mine.open_requests():
                answer(mine, request.id)
        mine.close()

    thread = Thread(target=serve)
    thread.start()
    yield
    over.set()
    thread.join()


def open_data(**query: str) -> AppTest:
    page = AppTest.from_file(MAIN, default_timeout=40)
    page.switch_page("../pages/data.py")
    page.query_params.update(query)
    page.run()
    assert not page.exception
    return page


def drawn(page: AppTest) -> str:
    return "\n".join(element.proto.body for element in page.get("html"))


@pytest.mark.usefixtures("worker")
def test_samples_stand_with_their_labels_and_choices_live_in_the_link() -> None:
    page = open_data(dataset="digits", task="digit", **{"class": "7"})
    assert drawn(page).count('<figure title="digit: 7, parity: odd, ') == 48
    assert any("48 of" in caption.value for caption in page.caption)
    shown = drawn(page)
    page.button(key="data:others").click().run()
    assert page.query_params["page"] == "1"
    assert drawn(page) != shown
    boxes = {box.label: box for box in page.selectbox}
    boxes["Show"].set_value("test").run()
    assert page.query_params["show"] == "test"
    assert "page" not in page.query_params
    moons = drawn(open_data(dataset="two-moons"))
    assert 'class="vcr-points"' in moons
    assert "upper (504)" in moons


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize("shown", ["train", "corrupted", "target"])
def test_clips_are_shown_as_strips_with_what_moves_and_how(shown: str) -> None:
    page = open_data(preset="video-small", show=shown)
    body = drawn(page)
    assert 'class="vcr-tiles strips"' in body
    assert 'width="96" height="24"' in body  # four frames side by side
    assert any("from its first to its last" in caption.value for caption in page.caption)
    if shown == "train":
        assert "clips of 8 frames; in grey, 24 × 24 pixels" in body
        assert "motion: clockwise, shape: " in body


def test_videos_that_are_not_here_say_how_to_place_them() -> None:
    page = open_data(dataset="hmdb51")
    assert "unrar x" in page.info[0].value
    assert "testTrainMulti_7030_splits" in page.info[0].value
    assert "clips of 16 frames; in colour, of many sizes" in drawn(page)


def test_data_that_are_not_here_say_how_to_get_them(store: Store) -> None:
    page = open_data(dataset="cifar10")
    assert "downloads them once" in page.info[0].value
    folder = open_data(dataset="folder", folder="/nowhere/<b>")
    said = folder.info[0].value
    assert "nowhere" in said
    assert "\\<b\\>" in said
    assert store.open_requests() == []


def test_a_hostile_link_is_answered_with_the_first_data_set(
    monkeypatch: pytest.MonkeyPatch, store: Store
) -> None:
    monkeypatch.setattr(answers, "WAIT_SECONDS", 0.0)
    page = open_data(
        dataset="<b>x",
        task="<script>",
        show="lala",
        page="-5",
        run="![x](http://127.0.0.1/x.png)",
        preset="zzz",
    )
    said = [warning.value for warning in page.warning]
    for asked in ("\\<b\\>x", "zzz", "\\!\\[x"):
        assert sum(asked in text for text in said) == 1, (asked, said)
    assert page.selectbox[0].value == "sprites"
    (request,) = store.open_requests()  # nobody has answered: the page waits
    store.fail_request(request.id, "<b>no</b> memory")
    page.run()
    assert not page.exception
    assert "no" in page.warning[-1].value
    assert "<b>" not in page.warning[-1].value.replace("\\<", "")
    page.button(key="data:samples:again").click().run()
    assert not page.exception
    assert len(store.open_requests()) == 1


def test_a_link_that_asks_for_a_class_in_vain_is_told_so(store: Store) -> None:
    page = open_data(dataset="digits", task="parity", view="sideways", **{"class": "seven"})
    said = [warning.value for warning in page.warning]
    assert any("“sideways”" in text and "train, test" in text for text in said), said
    assert any("“seven”" in text and "even" in text for text in said), said
    assert not open_data(dataset="digits", task="parity", **{"class": "even"}).warning


@pytest.fixture
def twins(store: Store) -> tuple[str, str]:
    """Two small networks that were really trained, and keep their weights."""
    changes = {
        "model.hidden": (24, 12),
        "training.epochs": 1,
        "transfer.train_size": 300,
        "transfer.probes": 1,
        "execution.device": "cpu",
    }
    pair = store.create_pair(override(find_preset("digits-parity").config, changes))
    for run in pair:
        store.move_run(run, before=RunState.QUEUED, after=RunState.STARTING)
        execute(store, run)
    return pair


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize("where", ["lab", "compare"])
def test_twins_show_the_images_that_only_one_of_them_gets_right(
    twins: tuple[str, str], where: str
) -> None:
    page = AppTest.from_file(MAIN, default_timeout=40)
    if where == "compare":
        page.switch_page("../pages/compare.py")
    page.query_params.update({"task": "digit"})
    page.query_params.update({"runs": ",".join(twins)} if where == "compare" else {"run": twins[1]})
    page.run()
    assert not page.exception
    sentence = next(text.value for text in page.markdown if "of 500 test images" in text.value)
    first, others = (int(number) for number in re.findall(r"(?:\*\*|; )(\d+)", sentence))
    shown = drawn(page)
    marks = [shown.count(f"<span>{mark} ") for mark in "✓✗"]
    assert marks == [min(first, 20) + min(others, 20)] * 2
    assert marks[0] > 0


def told(predicted: list[int], truth: list[int]) -> Answer:
    arrays = {"predicted/0": np.array(predicted), "truth/0": np.array(truth)}
    return Answer({"step": 1, "tasks": [{"name": "parity", "classes": ["even", "odd"]}]}, arrays)


def test_images_are_counted_by_who_gets_them_right() -> None:
    truth = [0, 0, 1, 1, 1]
    first, second = told([0, 1, 1, 1, 0], truth), told([0, 0, 0, 1, 0], truth)
    found = in_common(first, second, ("digit", "digit"))["parity"]
    assert found.groups.tolist() == [0, 2, 1, 0, 3]
    assert found.counts() == [2, 1, 1, 1]
    others = told([0, 0, 0, 1, 0], [1, 0, 1, 1, 1])  # other images
    assert in_common(first, others, ("digit", "digit")) == {}


def test_pages_of_images_show_each_once_and_come_round() -> None:
    groups = np.array([1, 0] * 25)
    pages = [pick(groups, 1, page).tolist() for page in range(3)]
    assert sorted(pages[0] + pages[1]) == np.flatnonzero(groups).tolist()
    assert pages[2] == pages[0]
    assert pick(groups, 2, 7).tolist() == []
