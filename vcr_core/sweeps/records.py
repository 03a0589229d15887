"""What a study has tried so far: one record a trial, kept in the study's row of the store.

A record is written before the trial's first run is queued. So whenever a sweep dies, every run that
it queued belongs to a record, and every record that lacks runs can be completed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any


class TrialState(StrEnum):
    """The life of a trial."""

    RUNNING = "running"
    COMPLETE = "complete"
    PRUNED = "pruned"
    FAILED = "failed"

    @property
    def is_over(self) -> bool:
        return self is not TrialState.RUNNING


class Kind(StrEnum):
    """Whether a trial was proposed by the search, or runs for others to be compared with."""

    SETTING = "setting"
    BASELINE = "baseline"


@dataclass
class Trial:
    """One setting of a study, run once for every seed.

    ``reports`` are pairs (rung, mean transfer accuracy so far) that a pruner was told; see
    :mod:`vcr_core.sweeps.rungs`. ``values`` are the objectives: mean transfer accuracy, or (source
    accuracy, mean transfer accuracy) for nsga2. ``attributes`` are what the sampler keeps about it
    (the generation of nsga2). A trial with the configuration of an earlier one is the
    ``same_as`` that one and has no runs of its own.
    """

    number: int
    kind: Kind
    params: Mapping[str, Any]
    state: TrialState = TrialState.RUNNING
    same_as: int | None = None
    reports: list[tuple[int, float]] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    attributes: dict[str, Any] = field(default_factory=dict)
    why: str = ""

    def to_tree(self) -> dict[str, Any]:
        """Plain data for the store."""
        return asdict(self)

    @classmethod
    def from_tree(cls, tree: Mapping[str, Any]) -> Trial:
        """A record as the store keeps it."""
        typed = {
            "kind": Kind(tree["kind"]),
            "state": TrialState(tree["state"]),
            "reports": [(int(rung), float(value)) for rung, value in tree["reports"]],
        }
        return cls(**{**tree, **typed})


def read_trials(result: Mapping[str, Any]) -> list[Trial]:
    """The trials in a study's ``result`` column, by number."""
    return [Trial.from_tree(tree) for tree in result.get("trials", [])]


def write_trials(trials: Sequence[Trial]) -> dict[str, Any]:
    """The ``result`` column of a study."""
    return {"trials": [trial.to_tree() for trial in trials]}
