"""The learning rate over a run."""

from __future__ import annotations

import math

from vcr_core.config import OptimizerConfig


def learning_rate(settings: OptimizerConfig, *, step: int, total_steps: int) -> float:
    """What is set now, times the schedule's share of it at ``step`` (from 1).

    Over the first ``warmup`` of the steps the share is step / (their number + 1); then it falls
    to 0 as the schedule says. A run that is extended goes on with the schedule of the longer run:
    the rate then jumps up to where that one would be, so that the added epochs teach something.
    """
    rising = int(settings.warmup * total_steps)
    if step <= rising:
        return settings.learning_rate * step / (rising + 1)
    done = (step - 1 - rising) / (total_steps - rising)
    share = {"constant": 1.0, "linear": 1.0 - done, "cosine": 0.5 + 0.5 * math.cos(math.pi * done)}
    return settings.learning_rate * share[settings.schedule]
