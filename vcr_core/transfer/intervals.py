"""How sure a measured accuracy is: 95 % intervals. Nothing here imports torch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

CONFIDENCE = 0.95


class Interval(NamedTuple):
    """A mean with the ends of its 95 % interval."""

    mean: float
    low: float
    high: float

    @property
    def half_width(self) -> float:
        return (self.high - self.low) / 2

    def as_dict(self) -> dict[str, float | None]:
        """Plain data for JSON, which has no word for what is not a number."""
        return {
            name: None if math.isnan(value) else value for name, value in self._asdict().items()
        }


def share_interval(hits: int, count: int) -> Interval:
    """A share of ``count`` images with Wilson's interval: how far other images might differ.

    Raises:
        ValueError: ``count`` below 1 or hits outside [0, count].
    """
    if not 0 <= hits <= count or count < 1:
        raise ValueError(f"expected 0 <= hits <= count and count >= 1, got {hits} of {count}")
    from scipy.stats import binomtest

    found = binomtest(hits, count).proportion_ci(CONFIDENCE, method="wilson")
    return Interval(hits / count, float(found.low), float(found.high))


def mean_interval(values: Sequence[float]) -> Interval:
    """The mean of independent values with Student's interval: mean ± t · s / √n.

    The ends are not numbers where there is one value only: it says nothing about the spread.

    Raises:
        ValueError: no values.
    """
    numbers = np.asarray(values, dtype=float)
    if not len(numbers):
        raise ValueError("expected at least one value, got none")
    mean = float(numbers.mean())
    if len(numbers) == 1:
        return Interval(mean, math.nan, math.nan)
    from scipy.stats import t

    quantile = float(t.ppf((1 + CONFIDENCE) / 2, len(numbers) - 1))
    half = quantile * float(numbers.std(ddof=1)) / math.sqrt(len(numbers))
    return Interval(mean, mean - half, mean + half)


def difference_interval(ours: Sequence[float], theirs: Sequence[float]) -> Interval:
    """The mean of paired differences, ours − theirs, with Student's interval.

    Pairs are the same test image, the same draw or the same seed under two runs.

    Raises:
        ValueError: not equally many.
    """
    if len(ours) != len(theirs):
        raise ValueError(f"expected as many values as the {len(theirs)} others, got {len(ours)}")
    return mean_interval([a - b for a, b in zip(ours, theirs, strict=True)])
