"""When a run reports, keeps matrices and probes: fixed steps, so that twins do so together."""

from __future__ import annotations

from dataclasses import dataclass

from vcr_core.config import RunConfig


@dataclass(frozen=True)
class Cadence:
    """The steps (counted from 1; 0 is before training) at which a run says something."""

    total_steps: int
    reports: frozenset[int]
    snapshots: frozenset[int]
    probes: frozenset[int]
    gradients: frozenset[int] = frozenset()


MOST_GRADIENTS = 8
STEPS_PER_GRADIENT = 50  # a gradient ratio costs about one more backward: at most 2 % of them


def cadence(config: RunConfig, *, train_size: int) -> Cadence:
    """The steps of a run over ``train_size`` images; an incomplete last batch is left out."""
    total = config.training.epochs * max(1, train_size // config.training.batch_size)
    snapshots = frozenset({1}) | evenly_spaced(total, config.telemetry.snapshots)
    return Cadence(
        total_steps=total,
        reports=snapshots | evenly_spaced(total, config.telemetry.reports),
        snapshots=snapshots,
        probes=evenly_spaced(total, config.transfer.probes),
        gradients=some_of(snapshots, max(1, min(MOST_GRADIENTS, total // STEPS_PER_GRADIENT))),
    )


def evenly_spaced(total: int, count: int) -> frozenset[int]:
    """``count`` steps (fewer where there are fewer) spread evenly up to and including ``total``."""
    return frozenset(-(-total * k // count) for k in range(1, count + 1))


def some_of(steps: frozenset[int], count: int) -> frozenset[int]:
    """The first of the steps and every so-manieth after it: ``count`` of them at most."""
    return frozenset(sorted(steps)[:: -(-len(steps) // count)])
