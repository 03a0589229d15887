"""Verdicts on one layer: is it alive, spread out, diverse, and does the penalty do anything?

Every threshold is a named constant here. Source of the quantities: ``vcr_core.diagnostics``.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from vcr_core.verdicts.wording import grouped, share

Grade = Literal["bad", "watch", "good", "plain"]

DEAD_STD = 0.01  # a feature whose standard deviation is below this share of the target is dead
MANY_DEAD = 0.1  # share of dead features from which it is bad, not only worth a look
COLLAPSED_RANK = 0.1  # effective rank as a share of the directions that there could be
IDLE_RATIO = 0.01  # penalty gradient / task gradient: below, the regulariser does nothing
DROWNING_RATIO = 10.0  # above, the task is hardly learned
FLAT_SPREAD = 0.5  # a feature below this share of the target std counts as flat
MANY_FLAT = 0.5  # share of flat features from which to say so
REACHED_SPREAD = 0.9  # a feature above this share of the target std has reached it
MANY_REACHED = 0.9  # share of features that have reached it from which to say so
ALIKE = 0.3  # RMS correlation from which features repeat each other
NOISE_MARGIN = 1.5  # times the RMS correlation that independent features would show

SENTENCES: Mapping[str, str] = {
    "unread": "No finite numbers from this layer",
    "collapsed": (
        "Collapsed: {rank} of {possible} possible directions in use, from {samples} samples"
    ),
    "dead": "{dead} of {features} dimensions are dead",
    "idle": "The penalty is idle: its gradient is {share} of the task's",
    "drowning": "The penalty drowns the task: its gradient is {times} times the task's",
    "flat": "{flat} of {features} features spread less than half the target of {target}",
    "alike": "Features repeat each other: typical correlation {correlation}",
    "noise": "Covariance is at its noise floor for {samples} samples",
    "reached": "{reached} of {features} features spread as far as asked",
    "pulls": "The penalty pulls: its gradient is {share} of the task's",
    "plain": "{rank} of {possible} possible directions in use, from {samples} samples",
}


@dataclass(frozen=True)
class Verdict:
    """One finding: a key of ``SENTENCES``, how grave it is, and the numbers of its sentence."""

    code: str
    grade: Grade
    values: Mapping[str, str] = field(default_factory=dict)

    @property
    def template(self) -> str:
        """The English sentence with places for the numbers."""
        return SENTENCES[self.code]


@dataclass(frozen=True)
class LayerReading:
    """What is known about a layer at one step.

    Args:
        std: standard deviation of every feature, (D,), in the units of the features.
        samples: n behind the covariance; N·H·W for maps, whose neighbours are not independent.
        rms_correlation: root mean square of the off-diagonal correlations.
        effective_rank: RankMe, exp(entropy of the singular values).
        target_std: γ of the variance term.
        weighted: whether a weight of the penalty is above zero.
        gradient_ratio: ‖penalty gradient‖ / ‖task gradient‖ at the layer; None if not measured.
    """

    std: NDArray[np.float32]
    samples: float
    rms_correlation: float
    effective_rank: float
    target_std: float = 1.0
    weighted: bool = True
    gradient_ratio: float | None = None

    @property
    def features(self) -> int:
        return len(self.std)

    @property
    def possible_rank(self) -> float:
        """A covariance from n samples has at most n − 1 directions."""
        return max(min(self.features, self.samples - 1), 1)


def judge_layer(reading: LayerReading) -> tuple[Verdict, ...]:
    """All that is to be said about a layer, the gravest first; never empty."""
    if not _is_finite(reading):
        return (Verdict("unread", "bad"),)
    found = [*_rank(reading), *_dead(reading), *_gradient(reading)]
    found += [*_spread(reading), *_correlation(reading)]
    order: tuple[Grade, ...] = ("bad", "watch", "good", "plain")
    return tuple(sorted(found, key=lambda verdict: order.index(verdict.grade)))


def _is_finite(reading: LayerReading) -> bool:
    numbers = (reading.samples, reading.rms_correlation, reading.effective_rank)
    return bool(np.isfinite(reading.std).all()) and all(map(math.isfinite, numbers))


def _rank(reading: LayerReading) -> Iterator[Verdict]:
    values = {
        "rank": f"{reading.effective_rank:.0f}",
        "possible": grouped(reading.possible_rank),
        "samples": grouped(reading.samples),
    }
    collapsed = reading.effective_rank <= COLLAPSED_RANK * reading.possible_rank
    yield Verdict("collapsed", "bad", values) if collapsed else Verdict("plain", "plain", values)


def _dead(reading: LayerReading) -> Iterator[Verdict]:
    dead = int((reading.std < DEAD_STD * reading.target_std).sum())
    if dead:
        grade: Grade = "bad" if dead >= MANY_DEAD * reading.features else "watch"
        yield Verdict("dead", grade, {"dead": grouped(dead), "features": grouped(reading.features)})


def _gradient(reading: LayerReading) -> Iterator[Verdict]:
    ratio = reading.gradient_ratio
    if ratio is None or not reading.weighted or not math.isfinite(ratio):
        return
    if ratio < IDLE_RATIO:
        yield Verdict("idle", "watch", {"share": share(ratio)})
    elif ratio > DROWNING_RATIO:
        yield Verdict("drowning", "watch", {"times": grouped(ratio)})
    else:
        yield Verdict("pulls", "plain", {"share": share(ratio)})


def _spread(reading: LayerReading) -> Iterator[Verdict]:
    features = grouped(reading.features)
    flat = int((reading.std < FLAT_SPREAD * reading.target_std).sum())
    reached = int((reading.std >= REACHED_SPREAD * reading.target_std).sum())
    if flat >= MANY_FLAT * reading.features:
        values = {"flat": grouped(flat), "features": features, "target": f"{reading.target_std:g}"}
        yield Verdict("flat", "watch", values)
    elif reached >= MANY_REACHED * reading.features:
        yield Verdict("reached", "good", {"reached": grouped(reached), "features": features})


def _correlation(reading: LayerReading) -> Iterator[Verdict]:
    if reading.features < 2:
        return
    floor = 1 / math.sqrt(max(reading.samples - 1, 1))
    if reading.rms_correlation <= NOISE_MARGIN * floor:
        yield Verdict("noise", "good", {"samples": grouped(reading.samples)})
    elif reading.rms_correlation >= ALIKE:
        yield Verdict("alike", "watch", {"correlation": f"{reading.rms_correlation:.2f}"})
