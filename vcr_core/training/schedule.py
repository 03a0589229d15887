"""The learning rate over a run."""

from __future__ import annotations

import math

from vcr_core.config import OptimizerConfig


def learning_rate(settings: OptimizerConfig, *, step: int, total_steps: int) -> float:
    """What is set now, times the schedule's share of it at ``step`` (from 1).

    A run that is extended goes on with the schedule of the longer run: the rate then jumps up
    to where that one would be, so that the added epochs teach something.
    """
    if settings.schedule == "constant":
        return settings.learning_rate
    done = (step - 1) / total_steps
    return settings.learning_rate * 0.5 * (1.0 + math.cos(math.pi * done))
