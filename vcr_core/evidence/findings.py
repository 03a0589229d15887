"""What a study found: for every arm its accuracies over seeds, and the paired differences."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vcr_core.evidence.conduct import winner
from vcr_core.evidence.design import Arm, Changes, Setting
from vcr_core.evidence.rows import ResultFile, Row
from vcr_core.statistics import Difference, Estimate, estimate, paired_difference, paired_p_value

SOURCE, MEAN = "source", "mean transfer"


@dataclass(frozen=True)
class Finding:
    """One arm of a setting on the study's seeds.

    ``measures`` are ``source``, every target, ``mean transfer``, ``features/…`` and ``trust/…``;
    ``gains`` are the same minus the baseline's, seed by seed (the baseline itself has none).
    ``chosen`` is the candidate that tuning chose, of ``candidates``; ``failed`` counts runs without
    a result, such as diverged ones, which are in no mean.
    """

    setting: str
    arm: str
    tags: Mapping[str, str]
    chosen: Changes
    candidates: int
    failed: int
    measures: Mapping[str, Estimate]
    gains: Mapping[str, Difference]

    @property
    def gain(self) -> Difference | None:
        """The difference in mean transfer accuracy."""
        return self.gains.get(MEAN)

    def to_tree(self) -> dict[str, Any]:
        """Plain data, gains with the paired test's p-value."""
        return {
            "setting": self.setting,
            "arm": self.arm,
            "tags": dict(self.tags),
            "chosen": dict(self.chosen),
            "candidates": self.candidates,
            "failed": self.failed,
            "measures": {name: _tree(found) for name, found in self.measures.items()},
            "gains": {name: _gain_tree(gain) for name, gain in self.gains.items()},
        }


def _tree(found: Estimate) -> dict[str, Any]:
    return {
        "mean": _short(found.mean),
        "standard_error": _short(found.standard_error),
        "n": found.n,
    }


def _gain_tree(gain: Difference) -> dict[str, Any]:
    ends = {"low": _short(gain.low), "high": _short(gain.high)}
    return {**_tree(gain), **ends, "p": _short(paired_p_value(gain))}


def _short(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.5g}")


def findings(results: ResultFile) -> list[Finding]:
    """Every arm with at least one finished run of its own, in the order of the study."""
    found = []
    for setting in results.study.settings:
        baseline = final_rows(results, setting, setting.arm(results.study.baseline))
        for arm in setting.arms:
            rows = final_rows(results, setting, arm)
            if rows:
                twin = baseline if arm.name != results.study.baseline else None
                found.append(_finding(results, setting, arm, rows, twin))
    return found


def final_rows(results: ResultFile, setting: Setting, arm: Arm) -> dict[int, Row]:
    """The finished runs that an arm is judged by, by seed; empty before it is tuned."""
    chosen = winner(results, setting, arm)
    if chosen is None:
        return {}
    return {
        job.config.seed: results.rows[digest]
        for job, digest in results.final(setting, arm, chosen)
        if digest in results.rows
    }


def _finding(
    results: ResultFile,
    setting: Setting,
    arm: Arm,
    rows: Mapping[int, Row],
    baseline: Mapping[int, Row] | None,
) -> Finding:
    good = {seed: row for seed, row in rows.items() if not row.error}
    names = dict.fromkeys(name for row in good.values() for name in numbers_of(row))
    measures, gains = {}, {}
    for name in names:
        values = _present({seed: numbers_of(row).get(name) for seed, row in good.items()})
        found = estimate(list(values.values()))
        if found is not None:
            measures[name] = found
        gain = None if baseline is None else _gain(good, baseline, name)
        if gain is not None:
            gains[name] = gain
    chosen = winner(results, setting, arm)
    return Finding(
        setting=setting.name,
        arm=arm.name,
        tags=setting.tags,
        chosen=arm.candidates[chosen or 0],
        candidates=len(arm.candidates),
        failed=len(rows) - len(good),
        measures=measures,
        gains=gains,
    )


def _gain(rows: Mapping[int, Row], baseline: Mapping[int, Row], name: str) -> Difference | None:
    ours = {seed: numbers_of(row).get(name) for seed, row in rows.items()}
    theirs = {seed: numbers_of(row).get(name) for seed, row in baseline.items() if not row.error}
    return paired_difference(_present(ours), _present(theirs))


def _present(values: Mapping[int, float | None]) -> dict[int, float]:
    return {seed: value for seed, value in values.items() if value is not None}


def numbers_of(row: Row) -> dict[str, float]:
    """All that was measured on a run, by the names of :class:`Finding`."""
    return {
        SOURCE: row.source,
        **row.transfer,
        MEAN: row.mean_transfer,
        **{f"features/{name}": value for name, value in row.features.items()},
        **{f"trust/{name}": value for name, value in row.trust.items()},
    }
