"""The ladder that trials are compared on while they run.

A trial runs its seeds in order, and every run is probed several times. Rung ``i · P + k`` is probe
k (of P) of the seed in place i, and its value is

    (sum of the final accuracies of the seeds before + accuracy at this probe) / (i + 1),

the mean transfer accuracy as far as it is known. All trials climb the same ladder on the same
seeds, so two of them are compared on equal terms at every rung.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean

from vcr_core.store import Metric


def probe_values(metrics: Sequence[Metric], targets: Sequence[str]) -> list[float]:
    """Mean transfer accuracy over the targets at every probe that all of them have had."""
    by_step: dict[int, dict[str, float]] = {}
    for metric in metrics:
        if metric.value is not None:
            by_step.setdefault(metric.step, {})[metric.name] = metric.value
    names = [f"transfer/{target}" for target in targets]
    return [
        fmean(found[name] for name in names)
        for _, found in sorted(by_step.items())
        if all(name in found for name in names)
    ]


def climb(
    seeds: Sequence[int],
    finals: Mapping[int, float],
    probes: Mapping[int, Sequence[float]],
    *,
    probes_per_run: int,
) -> list[tuple[int, float]]:
    """The rungs reached so far, in order, as (rung, value).

    ``finals`` are the results of seeds whose run is over, ``probes`` what the runs said on the way.
    """
    rungs: list[tuple[int, float]] = []
    before: list[float] = []
    for place, seed in enumerate(seeds):
        for index, value in enumerate(probes.get(seed, [])[:probes_per_run]):
            rungs.append((place * probes_per_run + index, fmean([*before, value])))
        if seed not in finals:
            break
        before.append(finals[seed])
    return rungs
