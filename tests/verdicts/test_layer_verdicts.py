"""Verdicts on a layer: each has a case that earns it and one that does not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from vcr_core.verdicts import LayerReading, judge_layer, sentence
from vcr_core.verdicts.layer import COLLAPSED_RANK, DROWNING_RATIO, IDLE_RATIO

HEALTHY = LayerReading(
    std=np.ones(64, dtype=np.float32),
    samples=2048,
    rms_correlation=0.15,
    effective_rank=40.0,
    gradient_ratio=0.3,
)


def said(reading: LayerReading) -> list[str]:
    return [sentence(verdict) for verdict in judge_layer(reading)]


def codes(reading: LayerReading) -> set[str]:
    return {verdict.code for verdict in judge_layer(reading)}


def with_std(*values: tuple[float, int]) -> LayerReading:
    parts = [np.full(count, value, dtype=np.float32) for value, count in values]
    return replace(HEALTHY, std=np.concatenate(parts))


def test_dead_dimensions_are_counted() -> None:
    assert "41 of 64 dimensions are dead" in said(with_std((0.0, 41), (1.0, 23)))
    assert "dead" not in codes(with_std((0.02, 41), (1.0, 23)))


def test_a_rank_says_from_how_many_samples_it_is() -> None:
    assert "40 of 64 possible directions in use, from 2,048 samples" in said(HEALTHY)
    few = replace(HEALTHY, samples=31, effective_rank=2.0)
    assert "Collapsed: 2 of 30 possible directions in use, from 31 samples" in said(few)


def test_one_dead_dimension_is_worth_a_look_and_many_are_bad() -> None:
    grades = {
        count: next(
            v.grade
            for v in judge_layer(with_std((0.0, count), (1.0, 64 - count)))
            if v.code == "dead"
        )
        for count in (1, 7)
    }
    assert grades == {1: "watch", 7: "bad"}


def test_an_idle_penalty_is_named_with_its_share() -> None:
    assert "The penalty is idle: its gradient is 0.2 % of the task's" in said(
        replace(HEALTHY, gradient_ratio=0.002)
    )
    assert "idle" not in codes(replace(HEALTHY, gradient_ratio=1.01 * IDLE_RATIO))


def test_a_drowning_penalty_is_named() -> None:
    assert "drowning" in codes(replace(HEALTHY, gradient_ratio=1.01 * DROWNING_RATIO))
    assert "drowning" not in codes(replace(HEALTHY, gradient_ratio=0.99 * DROWNING_RATIO))


@pytest.mark.parametrize(
    "reading",
    [
        replace(HEALTHY, gradient_ratio=0.0, weighted=False),
        replace(HEALTHY, gradient_ratio=None),
        replace(HEALTHY, gradient_ratio=float("nan")),
    ],
)
def test_without_a_weight_or_a_measurement_nothing_is_said_about_the_penalty(
    reading: LayerReading,
) -> None:
    assert codes(reading).isdisjoint({"idle", "pulls", "drowning"})


def test_the_noise_floor_depends_on_the_number_of_samples() -> None:
    at_floor = replace(HEALTHY, rms_correlation=1 / np.sqrt(2047))
    assert "Covariance is at its noise floor for 2,048 samples" in said(at_floor)
    assert "noise" not in codes(replace(at_floor, samples=200_000))


def test_collapse_is_measured_against_the_rank_that_the_samples_allow() -> None:
    assert "collapsed" in codes(replace(HEALTHY, effective_rank=COLLAPSED_RANK * 64))
    assert "collapsed" not in codes(replace(HEALTHY, effective_rank=COLLAPSED_RANK * 64 + 1))
    assert "collapsed" not in codes(replace(HEALTHY, effective_rank=6.0, samples=10))


def test_features_that_repeat_each_other_are_named() -> None:
    assert "Features repeat each other: typical correlation 0.48" in said(
        replace(HEALTHY, rms_correlation=0.48)
    )
    assert "alike" not in codes(replace(HEALTHY, rms_correlation=0.29))


def test_spread_is_judged_against_the_target() -> None:
    assert "reached" in codes(HEALTHY)
    assert "flat" in codes(replace(HEALTHY, target_std=3.0))
    assert codes(with_std((0.7, 64))).isdisjoint({"reached", "flat"})


def test_the_gravest_comes_first() -> None:
    reading = replace(with_std((0.0, 41), (1.0, 23)), rms_correlation=0.5)
    grades = [verdict.grade for verdict in judge_layer(reading)]
    assert grades == ["bad", "watch", "watch", "plain", "plain"]


def test_numbers_that_are_not_finite_are_one_verdict() -> None:
    assert codes(replace(HEALTHY, effective_rank=float("nan"))) == {"unread"}
    assert codes(with_std((np.nan, 1), (1.0, 63))) == {"unread"}


def test_a_verdict_can_be_said_in_another_language() -> None:
    dead = judge_layer(with_std((0.0, 41), (1.0, 23)))[0]
    assert sentence(dead, lambda _: "{features} 次元中 {dead}") == "64 次元中 41"
