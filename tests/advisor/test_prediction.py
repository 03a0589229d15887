"""Correlations against scipy, and advice that never sees the group that it is asked about."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr

from vcr_core.advisor.table import KnownSetting, load_table
from vcr_core.evidence.prediction import correlation, held_out, predict, spearman

SETTINGS = load_table().settings


def test_the_rank_correlation_is_scipys() -> None:
    chance = np.random.default_rng(0)
    x, y = chance.normal(size=40), chance.integers(0, 5, size=40).astype(float)
    assert spearman(x, y) == pytest.approx(spearmanr(x, y).statistic)


def test_a_constant_measure_tells_nothing() -> None:
    assert spearman(np.ones(5), np.arange(5.0)) == 0


def test_the_interval_of_a_perfect_order_is_a_point_and_that_of_noise_holds_zero() -> None:
    families = [str(i // 2) for i in range(40)]
    x = np.arange(40.0)
    assert correlation(x, 3 * x, families).low == pytest.approx(1)
    noise = correlation(x, np.random.default_rng(1).normal(size=40), families)
    assert noise.low < 0 < noise.high


def test_families_that_repeat_one_value_widen_the_interval() -> None:
    x = np.random.default_rng(2).normal(size=10).repeat(8)
    y = x + np.random.default_rng(3).normal(size=10).repeat(8)
    together = correlation(x, y, [str(i // 8) for i in range(80)])
    apart = correlation(x, y, [str(i) for i in range(80)])
    assert together.high - together.low > 1.5 * (apart.high - apart.low)


@pytest.mark.parametrize("group", ["family", "network"])
def test_no_neighbour_is_of_the_group_that_is_held_out(group: str) -> None:
    def of(setting: KnownSetting) -> str:
        return str(getattr(setting, group))

    for setting, neighbours in zip(SETTINGS, held_out(SETTINGS, of), strict=True):
        assert of(setting) not in {of(near) for near in neighbours}


def test_the_skill_that_is_told_is_that_of_families_held_out() -> None:
    found, said, right = predict(SETTINGS, lambda setting: setting.family)
    skill = load_table().skill
    assert (skill.correlation, skill.said, skill.right) == (found.correlation, said, right)
