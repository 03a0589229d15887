"""What to try next, and what to give up: Optuna, rebuilt from the trials at any time.

Optuna's own study lives in memory. It is a function of the specification and the trials that the
store keeps: after a crash it is made again, and because every proposal draws from a generator made
from (sampler seed, number of the trial), a sweep that was killed goes on to propose what it would
have proposed (with one trial at a time; with several, what it learns in between depends on which
ends first). No second database has to be kept in step with the store.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.study import StudyDirection
from optuna.trial import TrialState as OptunaState

from vcr_core.sweeps.records import Kind, Trial, TrialState
from vcr_core.sweeps.spec import Span, Study, kind_of

STARTUP_TRIALS = 8  # random ones, before TPE or a pruner has something to learn from
PRUNER_TRIALS = 4
POPULATION = 12

_OPTUNA_STATES = {
    TrialState.COMPLETE: OptunaState.COMPLETE,
    TrialState.PRUNED: OptunaState.PRUNED,
    TrialState.FAILED: OptunaState.FAIL,
}


class Search:
    """Proposes settings and judges intermediate values; knows a study and its trials, no runs."""

    def __init__(self, study: Study, trials: list[Trial]) -> None:
        self._study = study
        self._distributions = {name: _distribution(study, name) for name in study.vary}
        directions = [StudyDirection.MAXIMIZE] * (2 if study.sampler == "nsga2" else 1)
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._optuna = optuna.create_study(directions=directions, pruner=_pruner(study))
        self._live: dict[int, optuna.Trial] = {}
        self._told: dict[int, int] = {}
        self._asked: optuna.Trial | None = None
        self._grid = study.grid() if study.sampler == "grid" else []
        for trial in trials:
            if trial.kind is Kind.SETTING:
                self._remember(trial)

    @property
    def proposed(self) -> int:
        """How many settings were proposed so far."""
        return len(self._optuna.get_trials(deepcopy=False))

    def propose(self) -> dict[str, Any] | None:
        """The next setting, or None where all have been proposed."""
        if self.proposed >= self._study.number_of_trials:
            return None
        if self._grid:
            return self._grid[self.proposed]
        if self.proposed < len(self._study.start):
            return dict(self._study.start[self.proposed])
        self._optuna.sampler = self._sampler(self.proposed)
        self._asked = self._optuna.ask(self._distributions)
        return self._decoded(self._asked.params)

    def started(self, trial: Trial) -> None:
        """The setting proposed last is now this trial."""
        asked = self._asked or self._ask_for(trial.params)
        self._live[trial.number], self._asked = asked, None
        trial.attributes = self._attributes(asked)

    def should_prune(self, trial: Trial) -> bool:
        """Whether a trial is so much worse than others were at its last rung that it ends here."""
        if self._study.pruner == "none" or trial.number not in self._live:
            return False
        self._tell_reports(trial)
        return bool(trial.reports) and self._live[trial.number].should_prune()

    def ended(self, trial: Trial) -> None:
        """Learn from a trial that is over."""
        self._tell_reports(trial)
        live = self._live.pop(trial.number)
        values = trial.values if trial.state is TrialState.COMPLETE else None
        self._optuna.tell(live, values, state=_OPTUNA_STATES[trial.state])

    def _tell_reports(self, trial: Trial) -> None:
        """Hand Optuna the intermediate values that it has not had yet."""
        known = self._told.get(trial.number, 0)
        for rung, value in trial.reports[known:]:
            self._live[trial.number].report(value, rung)
        self._told[trial.number] = len(trial.reports)

    def _remember(self, trial: Trial) -> None:
        """Take in a trial of an earlier process."""
        if not trial.state.is_over:
            self._live[trial.number] = self._ask_for(trial.params)
            return
        self._optuna.add_trial(
            optuna.trial.create_trial(
                state=_OPTUNA_STATES[trial.state],
                params=self._encoded(trial.params),
                distributions=self._distributions,
                values=trial.values if trial.state is TrialState.COMPLETE else None,
                intermediate_values=dict(trial.reports),
                system_attrs=trial.attributes,
            )
        )

    def _ask_for(self, params: Mapping[str, Any]) -> optuna.Trial:
        self._optuna.sampler = self._sampler(self.proposed)
        self._optuna.enqueue_trial(self._encoded(params))
        return self._optuna.ask(self._distributions)

    def _attributes(self, asked: optuna.Trial) -> dict[str, Any]:
        """What nsga2 keeps about a trial: its generation. TPE and grids remember nothing."""
        kept = self._optuna.get_trials(deepcopy=False)[asked.number].system_attrs
        return dict(kept) if self._study.sampler == "nsga2" else {}

    def _sampler(self, number: int) -> optuna.samplers.BaseSampler:
        """A sampler whose chance depends on the study and the trial's number alone."""
        seed = (self._study.sampler_seed * 1_000_003 + number) % 2**32
        if self._study.sampler == "nsga2":
            return optuna.samplers.NSGAIISampler(seed=seed, population_size=POPULATION)
        if self._study.sampler == "grid":
            return optuna.samplers.RandomSampler(seed=seed)
        return optuna.samplers.TPESampler(
            seed=seed, n_startup_trials=STARTUP_TRIALS, multivariate=True, constant_liar=True
        )

    def _encoded(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Settings as Optuna's parameters: a place in the list for choices."""
        return {
            name: value
            if isinstance(self._study.vary[name], Span) and not self._grid
            else self._study.choices(name).index(value)
            for name, value in params.items()
        }

    def _decoded(self, params: Mapping[str, Any]) -> dict[str, Any]:
        return {
            name: value
            if isinstance(self._study.vary[name], Span)
            else self._study.choices(name)[value]
            for name, value in params.items()
        }


def _distribution(study: Study, name: str) -> BaseDistribution:
    span = study.vary[name]
    if study.sampler == "grid" or not isinstance(span, Span):
        return CategoricalDistribution(tuple(range(len(study.choices(name)))))
    low, high = study.ends(name)
    if kind_of(name) is int:
        return IntDistribution(int(low), int(high), log=span.log)
    return FloatDistribution(low, high, log=span.log)


def _pruner(study: Study) -> optuna.pruners.BasePruner:
    if study.pruner == "median":
        return optuna.pruners.MedianPruner(n_startup_trials=PRUNER_TRIALS, n_warmup_steps=1)
    if study.pruner == "halving":
        return optuna.pruners.SuccessiveHalvingPruner(min_resource=2, reduction_factor=3)
    return optuna.pruners.NopPruner()
