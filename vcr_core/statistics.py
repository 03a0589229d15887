"""Means over seeds, and paired differences with intervals that hold for few seeds."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Estimate:
    """A mean over ``n`` seeds; its standard error s/√n needs two seeds at least, else None."""

    mean: float
    standard_error: float | None
    n: int


@dataclass(frozen=True)
class Difference(Estimate):
    """A mean of paired differences and its 95 % interval, mean ± t(n − 1) · standard error.

    The t distribution assumes differences that scatter like a normal one; with one seed there is
    no interval.
    """

    low: float | None
    high: float | None

    @property
    def is_clear(self) -> bool:
        """Whether the interval leaves zero out."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)


def signed(value: float) -> str:
    """A number with its sign and one decimal: ``+8.5``, ``0.0``, ``−3.0``."""
    text = f"{abs(value):.1f}"
    return text if float(text) == 0 else f"{'−' if value < 0 else '+'}{text}"


def estimate(values: Sequence[float]) -> Estimate | None:
    """The mean of some values and its standard error; None where there is no value."""
    if not values:
        return None
    error = statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else None
    return Estimate(statistics.fmean(values), error, len(values))


def paired_difference(
    values: Mapping[int, float], baseline: Mapping[int, float], *, confidence: float = CONFIDENCE
) -> Difference | None:
    """Values minus baseline over the seeds that both have; None where they share none."""
    seeds = sorted(values.keys() & baseline.keys())
    found = estimate([values[seed] - baseline[seed] for seed in seeds])
    if found is None:
        return None
    if found.standard_error is None:
        return Difference(found.mean, None, found.n, None, None)
    reach = t_quantile(0.5 + confidence / 2, found.n - 1) * found.standard_error
    return Difference(
        found.mean, found.standard_error, found.n, found.mean - reach, found.mean + reach
    )


def t_quantile(probability: float, degrees: float) -> float:
    """The quantile of Student's t distribution."""
    from scipy.special import stdtrit

    return float(stdtrit(degrees, probability))


def paired_p_value(difference: Difference) -> float | None:
    """Of the two-sided paired t test that the difference is zero.

    None where there are fewer than two seeds, or all differences are equal.
    """
    from scipy.special import stdtr

    if not difference.standard_error:
        return None
    t = abs(difference.mean) / difference.standard_error
    return float(2 * stdtr(difference.n - 1, -t))


def pareto_front(points: Mapping[int, tuple[float, ...]]) -> set[int]:
    """The keys of the points that no other is at least as high as in all, and higher in one."""
    return {
        key
        for key, point in points.items()
        if not any(
            all(a >= b for a, b in zip(other, point, strict=True)) and other != point
            for other in points.values()
        )
    }
