"""The store: every run, number, matrix and command. Knows configs and plain numbers, no tensors."""

from __future__ import annotations

from vcr_core.store.listing import RunFacets, RunFilter, RunOrder, RunPage, mean_transfer
from vcr_core.store.records import (
    Command,
    CommandKind,
    CommandSource,
    Metric,
    Position,
    Report,
    Role,
    Run,
    RunState,
    RunSummary,
    Snapshot,
    Study,
)
from vcr_core.store.store import Store, open_store
from vcr_core.store.watch import SilenceWatch

__all__ = [
    "Command",
    "CommandKind",
    "CommandSource",
    "Metric",
    "Position",
    "Report",
    "Role",
    "Run",
    "RunFacets",
    "RunFilter",
    "RunOrder",
    "RunPage",
    "RunState",
    "RunSummary",
    "SilenceWatch",
    "Snapshot",
    "Store",
    "Study",
    "mean_transfer",
    "open_store",
]
