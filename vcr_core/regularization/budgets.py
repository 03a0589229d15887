"""How much of a layer the penalty looks at: everything, or as little as keeps the gain.

``docs/results/light_budget.json`` holds what each choice costs and what it keeps of the transfer
gain, on the three presets; ``benchmarks/light_budget.py`` made it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

from vcr_core.errors import ConfigError

Budget = Literal["full", "light"]


class Shares(NamedTuple):
    """Options that make a budget, see ``PenaltyOptions``."""

    max_samples: int | None
    every: int


BUDGETS: Mapping[str, Shares] = {
    "full": Shares(max_samples=None, every=1),
    "light": Shares(max_samples=1024, every=4),
}


def shares_of(budget: str) -> Shares:
    """What a budget stands for; raises ``ConfigError`` for one that does not exist."""
    if budget not in BUDGETS:
        raise ConfigError(f"expected one of {', '.join(BUDGETS)}, got {budget!r}", field="budget")
    return BUDGETS[budget]


def resolve_budget(budget: str | None, max_samples: int | None, every: int | None) -> Shares:
    """The samples and steps of a budget, or those that were given one by one.

    Args:
        budget: a key of ``BUDGETS``, or ``None``.
        max_samples, every: ``None`` where not given: all samples, every step.

    Raises ``ConfigError`` for a budget that does not exist, or that comes beside one of the two.
    """
    if budget is None:
        return Shares(max_samples, 1 if every is None else every)
    shares = shares_of(budget)
    given = {"max_samples": max_samples, "every": every}
    named = [f"{name}={value!r}" for name, value in given.items() if value is not None]
    if named:
        raise ConfigError(
            f"expected budget={budget!r} alone, got it beside {' and '.join(named)}: a budget sets "
            "max_samples and every, so give either the budget or these",
            field="budget",
        )
    return shares
