"""Intervals and fronts against SciPy and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from vcr_core.statistics import pareto_front
from vcr_core.sweeps import estimate, paired_difference


@pytest.mark.parametrize("n", [2, 3, 5, 20])
def test_the_paired_interval_is_scipys(n: int) -> None:
    generator = np.random.default_rng(n)
    before, after = generator.normal(0.5, 0.1, n), generator.normal(0.6, 0.1, n)
    ours = paired_difference(dict(enumerate(after)), dict(enumerate(before)))
    theirs = stats.ttest_rel(after, before).confidence_interval(0.95)
    assert ours is not None
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high))
    assert ours.standard_error == pytest.approx(stats.sem(after - before))


def test_only_seeds_that_both_have_are_compared() -> None:
    found = paired_difference({0: 0.5, 1: 0.9, 7: 0.1}, {1: 0.8, 0: 0.4, 2: 0.0})
    assert found is not None
    assert found.n == 2
    assert found.mean == pytest.approx(0.1)
    assert paired_difference({0: 1.0}, {1: 1.0}) is None


def test_one_seed_has_a_mean_and_no_error() -> None:
    alone = estimate([0.25])
    assert alone is not None
    assert (alone.mean, alone.standard_error, alone.n) == (0.25, None, 1)
    pair = paired_difference({0: 0.5}, {0: 0.25})
    assert pair is not None
    assert (pair.low, pair.is_clear) == (None, False)


def test_the_front_is_what_no_other_beats_in_both() -> None:
    points = {0: (1.0, 0.1), 1: (0.5, 0.5), 2: (0.4, 0.5), 3: (0.1, 0.9), 4: (0.1, 0.9)}
    assert pareto_front(points) == {0, 1, 3, 4}
