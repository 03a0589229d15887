"""Activation checkpointing runs a layer's forward a second time, inside the backward."""

from __future__ import annotations

import sys

import torch
from torch.utils import checkpoint


def recomputing() -> bool:
    """Whether this forward runs inside a backward pass: a checkpoint's recomputation."""
    if torch.compiler.is_compiling():
        return False
    return torch._C._current_graph_task_id() != -1


def in_reentrant_checkpoint() -> bool:
    """Whether this recomputation is that of ``torch.utils.checkpoint(use_reentrant=True)``.

    Only it runs the block from the backward of an autograd Function of torch's own.
    """
    frame = sys._getframe(1)
    while frame is not None:
        if frame.f_code is checkpoint.CheckpointFunction.backward.__code__:
            return True
        frame = frame.f_back  # type: ignore[assignment]
    return False
