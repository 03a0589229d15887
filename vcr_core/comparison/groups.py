"""Which runs are the same experiment with other seeds, and what such a group is called.

Two runs belong together where all of these are equal: every setting but the seed and the machine
(``execution``), what was turned while they trained, and the step at which a fork began. A second
run with the same seed is no new evidence: it begins a group of its own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vcr_core.config import fields
from vcr_core.store import Command, CommandKind, Run, Store

NOT_THE_EXPERIMENT = ("seed", "execution")
MOVES = (CommandKind.SET, CommandKind.EXTEND, CommandKind.STOP, CommandKind.ABORT)
WITHOUT, WITH = "without VCR", "with VCR"
LONGEST_LABEL = 48


@dataclass(frozen=True)
class Group:
    """Runs that differ in their seed alone, in the order of their seeds."""

    label: str
    runs: tuple[Run, ...]

    @property
    def id(self) -> str:
        """The id of its first run stands for the group."""
        return self.runs[0].id

    @property
    def by_seed(self) -> dict[int, Run]:
        return {seed_of(run): run for run in self.runs}

    @property
    def is_baseline(self) -> bool:
        """Whether nothing was regularised."""
        return is_plain(self.runs[0])


def group_runs(store: Store, runs: Sequence[Run]) -> tuple[Group, ...]:
    """The groups of these runs, unregularised ones first, else in the order of the runs."""
    found: dict[str, list[Run]] = {}
    for run in runs:
        key, repeat = _key(run, store.history(run.id)), 0
        while seed_of(run) in map(seed_of, found.get(f"{key} {repeat}", ())):
            repeat += 1
        found.setdefault(f"{key} {repeat}", []).append(run)
    members = [tuple(sorted(group, key=seed_of)) for group in found.values()]
    members.sort(key=lambda group: not is_plain(group[0]))
    labels = _labels(members)
    return tuple(Group(label, group) for label, group in zip(labels, members, strict=True))


def seed_of(run: Run) -> int:
    return int(run.config_tree["seed"])


def is_plain(run: Run) -> bool:
    """Whether both weights of a run are zero."""
    regularizer = run.config_tree["regularizer"]
    return not (regularizer["variance_weight"] or regularizer["covariance_weight"])


def value_of(run: Run, name: str) -> Any:
    """A setting of a run by its dotted name; None where an older run has none."""
    value: Any = run.config_tree
    for part in name.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def differing(runs: Sequence[Run]) -> list[str]:
    """The dotted names of the settings that are not the same in all runs."""
    return [
        name
        for name in fields()
        if len({json.dumps(value_of(run, name), sort_keys=True) for run in runs}) > 1
    ]


def shown_value(value: Any) -> str:
    """A value as a person writes it."""
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "–"
    return "–" if value is None else str(value)


def _key(run: Run, history: Sequence[Command]) -> str:
    tree = {name: part for name, part in run.config_tree.items() if name not in NOT_THE_EXPERIMENT}
    moves = [
        (command.kind.value, dict(command.payload), command.applied_step)
        for command in history
        if command.kind in MOVES
    ]
    return json.dumps([tree, moves, run.parent_step], sort_keys=True)


def _labels(groups: Sequence[Sequence[Run]]) -> list[str]:
    """A name for each group that no other has: the one that its runs were given, else in what it
    differs from the others.
    """
    names = [
        name
        for name in differing([group[0] for group in groups])
        if name.partition(".")[0] not in NOT_THE_EXPERIMENT
    ]
    labels = [_label(group, names) for group in groups]
    return [
        f"{label} ({group[0].id[:6]})" if labels.count(label) > 1 else label
        for label, group in zip(labels, groups, strict=True)
    ]


def _label(group: Sequence[Run], names: Sequence[str]) -> str:
    given = {run.name for run in group}
    if len(given) == 1 and (name := given.pop()):
        return name[:LONGEST_LABEL]
    plain, weights = is_plain(group[0]), [name for name in names if name.endswith("_weight")]
    told = [name for name in names if not (plain and name in weights)]
    words = [f"{_short(name)} {shown_value(value_of(group[0], name))}" for name in told[:3]]
    if plain:
        words.insert(0, WITHOUT)
    return (", ".join(words) or WITH)[:LONGEST_LABEL]


def _short(name: str) -> str:
    return name.rpartition(".")[2].removesuffix("_weight").replace("_", " ")
