"""Statistics over all processes of ``torch.distributed``, by one all-reduce.

The covariance term is not linear in the batch: with local statistics its strength depends on how
many processes share the work. With global ones two processes do exactly what one process does on
the union of their batches.
"""

from __future__ import annotations

import torch
from torch import Tensor, distributed

from vcr_core.errors import ConfigError


def over_all_ranks(
    shift: Tensor | None, offset: Tensor, scatter: Tensor, count: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Moments of the samples of all ranks together: offset (D,), scatter (D, D), count.

    Args:
        shift: near this rank's mean, (D,); ``None`` for 0. Ranks may differ.
        offset: this rank's mean less ``shift``, (D,).
        scatter: Σ (z − mean)ᵀ (z − mean) of this rank's samples.
        count: number of this rank's samples; ranks may differ.

    Returns the common mean less this rank's ``shift``, the scatter about the common mean, and the
    number of all samples. One all-reduce carries D² + W(2D + 1) numbers for W ranks: every rank
    leaves its count, shift and offset in a slot of its own, so that large means cost no precision.
    """
    world, rank = _world()
    size = offset.shape[0]
    slots = offset.new_zeros(world, 2 * size + 1)
    slots[rank, 0] = count
    slots[rank, 1 : size + 1] = 0 if shift is None else shift
    slots[rank, size + 1 :] = offset
    message = sum_over_ranks(torch.cat((scatter.flatten(), slots.flatten())))
    scatter = message[: size * size].view(size, size)
    slots = message[size * size :].view_as(slots)
    counts, shifts, offsets = slots[:, 0], slots[:, 1 : size + 1], slots[:, size + 1 :]
    total = counts.sum()
    means = (shifts - shifts[rank]) + offsets  # less this rank's shift
    mean = (counts @ means) / total
    spread = means - mean
    return mean, scatter + (spread.T * counts) @ spread, total


@torch.library.custom_op("vcr_core::sum_over_ranks", mutates_args=())
def sum_over_ranks(message: Tensor) -> Tensor:
    """The sum of all ranks' messages; an operator, so that a compiler asks no other rank."""
    total = message.clone()
    distributed.all_reduce(total)
    return total


@sum_over_ranks.register_fake
def _(message: Tensor) -> Tensor:
    return torch.empty_like(message)


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
