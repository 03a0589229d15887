"""Groups of seeds, mean curves and differences; SciPy and NumPy say what the intervals are."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy import stats

from vcr_core.comparison import (
    MEAN,
    SOURCE,
    banded,
    combine,
    compare,
    curve_charts,
    difference,
    differing_settings,
    group_lines,
    group_runs,
    lines_of_runs,
    mean_history,
)
from vcr_core.comparison.text import how_to_read
from vcr_core.config import RunConfig, override
from vcr_core.figures import Series, SeriesKey
from vcr_core.figures.drawing import draw_trace
from vcr_core.figures.parts import RunLine, Trace
from vcr_core.store import CommandKind, Report, Run, RunState, Store

BASE = override(RunConfig(), {"data.source": "shape", "transfer.targets": "colour,texture"})


def made(
    store: Store,
    *,
    seed: int = 0,
    weight: float = 1.0,
    accuracy: float = 0.5,
    state: RunState = RunState.FINISHED,
    name: str = "",
    **changes: object,
) -> Run:
    weights = {"regularizer.variance_weight": weight, "regularizer.covariance_weight": weight}
    config = override(BASE, {"seed": seed, **weights, **changes})
    run = store.create_run(config, name=name)
    for step in (0, 10, 20):
        metrics = {"source/accuracy": accuracy + step / 100, "transfer/colour": accuracy}
        store.write_reports(run, [Report(step, metrics, {})], progress={"step": step})
    result = {
        "source_accuracy": accuracy,
        "transfer": {"colour": accuracy, "texture": 0.5},
        "effective_rank": 10.0,
    }
    over = {"result": result} if state.is_over else {}
    store.update_run(run, state=state.value, total_steps=20, **over)
    return store.run(run)


def test_runs_that_differ_in_seed_and_machine_alone_are_a_group(store: Store) -> None:
    with_vcr = [made(store, seed=seed) for seed in (2, 0)]
    elsewhere = made(store, seed=1, **{"execution.threads": 3})
    plain = made(store, weight=0.0)
    groups = group_runs(store, [*with_vcr, elsewhere, plain])
    assert [group.is_baseline for group in groups] == [True, False]
    assert [list(group.by_seed) for group in groups] == [[0], [0, 1, 2]]
    assert [group.label for group in groups] == [
        "without VCR",
        "variance 1, covariance 1",
    ]


def test_a_turned_knob_a_fork_and_a_repeat_are_experiments_of_their_own(store: Store) -> None:
    runs = [made(store, seed=seed) for seed in (0, 1, 2, 0)]
    payload = {"field": "optimizer.learning_rate", "value": 0.01}
    store.settle_command(store.add_command(runs[1].id, CommandKind.SET, payload), applied_step=5)
    store.update_run(runs[2].id, parent_id=runs[0].id, parent_step=10)
    runs = [store.run(run.id) for run in runs]
    groups = group_runs(store, runs)
    assert [len(group.runs) for group in groups] == [1, 1, 1, 1]
    assert len({group.label for group in groups}) == 4
    rows = {row.title: row.values for row in differing_settings(store, groups)}
    assert "optimizer.learning_rate → 0.01 at step 5" in rows["Turned while it trained"]
    assert "10" in rows["Forked at step"]


def test_names_that_people_gave_are_the_labels(store: Store) -> None:
    runs = [made(store, seed=seed, name="<b>warm</b>") for seed in (0, 1)]
    assert group_runs(store, runs)[0].label == "<b>warm</b>"


def test_only_settings_that_differ_are_listed(store: Store) -> None:
    runs = [made(store, weight=0.0), made(store, **{"optimizer.learning_rate": 0.01})]
    rows = differing_settings(store, group_runs(store, runs))
    assert [row.name for row in rows] == [
        "regularizer.variance_weight",
        "regularizer.covariance_weight",
        "optimizer.learning_rate",
    ]
    assert rows[0].values == ("0", "1")


def test_mean_curves_are_numpy_means_with_standard_errors(store: Store) -> None:
    runs = [made(store, seed=seed, accuracy=value) for seed, value in enumerate((0.1, 0.4, 0.6))]
    groups = group_runs(store, runs)
    charts = [banded(c, [groups[0].id]) for c in curve_charts(runs, group_lines(groups))]
    history = mean_history(store, groups, charts)
    starts = np.array([0.1, 0.4, 0.6])
    series = history.series[SeriesKey(groups[0].id, "source/accuracy")]
    assert series.steps == [0, 10, 20]
    np.testing.assert_allclose(series.values, starts.mean() + np.array([0.0, 0.1, 0.2]))
    high = history.series[SeriesKey(groups[0].id, "source/accuracy/high")]
    np.testing.assert_allclose(high.values[0], starts.mean() + stats.sem(starts))


def test_curves_at_other_steps_are_joined_where_all_have_been() -> None:
    curve = combine([Series([0, 10, 20], [0.0, 1.0, 2.0]), Series([5, 15], [1.0, None])])
    assert curve is not None
    np.testing.assert_array_equal(curve.steps, [5])
    assert curve.mean[0] == pytest.approx(0.75)
    assert combine([Series([1], [None]), Series()]) is None
    alone = combine([Series([1], [3.0])])
    assert alone is not None
    assert np.isnan(alone.low).all()


def test_paired_differences_are_scipys_paired_t_interval() -> None:
    ours, theirs = {0: 0.9, 1: 0.8, 2: 0.85, 7: 0.1}, {0: 0.7, 1: 0.75, 2: 0.6}
    gain = difference(ours, theirs)
    assert gain is not None
    assert gain.paired
    assert gain.difference.n == 3
    test = stats.ttest_rel([0.9, 0.8, 0.85], [0.7, 0.75, 0.6])
    interval = test.confidence_interval(0.95)
    assert gain.difference.low == pytest.approx(interval.low)
    assert gain.difference.high == pytest.approx(interval.high)


def test_seeds_that_do_not_meet_get_scipys_welch_interval() -> None:
    ours, theirs = [0.9, 0.8, 0.85], [0.7, 0.75]
    gain = difference(dict(enumerate(ours)), {seed + 10: v for seed, v in enumerate(theirs)})
    assert gain is not None
    assert not gain.paired
    interval = stats.ttest_ind(ours, theirs, equal_var=False).confidence_interval(0.95)
    assert gain.difference.low == pytest.approx(interval.low)
    assert gain.difference.high == pytest.approx(interval.high)


def test_one_seed_gives_a_difference_without_an_interval() -> None:
    for ours in ({0: 0.9}, {4: 0.9}):
        gain = difference(ours, {0: 0.7})
        assert gain is not None
        assert gain.difference.mean == pytest.approx(0.2)
        assert gain.difference.low is None
    assert difference({}, {0: 0.7}) is None


def test_ended_runs_are_compared_by_their_results(store: Store) -> None:
    plain = [made(store, seed=s, weight=0.0, accuracy=0.5) for s in (0, 1)]
    ours = [made(store, seed=s, accuracy=0.7 + s / 10) for s in (0, 1)]
    groups = group_runs(store, [*plain, *ours])
    found = compare(store, groups, groups[0])
    assert found.step is None
    assert found.results[groups[1].id][SOURCE].mean == pytest.approx(0.75)
    assert found.gains[groups[1].id][SOURCE].difference.mean == pytest.approx(0.25)
    assert found.results[groups[1].id][MEAN].mean == pytest.approx(0.625)
    assert groups[0].id not in found.gains


def test_ranks_are_said_with_the_number_of_images_they_are_from(store: Store) -> None:
    runs = [made(store, weight=weight) for weight in (0.0, 1.0)]
    groups = group_runs(store, runs)
    assert "rank" not in how_to_read(compare(store, groups, groups[0]), "first", str)
    for run in runs:
        store.update_run(run.id, result=run.result | {"rank_samples": 1500})
    groups = group_runs(store, [store.run(run.id) for run in runs])
    words = how_to_read(compare(store, groups, groups[0]), "first", str)
    assert "Effective ranks are from n = 1,500 images" in words


def test_living_runs_are_compared_at_the_last_step_that_all_have_reached(store: Store) -> None:
    ahead = made(store, accuracy=0.5, state=RunState.RUNNING)
    behind = store.create_run(override(ahead.config, {"regularizer.variance_weight": 0.5}))
    store.write_reports(
        behind, [Report(10, {"source/accuracy": 0.3}, {})], progress={"state": "running"}
    )
    queued = made(store, weight=3.0, state=RunState.QUEUED)
    runs = [ahead, store.run(behind)]
    groups = group_runs(store, runs)
    found = compare(store, groups, groups[0])
    assert found.step == 10
    assert found.results[ahead.id][SOURCE].mean == pytest.approx(0.6)
    waiting = store.create_run(BASE)
    groups = group_runs(store, [queued, store.run(waiting)])
    assert compare(store, groups, groups[0]).results


def test_twelve_groups_look_different_and_runs_like_their_group(store: Store) -> None:
    runs = [made(store, weight=weight) for weight in range(1, 13)]
    lines = group_lines(group_runs(store, runs))
    assert len({(line.tone, line.dash) for line in lines}) == 12
    pair = group_runs(store, [made(store, seed=seed, weight=0.0) for seed in (0, 1)])
    assert {(line.tone, line.dash) for line in lines_of_runs(pair)} == {("baseline", "dash")}


def test_html_in_a_name_is_text_in_a_chart() -> None:
    line = RunLine("a", "<b>bold</b> %{y}", "third")
    drawn = json.dumps(draw_trace(Trace("line", line, SeriesKey("a", "x"), line.label)))
    assert "<b>bold" not in drawn
    assert "&lt;b&gt;bold" in drawn
    assert "bold&lt;/b&gt; %&#123;y}" in drawn
