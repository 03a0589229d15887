"""Weights as functions of the step."""

from __future__ import annotations

import pytest

from vcr_core.errors import ConfigError
from vcr_core.regularization.schedules import constant, cosine, every, warm_up


def test_constant_is_the_weight_at_every_step() -> None:
    assert [constant(0.3)(step) for step in (0, 5, 10**6)] == [0.3, 0.3, 0.3]


def test_warm_up_rises_in_a_line_and_stays() -> None:
    assert [warm_up(2.0, steps=4)(step) for step in range(6)] == [0, 0.5, 1.0, 1.5, 2.0, 2.0]


def test_cosine_falls_from_the_weight_to_the_final_one_and_stays() -> None:
    schedule = cosine(2.0, steps=10, final=1.0)
    assert schedule(0) == 2.0
    assert schedule(5) == pytest.approx(1.5)
    assert schedule(10) == schedule(99) == pytest.approx(1.0)


def test_every_third_step_counts_three_times_and_the_mean_stays() -> None:
    values = [every(3, constant(0.5))(step) for step in range(9)]
    assert values == [1.5, 0, 0] * 3
    assert sum(values) / 9 == pytest.approx(0.5)


def test_bad_schedules_are_refused() -> None:
    with pytest.raises(ConfigError, match="weight: expected a finite number of at least 0"):
        constant(-1)
    with pytest.raises(ConfigError, match="steps: expected a whole number of at least 1, got 0"):
        warm_up(1, steps=0)
    with pytest.raises(ConfigError, match="interval: expected a whole number"):
        every(0, constant(1))
