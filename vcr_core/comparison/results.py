"""What came out of groups of runs, and the differences to one of them, paired by seed.

Where all runs are over, these are their last measurements. While some still train, everything is
read at the last step that all of them have reached.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vcr_core.comparison.curves import read_series
from vcr_core.comparison.groups import Group
from vcr_core.figures import Series
from vcr_core.statistics import (
    CONFIDENCE,
    Difference,
    Estimate,
    estimate,
    paired_difference,
    t_quantile,
)
from vcr_core.store import Run, Store

SOURCE, MEAN, RANK = "source", "mean transfer", "effective rank"
METRICS = {SOURCE: "source/accuracy", RANK: "features/effective_rank"}


@dataclass(frozen=True)
class Gain:
    """A difference to the reference. ``paired``: over the seeds that both have; else between the
    means, with Welch's interval.
    """

    difference: Difference
    paired: bool


@dataclass(frozen=True)
class Comparison:
    """Everything that a page or a report says of some groups in numbers.

    ``results`` and ``gains`` go by group id and measure. ``step`` is the step at which all were
    read, None where all are over. ``rank_samples`` are the numbers of images behind the ranks.
    """

    groups: tuple[Group, ...]
    reference: Group
    measures: tuple[str, ...]
    results: Mapping[str, Mapping[str, Estimate]]
    gains: Mapping[str, Mapping[str, Gain]]
    step: int | None
    uneven: bool
    rank_samples: tuple[int, ...] = ()


def compare(store: Store, groups: Sequence[Group], reference: Group) -> Comparison:
    """Results of all groups and their differences to the reference."""
    runs = [run for group in groups for run in group.runs]
    targets = list(dict.fromkeys(target for run in runs for target in _targets(run)))
    measures = (SOURCE, *targets, MEAN, RANK)
    names = [*METRICS.values(), *(f"transfer/{target}" for target in targets)]
    over = all(run.state.is_over for run in runs)
    told = {run.id for run in runs if over and run.result}  # their results say it all
    series = {run.id: {} if run.id in told else read_series(store, run, names) for run in runs}
    step = None if over else _common_step(runs, series)
    values = {run.id: _values(run, series[run.id], targets, step) for run in runs}
    by_seed = {
        group.id: {
            measure: {
                seed: values[run.id][measure]
                for seed, run in group.by_seed.items()
                if measure in values[run.id]
            }
            for measure in measures
        }
        for group in groups
    }
    results = {
        group: {name: found for name, seeds in measured.items() if (found := _estimate(seeds))}
        for group, measured in by_seed.items()
    }
    gains = {
        group: {
            name: gain
            for name, seeds in measured.items()
            if (gain := difference(seeds, by_seed[reference.id][name])) is not None
        }
        for group, measured in by_seed.items()
        if group != reference.id
    }
    return Comparison(
        groups=tuple(groups),
        reference=reference,
        measures=tuple(
            name for name in measures if any(name in found for found in results.values())
        ),
        results=results,
        gains=gains,
        step=step,
        uneven=step is None and len({run.step for run in runs}) > 1,
        rank_samples=tuple(
            sorted({run.result["rank_samples"] for run in runs if "rank_samples" in run.result})
        ),
    )


def difference(values: Mapping[int, float], reference: Mapping[int, float]) -> Gain | None:
    """Values minus reference: paired where they share two seeds or nothing but one, else Welch."""
    paired = paired_difference(values, reference)
    several = len(values) > 1 and len(reference) > 1
    if paired is not None and (paired.n > 1 or not several):
        return Gain(paired, paired=True)
    ours, theirs = estimate(list(values.values())), estimate(list(reference.values()))
    if ours is None or theirs is None:
        return None
    return Gain(_welch(ours, theirs), paired=False)


def _welch(ours: Estimate, theirs: Estimate) -> Difference:
    """The difference of two means and its 95 % interval with Welch's degrees of freedom."""
    mean, n = ours.mean - theirs.mean, min(ours.n, theirs.n)
    a, b = ours.standard_error, theirs.standard_error
    if a is None or b is None:
        return Difference(mean, None, n, None, None)
    error = math.hypot(a, b)
    if error == 0:
        return Difference(mean, 0.0, n, mean, mean)
    degrees = error**4 / (a**4 / (ours.n - 1) + b**4 / (theirs.n - 1))
    quantile = t_quantile(0.5 + CONFIDENCE / 2, degrees)
    return Difference(mean, error, n, mean - quantile * error, mean + quantile * error)


def _estimate(seeds: Mapping[int, float]) -> Estimate | None:
    return estimate(list(seeds.values()))


def _targets(run: Run) -> Sequence[str]:
    probed: Sequence[str] = run.result.get("transfer") or run.config.targets
    return list(probed)


def _common_step(runs: Sequence[Run], series: Mapping[str, Mapping[str, Series]]) -> int:
    """The last step at which every run that has measured anything has been measured."""
    name = METRICS[SOURCE]
    lasts = [found[name].steps[-1] for run in runs if name in (found := series[run.id])]
    return min(lasts, default=0)


def _values(
    run: Run, series: Mapping[str, Series], targets: Sequence[str], step: int | None
) -> dict[str, float]:
    """The numbers of a run by measure: its result, or its last ones up to a step."""
    if step is None and run.result:
        transfer = {name: run.result["transfer"].get(name) for name in targets}
        found = {
            SOURCE: run.result.get("source_accuracy"),
            **transfer,
            RANK: run.result.get("effective_rank"),
        }
    else:
        transfer = {name: _last(series.get(f"transfer/{name}"), step) for name in targets}
        found = {name: _last(series.get(metric), step) for name, metric in METRICS.items()}
        found |= transfer
    probed = [value for name in targets if (value := transfer[name]) is not None]
    if probed:
        found[MEAN] = statistics.fmean(probed)
    return {name: float(value) for name, value in found.items() if value is not None}


def _last(series: Series | None, step: int | None) -> float | None:
    if series is None:
        return None
    values = [
        value
        for at, value in zip(series.steps, series.values, strict=True)
        if value is not None and (step is None or at <= step)
    ]
    return values[-1] if values else None
