"""What a study found, read from the store alone: one row a setting, paired with its baseline."""

from __future__ import annotations

import csv
import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from io import StringIO
from typing import Any

from vcr_core.statistics import (
    Difference,
    Estimate,
    estimate,
    paired_difference,
    pareto_front,
)
from vcr_core.store import Run, RunState, Store
from vcr_core.sweeps.records import Kind, Trial, TrialState, read_trials
from vcr_core.sweeps.spec import Study
from vcr_core.sweeps.studies import find_study, runs_of

SOURCE = "source"
MEAN = "mean transfer"


@dataclass(frozen=True)
class Row:
    """One setting.

    ``accuracies`` and ``gains`` go by measure: ``source``, every target, and ``mean transfer``,
    the mean over the study's objective targets. Gains are paired with the baseline by seed; the
    baseline itself has none. ``seconds`` is the mean training time of a run.
    """

    number: int
    kind: Kind
    params: Mapping[str, Any]
    state: TrialState
    seeds: tuple[int, ...]
    accuracies: Mapping[str, Estimate]
    gains: Mapping[str, Difference]
    seconds: float | None
    run_ids: tuple[str, ...]
    baseline: int | None
    on_front: bool
    why: str

    @property
    def score(self) -> float:
        """The mean transfer accuracy; lowest for a setting without any finished run."""
        found = self.accuracies.get(MEAN)
        return found.mean if found is not None else float("-inf")

    @property
    def label(self) -> str:
        """The setting in a few words."""
        return describe(self.params)


@dataclass(frozen=True)
class StudyTable:
    """All rows of a study. ``measures`` are source, the targets and their mean, in that order."""

    name: str
    state: str
    study: Study
    rows: tuple[Row, ...]
    measures: tuple[str, ...]
    seconds: float

    @property
    def best(self) -> Row | None:
        """The complete setting with the highest mean transfer accuracy."""
        complete = [row for row in self.rows if row.state is TrialState.COMPLETE]
        return max(complete, key=lambda row: row.score, default=None)

    @property
    def front(self) -> list[Row]:
        """Complete settings that no other beats in both source and mean transfer accuracy."""
        front = [row for row in self.rows if row.on_front]
        return sorted(front, key=lambda row: row.accuracies[SOURCE].mean)

    def to_tree(self) -> dict[str, Any]:
        """The table as plain data."""
        return {
            "name": self.name,
            "state": self.state,
            "seconds": round(self.seconds, 2),
            "measures": list(self.measures),
            "confidence": 0.95,
            "rows": [asdict(row) for row in self.rows],
            "study": self.study.model_dump(mode="json"),
        }

    def to_json(self) -> str:
        """The table as JSON."""
        return json.dumps(self.to_tree())

    def to_csv(self) -> str:
        """The table as CSV: per measure its mean, standard error, gain and the gain's interval."""
        stream = StringIO()
        writer = csv.DictWriter(stream, self._columns(), lineterminator="\n")
        writer.writeheader()
        writer.writerows(self._flat(row) for row in self.rows)
        return stream.getvalue()

    def _columns(self) -> list[str]:
        parts = ("", " standard error", " gain", " gain standard error", " gain low", " gain high")
        numbers = [f"{measure}{part}" for measure in self.measures for part in parts]
        fixed = ["trial", "kind", "state", *self.study.vary, "seeds", *numbers]
        return [*fixed, "seconds", "on front", "runs", "why"]

    def _flat(self, row: Row) -> dict[str, Any]:
        flat: dict[str, Any] = {
            "trial": row.number,
            "kind": row.kind.value,
            "state": row.state.value,
            "seeds": len(row.seeds),
            "seconds": row.seconds,
            "on front": row.on_front,
            "runs": " ".join(row.run_ids),
            "why": row.why,
            **{name: row.params.get(name) for name in self.study.vary},
        }
        for measure, found in row.accuracies.items():
            flat |= {measure: found.mean, f"{measure} standard error": found.standard_error}
        for measure, gain in row.gains.items():
            flat |= {
                f"{measure} gain": gain.mean,
                f"{measure} gain standard error": gain.standard_error,
                f"{measure} gain low": gain.low,
                f"{measure} gain high": gain.high,
            }
        return flat


def describe(params: Mapping[str, Any]) -> str:
    """Settings in a few words, without the names of their sections."""
    return ", ".join(f"{name.rpartition('.')[2]} {short(value)}" for name, value in params.items())


