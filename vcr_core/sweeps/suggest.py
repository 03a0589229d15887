"""Suggest the two weights for a data set and a model, in a given number of runs.

The budget of B runs is spent in two parts.

1. *Search*, on a validation part of the training images, all runs with one seed: the baseline, then
   weights that did well in many small trials, then TPE over both weights on a logarithmic scale
   with median pruning.
2. *Check*, on the test images with fresh seeds: the best weights against the baseline, paired. This
   part took no share in the choice, so its mean gain is unbiased and its interval is honest.

Where the search finds nothing better than the baseline, nothing is checked and no weight suggested.
``benchmarks/suggest.py`` replays the search, random and grid search on a measured surface. On the
one measured so far (scanned digits, flat near its top) none of them is clearly better than another:
``docs/results/suggest.json``. What the command adds there is the check, not a faster search.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from vcr_core.config import RunConfig, override
from vcr_core.errors import ConfigError
from vcr_core.statistics import Difference
from vcr_core.store import Store
from vcr_core.sweeps.driver import Watch, run_study
from vcr_core.sweeps.results import MEAN, SOURCE, Row, StudyTable, study_table
from vcr_core.sweeps.spec import Span, Study, make_study

VARIANCE, COVARIANCE = "regularizer.variance_weight", "regularizer.covariance_weight"
LOWEST, HIGHEST = 0.01, 100.0
#: Weights that did well in small trials on three data sets (docs/log.md), the surest first.
START: tuple[tuple[float, float], ...] = ((1.0, 1.0), (0.1, 0.1), (1.0, 10.0), (10.0, 10.0))
FEWEST_RUNS = 10
SEARCH_SEED = 0
FIRST_FRESH_SEED = 1000
MOST_CHECKS = 5


@dataclass(frozen=True)
class Suggestion:
    """What came of it. ``weights`` are (variance, covariance); (0, 0) where nothing helped.

    ``gain`` and ``source_gain`` are the paired differences to the baseline of mean transfer and
    source accuracy on fresh seeds and test images; None where nothing was checked. ``expected`` is
    the gain that the search saw, on validation images with one seed: too high on average, because
    it is the highest of many.
    """

    weights: tuple[float, float]
    expected: float
    gain: Difference | None
    source_gain: Difference | None
    runs: int
    studies: tuple[str, ...]

    @property
    def helps(self) -> bool:
        """Whether the gain's interval lies above zero."""
        return self.gain is not None and self.gain.low is not None and self.gain.low > 0

    def sentences(self) -> list[str]:
        """The suggestion in words, with how sure it is."""
        variance, covariance = self.weights
        if self.gain is None:
            return [
                f"No weights suggested: the best of those tried changed transfer by "
                f"{self.expected:+.3f} on validation images. Leave both at 0."
            ]
        said = f"variance {variance:.3g}, covariance {covariance:.3g}"
        interval = f"95 % interval {self.gain.low:+.3f} … {self.gain.high:+.3f}"
        measured = f"{self.gain.mean:+.3f} ({interval}, {self.gain.n} fresh seeds, test images)"
        lines = [f"Suggested weights: {said}. Mean transfer accuracy: {measured}."]
        if not self.helps:
            lines = [
                f"No clear gain. The most promising weights, {said}, changed mean transfer "
                f"accuracy by {measured}: leave both at 0, or ask again with more runs."
            ]
        if self.source_gain is not None:
            lines.append(f"Source accuracy: {self.source_gain.mean:+.3f}.")
        return lines


def suggest(
    config: RunConfig,
    store: Store,
    *,
    runs: int,
    preset: str = "custom",
    targets: tuple[str, ...] = (),
    watch: Callable[[Study], Watch] | None = None,
) -> Suggestion:
    """Suggest weights in ``runs`` runs; asked again, it goes on where it was left.

    ``watch`` is called with each study and gives what follows its progress.

    Raises:
        ConfigError: too few runs, or a configuration that cannot be searched.
    """
    search, checks = _plan(config, runs=runs, preset=preset, targets=targets)
    run_study(search, store, watch=None if watch is None else watch(search))
    found = study_table(store, search.name)
    best = found.best
    if best is None:
        raise ConfigError(f"no run finished: {found.rows[0].why or 'see vcr-lab sweeps'}")
    expected = best.gains[MEAN].mean if MEAN in best.gains else 0.0
    spent = _runs_of(found)
    if expected <= 0:
        return Suggestion((0.0, 0.0), expected, None, None, spent, (search.name,))
    check = _check(search, config, best, seeds=checks)
    run_study(check, store, watch=None if watch is None else watch(check))
    checked = study_table(store, check.name)
    row = next(row for row in checked.rows if row.baseline is not None)
    if MEAN not in row.gains:
        raise ConfigError(f"the check of the best weights failed: {row.why}")
    return Suggestion(
        (float(best.params[VARIANCE]), float(best.params[COVARIANCE])),
        expected,
        row.gains[MEAN],
        row.gains[SOURCE],
        spent + _runs_of(checked),
        (search.name, check.name),
    )


def _plan(
    config: RunConfig, *, runs: int, preset: str, targets: tuple[str, ...]
) -> tuple[Study, int]:
    """The search, and how many pairs are left for the check: a third of the runs, five at most."""
    if runs < FEWEST_RUNS:
        raise ConfigError(f"expected {FEWEST_RUNS} runs or more, got {runs}", field="runs")
    checks = min(MOST_CHECKS, max(2, runs // 6))
    base = override(config, {"data.measured_on": "validation", "seed": SEARCH_SEED})
    text = f"{base.model_dump_json()} {runs} {targets}"
    trials = runs - 2 * checks - 1
    start: list[Mapping[str, Any]] = [
        {VARIANCE: variance, COVARIANCE: covariance} for variance, covariance in START
    ]
    search = make_study(
        name=f"suggest-{hashlib.sha256(text.encode()).hexdigest()[:8]}",
        preset=preset,
        base=base,
        vary={name: Span(low=LOWEST, high=HIGHEST, log=True) for name in (VARIANCE, COVARIANCE)},
        seeds=(SEARCH_SEED,),
        targets=targets,
        sampler="tpe",
        trials=trials,
        start=tuple(start[:trials]),
        pruner="median",
    )
    return search, checks


def _check(search: Study, config: RunConfig, best: Row, *, seeds: int) -> Study:
    """The best weights against the baseline, on the test images, with seeds that are new."""
    return make_study(
        name=f"{search.name}-check",
        preset=search.preset,
        base=override(config, {"data.measured_on": "test"}),
        vary={name: (best.params[name],) for name in (VARIANCE, COVARIANCE)},
        seeds=tuple(range(FIRST_FRESH_SEED, FIRST_FRESH_SEED + seeds)),
        targets=search.targets,
    )


def _runs_of(table: StudyTable) -> int:
    return len({run_id for row in table.rows for run_id in row.run_ids})
