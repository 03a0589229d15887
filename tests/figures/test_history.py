"""Numbers by cursor: nothing twice, nothing lost."""

from __future__ import annotations

import numpy as np
import pytest

from vcr_core.config import RunConfig
from vcr_core.figures import (
    ArrayKey,
    SeriesKey,
    covariance_chart,
    histogram_chart,
    loss_chart,
    rank_chart,
    read_history,
    run_lines,
    spread_chart,
)
from vcr_core.figures.derived import spread_histogram
from vcr_core.figures.history import colour_limit, correlation
from vcr_core.store import CommandKind, Report, Store


@pytest.fixture
def run(store: Store) -> str:
    return store.create_run(RunConfig())


def write(store: Store, run: str, step: int, **extra: float) -> None:
    metrics = {"loss/task": 1.0 / (step + 1), **extra}
    store.write_reports(run, [Report(step, metrics, {})], progress={"step": step})


def turn(store: Store, run: str, field: str, value: object, *, step: int | None) -> None:
    command = store.add_command(run, CommandKind.SET, {"field": field, "value": value})
    if step is not None:
        store.settle_command(command, applied_step=step)


def test_reading_in_pieces_gives_the_same_as_reading_at_once(store: Store, run: str) -> None:
    charts = [loss_chart(run_lines([store.run(run)]))]
    pieces = read_history(store, charts)
    for step in range(7):
        write(store, run, step)
        if step % 3 == 0:
            pieces.extend(read_history(store, charts, pieces.cursor))
    pieces.extend(read_history(store, charts, pieces.cursor))
    assert pieces.series == read_history(store, charts).series
    assert pieces.series[SeriesKey(run, "loss/task")].steps == list(range(7))


def test_a_reader_that_is_up_to_date_gets_nothing(store: Store, run: str) -> None:
    charts = [loss_chart(run_lines([store.run(run)]))]
    write(store, run, 0)
    first = read_history(store, charts)
    again = read_history(store, charts, first.cursor)
    assert again.series == {}
    assert again.cursor == first.cursor


def test_a_chart_that_is_added_later_gets_its_numbers_from_the_start(
    store: Store, run: str
) -> None:
    lines = run_lines([store.run(run)])
    for step in range(3):
        write(store, run, step, **{"features/effective_rank": 10.0 + step})
    history = read_history(store, [loss_chart(lines)])
    write(store, run, 3, **{"features/effective_rank": 13.0})
    charts = [loss_chart(lines), rank_chart(lines)]
    news = read_history(store, charts, history.cursor)
    assert news.series[SeriesKey(run, "loss/task")].steps == [3]
    assert news.series[SeriesKey(run, "features/effective_rank")].values == [10.0, 11.0, 12.0, 13.0]
    history.extend(news)
    assert history.series == read_history(store, charts).series


def test_a_layer_that_was_left_and_chosen_again_has_no_hole(store: Store, run: str) -> None:
    lines = run_lines([store.run(run)])
    key = SeriesKey(run, "layer/a/std_q50")
    history = read_history(store, [spread_chart(lines, ["a"])])
    for step, layer in enumerate("aabba"):
        write(store, run, step, **{"layer/a/std_q50": float(step)})
        charts = [spread_chart(lines, [layer])]
        history.extend(read_history(store, charts, history.cursor))
    assert history.series[key].values == [0.0, 1.0, 2.0, 3.0, 4.0]


def test_a_value_that_was_not_finite_is_a_gap(store: Store, run: str) -> None:
    store.write_reports(run, [Report(0, {"loss/task": float("nan")}, {})], progress={"step": 0})
    history = read_history(store, [loss_chart(run_lines([store.run(run)]))])
    assert history.series[SeriesKey(run, "loss/task")].values == [None]


def test_only_the_newest_matrix_is_read_and_only_once(store: Store, run: str) -> None:
    charts = [covariance_chart(run_lines([store.run(run)]), "a", matrix="covariance")]
    for step in range(3):
        matrix = np.full((2, 2), step, dtype=np.float32)
        store.write_reports(
            run, [Report(step, {}, {("a", "covariance"): matrix})], progress={"step": 0}
        )
    history = read_history(store, charts)
    array = history.arrays[ArrayKey(run, "a", "covariance")]
    assert array.step == 2
    np.testing.assert_array_equal(array.values, np.full((2, 2), 2.0))
    assert read_history(store, charts, history.cursor).arrays == {}


