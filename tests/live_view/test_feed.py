"""What the browser is sent: drawings once, numbers since the cursor, everything after a gap."""

from __future__ import annotations

import base64
import json
from typing import Any

import numpy as np
import pytest

from vcr_core.config import RunConfig
from vcr_core.figures import ArrayKey, Chart, covariance_chart, loss_chart, rank_chart, run_lines
from vcr_core.figures.history import Array
from vcr_core.live_view import Feed, View
from vcr_core.live_view.packing import packed
from vcr_core.store import CommandKind, Report, Store


@pytest.fixture
def run(store: Store) -> str:
    return store.create_run(RunConfig())


@pytest.fixture
def charts(store: Store, run: str) -> list[Chart]:
    lines = run_lines([store.run(run)])
    return [loss_chart(lines), covariance_chart(lines, "a", matrix="covariance")]


def write(store: Store, run: str, step: int) -> None:
    matrix = np.full((2, 2), step, dtype=np.float32)
    metrics = {"loss/task": float(step), "features/effective_rank": 1.0 + step}
    report = Report(step, metrics, {("a", "covariance"): matrix})
    store.write_reports(run, [report], progress={"step": step})


def unpacked(array: dict[str, Any]) -> np.ndarray[Any, Any]:
    kind = {8: "<i1", 16: "<i2"}[array["bits"]]
    whole = np.frombuffer(base64.b64decode(array["data"]), dtype=kind) * array["scale"]
    if not array["triangle"]:
        return whole.reshape(array["shape"])
    matrix = np.zeros(array["shape"])
    matrix[np.tril_indices(len(matrix))] = whole
    return matrix + np.tril(matrix, -1).T


def test_the_first_message_brings_drawings_and_everything_so_far(
    store: Store, run: str, charts: list[Chart]
) -> None:
    write(store, run, 0)
    write(store, run, 1)
    message = Feed().next_message(View(tuple(charts)), store)
    assert message["fresh"] is True
    assert [chart["id"] for chart in message["spec"]["charts"]] == ["loss", "covariance"]
    assert message["series"][f"{run}/loss/task"] == {"from": 0, "x": [0, 1], "y": [0.0, 1.0]}
    matrix = message["arrays"][f"{run}:a:covariance"]
    np.testing.assert_allclose(unpacked(matrix), np.full((2, 2), 1.0))


def test_a_tick_brings_only_what_is_new(store: Store, run: str, charts: list[Chart]) -> None:
    feed = Feed()
    write(store, run, 0)
    first = feed.next_message(View(tuple(charts)), store)
    write(store, run, 1)
    tick = feed.next_message(View(tuple(charts)), store)
    assert "spec" not in tick
    assert "fresh" not in tick
    assert tick["follows"] == first["sequence"]
    assert tick["series"][f"{run}/loss/task"] == {"from": 1, "x": [1], "y": [1.0]}


def test_a_tick_without_news_repeats_the_sequence_number(
    store: Store, run: str, charts: list[Chart]
) -> None:
    feed = Feed()
    write(store, run, 0)
    first = feed.next_message(View(tuple(charts)), store)
    idle = feed.next_message(View(tuple(charts)), store)
    assert idle == {
        "feed": feed.id,
        "follows": first["sequence"],
        "sequence": first["sequence"],
    }


def test_after_a_gap_everything_is_sent_again(store: Store, run: str, charts: list[Chart]) -> None:
    feed = Feed()
    for step in range(3):
        write(store, run, step)
        last = feed.next_message(View(tuple(charts)), store)
    feed.forget()
    again = feed.next_message(View(tuple(charts)), store)
    assert again["fresh"] is True
    assert again["sequence"] == last["sequence"] + 1
    assert again["series"][f"{run}/loss/task"] == {"from": 0, "x": [0, 1, 2], "y": [0.0, 1.0, 2.0]}
    assert again["arrays"].keys() == {f"{run}:a:covariance"}
    assert "spec" in again


