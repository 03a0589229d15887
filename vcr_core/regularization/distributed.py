"""Statistics over all processes of ``torch.distributed``, by one all-reduce.

The covariance term is not linear in the batch: with local statistics its strength depends on how
many processes share the work. With global ones two processes do exactly what one process does on
the union of their batches.
"""

from __future__ import annotations

import torch
from torch import Tensor, distributed

from vcr_core.errors import ConfigError


def over_all_ranks(mean: Tensor, scatter: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Mean (D,), scatter (D, D) about it and number of the samples of all ranks together.

    Args:
        mean: mean (D,) of this rank's samples.
        scatter: Σ (z − mean)ᵀ (z − mean) of this rank's samples.
        count: number of this rank's samples; ranks may differ.

    One all-reduce carries D² + W(D + 1) numbers for W ranks: every rank leaves its count and its
    mean in a slot of its own, so that large means cost no precision when they are combined.
    """
    world, rank = _world()
    slots = mean.new_zeros(world, mean.shape[0] + 1)
    slots[rank, 0] = count
    slots[rank, 1:] = mean
    message = torch.cat((scatter.flatten(), slots.flatten()))
    distributed.all_reduce(message)
    scatter = message[: scatter.numel()].view_as(scatter)
    slots = message[scatter.numel() :].view_as(slots)
    counts, means = slots[:, 0], slots[:, 1:]
    total = counts.sum()
    spread = means - means[:1]
    offset = (counts @ spread) / total
    spread = spread - offset
    return means[0] + offset, scatter + (spread.T * counts) @ spread, total


def averaging_factor() -> int:
    """Number of ranks: DistributedDataParallel averages gradients, which this undoes."""
    return _world()[0]


def _world() -> tuple[int, int]:
    if not (distributed.is_available() and distributed.is_initialized()):
        raise ConfigError(
            "global statistics need torch.distributed.init_process_group() first: "
            "call it, or use ranks='local'",
            field="ranks",
        )
    return distributed.get_world_size(), distributed.get_rank()
