"""Runs in processes of their own: queue, dispatcher, warm workers.

    page, notebook ─ submit ─> store: queued ─> dispatcher ─ run id by pipe ─> warm worker
                                   ^                                              │
                                   └── numbers, state, heartbeat ─────────────────┘

Only ``worker`` and ``runner`` import torch.
"""

from __future__ import annotations

from vcr_core.execution.launch import (
    dispatcher_alive,
    ensure_dispatcher,
    slots,
    submit,
    submit_pair,
    threads_per_worker,
)

__all__ = [
    "dispatcher_alive",
    "ensure_dispatcher",
    "slots",
    "submit",
    "submit_pair",
    "threads_per_worker",
]
