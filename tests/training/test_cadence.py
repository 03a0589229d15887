"""Twins report at identical steps, and the last step is always reported."""

from __future__ import annotations

import pytest

from vcr_core.config import RunConfig, override
from vcr_core.training.cadence import cadence, evenly_spaced


@pytest.mark.parametrize(("total", "count"), [(460, 80), (7, 80), (1, 1), (100, 100), (101, 7)])
def test_steps_are_spread_evenly_and_end_at_the_last(total: int, count: int) -> None:
    steps = sorted(evenly_spaced(total, count))
    gaps = [after - before for before, after in zip([0, *steps], steps, strict=False)]
    assert steps[-1] == total
    assert len(steps) == min(total, count)
    assert max(gaps) - min(gaps) <= 1


def test_the_first_step_is_reported_so_that_something_is_seen_at_once() -> None:
    steps = cadence(RunConfig(), train_size=6000)
    assert 1 in steps.reports
    assert 1 in steps.snapshots


def test_twins_report_at_identical_steps() -> None:
    config = RunConfig()
    assert cadence(config, train_size=500) == cadence(config.baseline(), train_size=500)


def test_an_incomplete_last_batch_is_left_out() -> None:
    config = override(RunConfig(), {"training.epochs": 3, "training.batch_size": 128})
    assert cadence(config, train_size=300).total_steps == 3 * 2


def test_gradient_ratios_are_measured_at_snapshots_and_rarely() -> None:
    steps = cadence(RunConfig(), train_size=6000)
    assert 1 in steps.gradients
    assert steps.gradients <= steps.snapshots
    assert len(steps.gradients) <= 0.02 * steps.total_steps
