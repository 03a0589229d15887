"""Runs in processes of their own: queue, dispatcher, warm workers.

    page, notebook ─ submit ─> store: queued ─> dispatcher ─ run id by pipe ─> warm worker
                                   ^                                              │
                                   └── numbers, state, heartbeat ─────────────────┘

A page that needs something from torch asks a question (``questions``), which the dispatcher gives
to a worker that has nothing to train. Only ``worker``, ``runner`` and ``answers`` import torch.
"""

from __future__ import annotations

from vcr_core.execution.devices import slots, threads_per_worker
from vcr_core.execution.launch import (
    dispatcher_alive,
    ensure_dispatcher,
    submit,
    submit_pair,
)
from vcr_core.execution.limits import Limits, load_limits
from vcr_core.execution.queue import Place, place, places

__all__ = [
    "Limits",
    "Place",
    "dispatcher_alive",
    "ensure_dispatcher",
    "load_limits",
    "place",
    "places",
    "slots",
    "submit",
    "submit_pair",
    "threads_per_worker",
]