def test_other_charts_bring_new_drawings_and_their_own_numbers_from_the_start(
    store: Store, run: str, charts: list[Chart]
) -> None:
    feed = Feed()
    write(store, run, 0)
    feed.next_message(View(tuple(charts)), store)
    write(store, run, 1)
    more = [*charts, rank_chart(run_lines([store.run(run)]))]
    message = feed.next_message(View(tuple(more)), store)
    assert len(message["spec"]["charts"]) == 3
    assert message["series"][f"{run}/loss/task"]["from"] == 1
    rank = message["series"][f"{run}/features/effective_rank"]
    assert rank == {"from": 0, "x": [0, 1], "y": [1.0, 2.0]}


def test_a_mark_is_sent_once(store: Store, run: str, charts: list[Chart]) -> None:
    feed = Feed()
    feed.next_message(View(tuple(charts)), store)
    command = store.add_command(
        run, CommandKind.SET, {"field": "optimizer.learning_rate", "value": 0.01}
    )
    store.settle_command(command, applied_step=4)
    marks = feed.next_message(View(tuple(charts)), store)["marks"]
    assert marks["texts"] == ["Learning rate → 0.01 at step 4"]
    assert [shape["x0"] for shape in marks["shapes"]] == [4]
    assert "marks" not in feed.next_message(View(tuple(charts)), store)


def test_messages_are_plain_json_even_where_numbers_are_not_finite(
    store: Store, run: str, charts: list[Chart]
) -> None:
    matrix = np.array([[np.nan, 1.0], [np.inf, -2.0]], dtype=np.float32)
    report = Report(0, {"loss/task": float("inf")}, {("a", "covariance"): matrix})
    store.write_reports(run, [report], progress={"step": 0})
    message = Feed().next_message(View(tuple(charts)), store)
    text = json.dumps(message, allow_nan=False)
    assert json.loads(text)["series"][f"{run}/loss/task"]["y"] == [None]


@pytest.mark.parametrize(("symmetric", "most_bytes"), [(False, 11_000), (True, 5_600)])
def test_an_array_survives_its_packing(symmetric: bool, most_bytes: int) -> None:
    values = np.random.default_rng(0).normal(size=(64, 64)).astype(np.float32)
    if symmetric:
        values = values + values.T
        values[3, 5] = values[5, 3] = 0.0
    message = packed(ArrayKey("r", "a", "correlation"), Array(5, values))
    np.testing.assert_allclose(unpacked(message), values, atol=np.abs(values).max() / 60_000)
    assert len(message["data"]) < most_bytes


def test_a_timeline_is_sent_in_the_shades_that_an_eye_can_tell() -> None:
    shares = np.random.default_rng(0).random(size=(60, 32)).astype(np.float32)
    array = Array(60, shares, tuple(range(60)))
    message = packed(ArrayKey("r", "a", "std_histogram"), array)
    np.testing.assert_allclose(unpacked(message), shares, atol=1 / 250)
    assert len(message["data"]) < 2_600


@pytest.mark.parametrize("value", [0.0, np.nan, np.inf])
def test_an_array_of_nothing_can_be_packed(value: float) -> None:
    array = Array(0, np.full((2, 2), value, dtype=np.float32))
    whole = np.frombuffer(
        base64.b64decode(packed(ArrayKey("r", "a", "covariance"), array)["data"]), dtype="<i2"
    )
    assert set(whole.tolist()) == {0 if value == 0.0 else -32768}


def test_two_viewers_are_served_independently(store: Store, run: str, charts: list[Chart]) -> None:
    write(store, run, 0)
    first, second = Feed(), Feed()
    first.next_message(View(tuple(charts)), store)
    write(store, run, 1)
    assert first.next_message(View(tuple(charts)), store)["series"][f"{run}/loss/task"]["from"] == 1
    assert (
        second.next_message(View(tuple(charts)), store)["series"][f"{run}/loss/task"]["from"] == 0
    )


def test_only_matrices_have_a_say_in_the_range_of_colours() -> None:
    order = Array(1, np.arange(64, dtype=np.float32))
    assert packed(ArrayKey("r", "a", "order"), order)["limit"] == 0.0
    matrix = Array(1, np.array([[1.0, 2.0], [2.0, 1.0]], dtype=np.float32))
    assert packed(ArrayKey("r", "a", "covariance"), matrix)["limit"] == 2.0
    assert packed(ArrayKey("r", "a", "correlation"), matrix)["limit"] == 1.0
