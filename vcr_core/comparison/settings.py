"""In which settings groups differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vcr_core.comparison.groups import (
    NOT_THE_EXPERIMENT,
    Group,
    differing,
    shown_value,
    value_of,
)
from vcr_core.config import fields
from vcr_core.store import CommandKind, Store


@dataclass(frozen=True)
class SettingRow:
    """A setting, its title for people, and its value in each group."""

    name: str
    title: str
    values: tuple[str, ...]


def differing_settings(store: Store, groups: Sequence[Group]) -> list[SettingRow]:
    """Only the settings in which some runs differ: seeds and machines listed per group, and what
    was turned while they trained.
    """
    runs = [run for group in groups for run in group.runs]
    rows = [
        SettingRow(name, str(fields()[name].title), tuple(_values(group, name) for group in groups))
        for name in differing(runs)
    ]
    rows.sort(key=lambda row: row.name.partition(".")[0] in NOT_THE_EXPERIMENT)
    turned = tuple(_turned(store, group) for group in groups)
    if any(turned):
        rows.append(SettingRow("", "Turned while it trained", turned))
    forked = tuple(_forked(group) for group in groups)
    if any(forked):
        rows.append(SettingRow("", "Forked at step", forked))
    return rows


def _values(group: Group, name: str) -> str:
    found = dict.fromkeys(shown_value(value_of(run, name)) for run in group.runs)
    return ", ".join(found)


def _turned(store: Store, group: Group) -> str:
    moves = [
        f"{command.payload.get('field')} → {shown_value(command.payload.get('value'))} "
        f"at step {command.applied_step}"
        for command in store.history(group.id)
        if command.kind is CommandKind.SET
    ]
    return "; ".join(moves)


def _forked(group: Group) -> str:
    steps = dict.fromkeys(str(run.parent_step) for run in group.runs if run.parent_step is not None)
    return ", ".join(steps)
