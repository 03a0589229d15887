"""The ladder on which trials are compared."""

from __future__ import annotations

import pytest

from vcr_core.store import Metric
from vcr_core.sweeps.rungs import climb, probe_values


def test_a_probe_counts_once_all_its_targets_are_measured() -> None:
    told = [(0, "transfer/a", 0.2), (0, "transfer/b", 0.4), (5, "transfer/a", 0.6)]
    metrics = [Metric(i, "run", step, name, value) for i, (step, name, value) in enumerate(told)]
    assert probe_values(metrics, ["a", "b"]) == [pytest.approx(0.3)]
    assert probe_values(metrics, ["a"]) == [0.2, 0.6]


def test_rungs_are_the_mean_as_far_as_it_is_known() -> None:
    rungs = climb([4, 2], {4: 0.8}, {4: [0.2, 0.8], 2: [0.4]}, probes_per_run=2)
    assert rungs == [(0, 0.2), (1, 0.8), (2, pytest.approx(0.6))]


def test_a_later_seed_waits_for_the_one_before() -> None:
    assert climb([4, 2], {2: 0.9}, {4: [0.2], 2: [0.4, 0.9]}, probes_per_run=2) == [(0, 0.2)]