def short(value: Any) -> str:
    """A value as a person writes it."""
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list | tuple):
        return "-".join(map(str, value))
    return "all" if value is None else str(value)


def study_table(store: Store, name: str) -> StudyTable:
    """What the study of that name has found so far; it may still be running.

    Raises:
        UnknownStudyError: the store holds none; the message lists those there are.
    """
    row = find_study(store, name)
    return make_table(
        Study.model_validate(row.spec),
        read_trials(row.result),
        runs_of(store, row.id),
        state=row.state,
        since=row.created_at,
    )


def make_table(
    study: Study, trials: Sequence[Trial], runs: Sequence[Run], *, state: str, since: float
) -> StudyTable:
    """The table of trials and the runs that belong to them."""
    by_trial: dict[int, dict[int, Run]] = {trial.number: {} for trial in trials}
    for run in runs:
        if run.trial in by_trial:
            by_trial[run.trial][run.config_tree["seed"]] = run
    for trial in trials:
        if trial.same_as is not None:
            by_trial[trial.number] = by_trial[trial.same_as]
    twins = _twins(study, trials)
    measures = (SOURCE, *_targets(study, runs), MEAN)
    rows = [_row(study, trial, by_trial, twins.get(trial.number), measures) for trial in trials]
    points = {
        row.number: (row.accuracies[SOURCE].mean, row.accuracies[MEAN].mean)
        for row in rows
        if row.state is TrialState.COMPLETE
    }
    front = pareto_front(points)
    ends = [run.finished_at for run in runs if run.finished_at is not None]
    return StudyTable(
        name=study.name,
        state=state,
        study=study,
        rows=tuple(replace(row, on_front=row.number in front) for row in rows),
        measures=measures,
        seconds=max(ends, default=since) - since,
    )


def _targets(study: Study, runs: Sequence[Run]) -> list[str]:
    """Every target that some run probed, in the order of the base configuration."""
    probed = [target for run in runs for target in run.result.get("transfer", ())]
    return list(dict.fromkeys([*study.base.targets, *probed]))


def _twins(study: Study, trials: Sequence[Trial]) -> dict[int, int]:
    """Which trial each one is compared with."""
    known = {study.key(trial.params): trial.number for trial in reversed(trials)}
    twins = {}
    for trial in trials:
        params = study.baseline_params(trial.params)
        if params is not None and study.key(params) in known:
            twins[trial.number] = known[study.key(params)]
    return twins


def _row(
    study: Study,
    trial: Trial,
    by_trial: Mapping[int, Mapping[int, Run]],
    twin: int | None,
    measures: Sequence[str],
) -> Row:
    runs = by_trial[trial.number]
    accuracies, gains = {}, {}
    for measure in measures:
        values = _values(runs, measure, study)
        found = estimate(list(values.values()))
        if found is not None:
            accuracies[measure] = found
        if twin is not None:
            gain = paired_difference(values, _values(by_trial[twin], measure, study))
            if gain is not None:
                gains[measure] = gain
    finished = [seed for seed, run in sorted(runs.items()) if run.state is RunState.FINISHED]
    seconds = [runs[seed].training_seconds for seed in finished]
    return Row(
        number=trial.number,
        kind=trial.kind,
        params=trial.params,
        state=trial.state,
        seeds=tuple(finished),
        accuracies=accuracies,
        gains=gains,
        seconds=round(statistics.fmean(seconds), 3) if seconds else None,
        run_ids=tuple(run.id for _, run in sorted(runs.items())),
        baseline=twin,
        on_front=False,
        why=trial.why,
    )


def _values(runs: Mapping[int, Run], measure: str, study: Study) -> dict[int, float]:
    """A number of every finished run by seed; stopped ones would be compared unfairly."""
    found = {}
    for seed, run in runs.items():
        if run.state is not RunState.FINISHED:
            continue
        if measure == SOURCE:
            found[seed] = source_accuracy(run)
        elif measure == MEAN:
            found[seed] = transfer_accuracy(study, run)
        elif measure in run.result["transfer"]:
            found[seed] = float(run.result["transfer"][measure])
    return found


def source_accuracy(run: Run) -> float:
    """Accuracy of the source task."""
    return float(run.result["source_accuracy"])


def transfer_accuracy(study: Study, run: Run) -> float:
    """Mean accuracy over the study's objective targets: all of the run's, if it names none."""
    transfer = run.result["transfer"]
    return statistics.fmean(transfer[target] for target in study.targets or transfer)
