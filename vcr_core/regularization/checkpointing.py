"""Activation checkpointing runs a layer's forward a second time, inside the backward."""

from __future__ import annotations

import torch


def recomputing() -> bool:
    """Whether this forward runs inside a backward pass: a checkpoint's recomputation."""
    if torch.compiler.is_compiling():
        return False
    return torch._C._current_graph_task_id() != -1