def test_a_timeline_read_piece_by_piece_is_the_one_read_at_once(store: Store, run: str) -> None:
    charts = [histogram_chart(run_lines([store.run(run)]), "a", target=1.0, total_steps=300)]
    key, random = ArrayKey(run, "a", "std_histogram"), np.random.default_rng(0)
    pieces = read_history(store, charts)
    assert pieces.arrays == {}
    for step in range(0, 600, 2):
        std = random.uniform(0, 2, size=16).astype(np.float32)
        store.write_reports(run, [Report(step, {}, {("a", "std"): std})], progress={"step": step})
        if 100 < step < 300:  # nobody looks for a while
            continue
        news = read_history(store, charts, pieces.cursor)
        assert len(news.arrays[key].values) == len(news.arrays[key].steps) <= 60
        pieces.extend(news)
    whole = read_history(store, charts).arrays[key]
    assert whole.steps == pieces.arrays[key].steps
    np.testing.assert_array_equal(whole.values, pieces.arrays[key].values)
    np.testing.assert_allclose(whole.values.sum(axis=1), 1.0, rtol=1e-6)
    np.testing.assert_array_equal(whole.values[-1], spread_histogram(std))
    assert read_history(store, charts, pieces.cursor).arrays == {}


def test_correlation_agrees_with_numpy() -> None:
    sample = np.random.default_rng(0).normal(size=(50, 4)) * [1.0, 5.0, 0.1, 2.0]
    covariance = np.cov(sample, rowvar=False).astype(np.float32)
    np.testing.assert_allclose(correlation(covariance), np.corrcoef(sample.T), atol=1e-5)


def test_a_flat_feature_correlates_with_nothing() -> None:
    covariance = np.array([[0.0, 0.0], [0.0, 4.0]], dtype=np.float32)
    np.testing.assert_array_equal(correlation(covariance), [[0.0, 0.0], [0.0, 1.0]])


def test_the_strongest_colour_ignores_variances_and_non_finite_values() -> None:
    covariance = np.array([[100.0, 2.0], [2.0, np.nan]], dtype=np.float32)
    assert colour_limit(ArrayKey("r", "a", "covariance"), covariance) == 2.0
    assert colour_limit(ArrayKey("r", "a", "correlation"), covariance) == 1.0
    assert colour_limit(ArrayKey("r", "a", "covariance"), np.zeros((2, 2), np.float32)) == 1.0


def test_marks_are_the_applied_knobs_in_words(store: Store, run: str) -> None:
    turn(store, run, "optimizer.learning_rate", 0.001, step=40)
    turn(store, run, "regularizer.variance_weight", 3.0, step=21)
    turn(store, run, "regularizer.covariance_weight", 9.0, step=None)
    history = read_history(store, [loss_chart(run_lines([store.run(run)]))])
    assert [mark.text for mark in history.marks] == [
        "Variance weight → 3 at step 21",
        "Learning rate → 0.001 at step 40",
    ]


def test_a_slider_dragged_within_one_step_leaves_one_mark(store: Store, run: str) -> None:
    for value in (1.0, 2.0, 5.0):
        turn(store, run, "regularizer.variance_weight", value, step=7)
    history = read_history(store, [loss_chart(run_lines([store.run(run)]))])
    assert [mark.text for mark in history.marks] == ["Variance weight → 5 at step 7"]


def test_a_command_that_is_applied_late_still_becomes_a_mark(store: Store, run: str) -> None:
    charts = [loss_chart(run_lines([store.run(run)]))]
    command = store.add_command(
        run, CommandKind.SET, {"field": "regularizer.variance_weight", "value": 2}
    )
    before = read_history(store, charts)
    assert before.marks == ()
    store.settle_command(command, applied_step=12)
    assert len(read_history(store, charts, before.cursor).marks) == 1
