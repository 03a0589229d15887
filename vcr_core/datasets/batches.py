"""Which images make up which batch: decided by the seed and the epoch alone."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from vcr_core.datasets.split import generator
from vcr_core.datasets.streaming import Images
from vcr_core.device_copies import send
from vcr_core.errors import ConfigError


def steps_per_epoch(n: int, batch_size: int) -> int:
    """How many full batches an epoch over ``n`` images has; the rest is left for other epochs.

    Raises:
        ConfigError: the batch size is below 1 or above ``n``.
    """
    if not 1 <= batch_size <= n:
        raise ConfigError(
            f"expected a batch of 1 to {n} images, the number of training images, got {batch_size}",
            field="training.batch_size",
        )
    return n // batch_size


def batch_indices(n: int, batch_size: int, epoch: int, seed: int, *, repeats: int = 1) -> Tensor:
    """The rows of every batch of an epoch, (steps, batch_size) int64, on the CPU.

    A fresh permutation of the ``n`` rows for every epoch, from a generator of its own: twins see
    the same batches whatever else draws random numbers. An incomplete last batch is left out.
    With ``repeats`` a batch holds ⌈batch_size / repeats⌉ images, each so often (where that is more
    than a batch, the last ones once less), a whole round after the other: processes that share a
    batch get different copies. Steps stay as many.
    Source: Hoffer et al., "Augment your batch", arXiv 1901.09335.

    Raises:
        ConfigError: the batch size is below 1 or above ``n``.
    """
    steps = steps_per_epoch(n, batch_size)
    order = torch.randperm(n, generator=generator(seed, f"batches of epoch {epoch}"))
    images = -(-batch_size // repeats)
    return order[: steps * images].view(steps, images).repeat(1, repeats)[:, :batch_size]


def epoch_batches(
    images: Images, labels: Tensor, *, batch_size: int, epoch: int, seed: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """The batches of an epoch as ``(images, labels)``, gathered on the device they lie on."""
    for rows in send(batch_indices(len(images), batch_size, epoch, seed), images.device):
        yield images[rows], labels.index_select(0, rows)
