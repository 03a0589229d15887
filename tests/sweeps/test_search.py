"""Proposals are a function of the specification and of what was tried: a search can be rebuilt."""

from __future__ import annotations

import math
from typing import Any

import pytest

from vcr_core.sweeps import Kind, Study, Trial, TrialState, read_study
from vcr_core.sweeps.search import Search

VARIANCE, COVARIANCE = "regularizer.variance_weight", "regularizer.covariance_weight"
RANGES = {name: {"low": 0.01, "high": 100, "log": True} for name in (VARIANCE, COVARIANCE)}


def study(sampler: str, **changes: Any) -> Study:
    tree = {"name": "a", "preset": "digits-parity", "vary": RANGES, "sampler": sampler}
    return read_study({**tree, "trials": 30, **changes})


def accuracy(params: dict[str, Any]) -> float:
    """A landscape with its top at variance 3, covariance 0.1."""
    away = math.log10(params[VARIANCE] / 3) ** 2 + math.log10(params[COVARIANCE] / 0.1) ** 2
    return 1 - away / 10


def go_on(search: Search, made: Study, trials: list[Trial], until: int) -> None:
    while len(trials) < until and (params := search.propose()) is not None:
        trial = Trial(len(trials), Kind.SETTING, params)
        search.started(trial)
        score = accuracy(params)
        trial.values = [1 - score, score] if made.sampler == "nsga2" else [score]
        trial.state = TrialState.COMPLETE
        search.ended(trial)
        trials.append(trial)


@pytest.mark.parametrize("sampler", ["tpe", "nsga2"])
def test_a_rebuilt_search_proposes_what_the_first_would_have(sampler: str) -> None:
    made = study(sampler)
    whole: list[Trial] = []
    go_on(Search(made, []), made, whole, 30)
    halves: list[Trial] = []
    go_on(Search(made, []), made, halves, 17)
    halves = [Trial.from_tree(trial.to_tree()) for trial in halves]
    go_on(Search(made, halves), made, halves, 30)
    assert [trial.params for trial in halves] == [trial.params for trial in whole]


def test_tpe_comes_nearer_than_its_random_beginning() -> None:
    made = study("tpe")
    trials: list[Trial] = []
    go_on(Search(made, []), made, trials, 30)
    scores = [trial.values[0] for trial in trials]
    assert max(scores[8:]) > max(scores[:8])
    assert sum(scores[-10:]) / 10 > sum(scores[:8]) / 8


def test_a_trial_far_below_the_others_is_pruned_and_one_at_the_top_is_not() -> None:
    made = study("tpe", pruner="median")
    search = Search(made, [])
    trials = []
    for number in range(6):
        params = search.propose()
        assert params is not None
        trial = Trial(number, Kind.SETTING, params)
        search.started(trial)
        trial.reports = [(rung, 0.5 + 0.1 * number) for rung in range(4)]
        if number < 5:
            trial.values, trial.state = [0.5 + 0.1 * number], TrialState.COMPLETE
            search.ended(trial)
        trials.append(trial)
    assert not search.should_prune(trials[-1])
    low = Trial(6, Kind.SETTING, search.propose() or {})
    search.started(low)
    low.reports = [(rung, 0.1) for rung in range(4)]
    assert search.should_prune(low)


def test_a_grid_proposes_each_setting_once_also_after_a_restart() -> None:
    made = read_study({"name": "a", "preset": "digits-parity", "vary": {VARIANCE: [0, 1, 2]}})
    trials: list[Trial] = []
    search = Search(made, [])
    params = search.propose()
    assert params is not None
    trials.append(Trial(0, Kind.SETTING, params))
    search.started(trials[0])
    again = Search(made, trials)
    rest = []
    while (params := again.propose()) is not None:
        trial = Trial(1 + len(rest), Kind.SETTING, params)
        again.started(trial)
        rest.append(trial)
    assert [trial.params[VARIANCE] for trial in [*trials, *rest]] == [0, 1, 2]
