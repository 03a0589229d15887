"""When a run reports, keeps matrices and probes: fixed steps, so that twins do so together."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from vcr_core.config import RunConfig

#: At these shares of a run it is decided anew how many of the planned probes are worth making.
REVIEWS = (1 / 16, 1 / 4, 1 / 2)
MOST_GRADIENTS = 8
STEPS_PER_GRADIENT = 75  # a gradient ratio costs about one more backward: about 0.6 % in all
#: Shorter runs are over before a probe too many is noticed.
SHORTEST_REVIEWED = 100


@dataclass(frozen=True)
class Cadence:
    """The steps (counted from 1; 0 is before training) at which a run says something.

    ``totals``   the length of the run as configured, then after every extension
    ``thinned``  (step, k): of the planned probes after this step every k-th is made
    """

    steps_per_epoch: int
    totals: tuple[int, ...]
    thinned: tuple[tuple[int, int], ...]
    reports: frozenset[int]
    snapshots: frozenset[int]
    probes: frozenset[int]
    gradients: frozenset[int] = frozenset()

    @property
    def total_steps(self) -> int:
        return self.totals[-1]

    @property
    def reviews(self) -> frozenset[int]:
        """Boundaries at which the number of probes is decided anew."""
        if self.total_steps < SHORTEST_REVIEWED:
            return frozenset()
        return frozenset(int(self.totals[0] * share) for share in REVIEWS)


def cadence(
    config: RunConfig,
    *,
    train_size: int,
    totals: tuple[int, ...] = (),
    thinned: tuple[tuple[int, int], ...] = (),
) -> Cadence:
    """The steps of a run over ``train_size`` images; an incomplete last batch is left out.

    Epochs that were added (``totals``) are reported on as densely as the others. ``config`` is
    the one the run was started with.
    """
    per_epoch = max(1, train_size // config.training.batch_size)
    totals = totals or (config.training.epochs * per_epoch,)
    snapshots = frozenset({1}) | _grid(totals, config.telemetry.snapshots)
    planned = sum(step <= totals[0] for step in snapshots)
    gradients = max(1, min(MOST_GRADIENTS, totals[0] // STEPS_PER_GRADIENT))
    return Cadence(
        steps_per_epoch=per_epoch,
        totals=totals,
        thinned=thinned,
        reports=snapshots | _grid(totals, config.telemetry.reports),
        snapshots=snapshots,
        probes=_thin(_grid(totals, config.transfer.probes), thinned),
        gradients=frozenset(sorted(snapshots)[:: -(-planned // gradients)]),
    )


def _grid(totals: tuple[int, ...], count: int) -> frozenset[int]:
    """``count`` steps over the first total, and as many per step over what was added."""
    steps = set(evenly_spaced(totals[0], count))
    for before, after in pairwise(totals):
        added = max(1, round(count * (after - before) / totals[0]))
        steps |= {before + step for step in evenly_spaced(after - before, added)}
    return frozenset(steps)


def _thin(steps: frozenset[int], thinned: tuple[tuple[int, int], ...]) -> frozenset[int]:
    """Leave out steps so that of those after each given step every k-th stays, and the last."""
    kept = set(steps)
    for place, step in enumerate(sorted(steps), start=1):
        every = next((k for since, k in reversed(thinned) if step > since), 1)
        if place % every and step != max(steps):
            kept.discard(step)
    return frozenset(kept)


def evenly_spaced(total: int, count: int) -> frozenset[int]:
    """``count`` steps (fewer where there are fewer) spread evenly up to and including ``total``."""
    return frozenset(-(-total * k // count) for k in range(1, count + 1))
