"""The store: every run, number, matrix and command. Knows configs and plain numbers, no tensors."""

from __future__ import annotations

from vcr_core.store.records import (
    Command,
    CommandKind,
    Metric,
    Role,
    Run,
    RunState,
    Snapshot,
)
from vcr_core.store.store import Report, Store, open_store

__all__ = [
    "Command",
    "CommandKind",
    "Metric",
    "Report",
    "Role",
    "Run",
    "RunState",
    "Snapshot",
    "Store",
    "open_store",
]
