"""Whose run is next: fair between owners, first come first served within each. Pure.

The next run is one of the owner who has the fewest runs in work or started lately; where owners
are even, of the one whose run has waited longest. Twins count as one step and stay together, so
that they start together where two slots are free.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple


class Waiting(NamedTuple):
    """What decides about the place of a waiting run; the number grows with every run made."""

    id: str
    owner: str
    pair_id: str | None
    number: int


def fair_order(queued: Iterable[Waiting], served: Iterable[str]) -> list[str]:
    """Ids of waiting runs in the order in which they start.

    ``served`` are the owners of runs that are in work or started lately, one entry a run.
    """
    load = Counter(served)
    lines: dict[str, list[list[Waiting]]] = {}
    for group in _twins(sorted(queued, key=lambda run: (run.number, run.id))):
        lines.setdefault(group[0].owner, []).append(group)
    heads = [(load[owner], line[0][0].number, owner) for owner, line in lines.items()]
    heapq.heapify(heads)
    ordered: list[str] = []
    while heads:
        count, _, owner = heapq.heappop(heads)
        group, *rest = lines[owner]
        ordered += [run.id for run in group]
        if rest:
            lines[owner] = rest
            heapq.heappush(heads, (count + len(group), rest[0][0].number, owner))
    return ordered


def _twins(runs: Sequence[Waiting]) -> list[list[Waiting]]:
    """Runs in groups, where a pair is one group at the place of its first twin."""
    groups: dict[str, list[Waiting]] = {}
    for run in runs:
        groups.setdefault(run.pair_id or run.id, []).append(run)
    return list(groups.values())
