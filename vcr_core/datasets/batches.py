"""Which images make which batch: decided by seed and epoch alone, so twins see the same ones."""

from __future__ import annotations

import torch
from torch import Tensor

EPOCH_STRIDE = 1_000_003


def batch_indices(count: int, batch_size: int, epoch: int, seed: int) -> Tensor:
    """Indices (B, batch_size) of one epoch's batches, shuffled; an incomplete batch is left out.

    Drawn from a generator of its own: the global random state is neither read nor moved.
    """
    generator = torch.Generator().manual_seed(seed * EPOCH_STRIDE + epoch)
    order = torch.randperm(count, generator=generator)
    batches = count // batch_size
    return order[: batches * batch_size].view(batches, batch_size)
