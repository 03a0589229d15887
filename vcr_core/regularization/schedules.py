"""Weights as functions of the training step, counted from 0.

alpha = warm_up(1.0, steps=500)
for step, batch in enumerate(loader):
    handle.set_weights(variance_weight=alpha(step))
"""

from __future__ import annotations

import math
from collections.abc import Callable

from vcr_core.regularization.options import checked_count, checked_weight

Schedule = Callable[[int], float]


def constant(weight: float) -> Schedule:
    """The same ``weight`` at every step."""
    value = checked_weight("weight", weight)
    return lambda step: value


def warm_up(weight: float, *, steps: int) -> Schedule:
    """From 0 in a straight line to ``weight`` at step ``steps``, and constant from there on."""
    value, length = checked_weight("weight", weight), checked_count("steps", steps)
    return lambda step: value * min(1.0, step / length)


def cosine(weight: float, *, steps: int, final: float = 0.0) -> Schedule:
    """From ``weight`` along half a cosine to ``final`` at step ``steps``, then constant."""
    start, end = checked_weight("weight", weight), checked_weight("final", final)
    length = checked_count("steps", steps)

    def value(step: int) -> float:
        done = min(1.0, step / length)
        return end + (start - end) * 0.5 * (1 + math.cos(math.pi * done))

    return value


def every(interval: int, schedule: Schedule) -> Schedule:
    """``schedule`` at every ``interval``-th step, times ``interval``; 0 in between.

    The mean weight over time stays the same, and the steps in between cost nothing.
    """
    length = checked_count("interval", interval)
    return lambda step: length * schedule(step) if step % length == 0 else 0.0
