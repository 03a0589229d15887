"""A moving average of a network's weights, which is what a run then measures.

    ā ← ā + (1 − k_t)(w − ā),   k_t = min(k, (1 + t) / (10 + t))

after each step t, so that the first, poor weights are soon forgotten. Running statistics of norms
are averaged too; whole numbers among them are copied.
"""

from __future__ import annotations

from copy import deepcopy

import torch
from torch import Tensor

from vcr_core.models import Model


class AveragedWeights:
    """The average of ``model``, begun at its weights as they are; ``keep`` is k."""

    def __init__(self, model: Model, keep: float) -> None:
        self.model = deepcopy(model).requires_grad_(False)
        self.keep = keep

    def update(self, model: Model, *, step: int) -> None:
        """Take in the weights after ``step`` steps; nothing waits for the device."""
        kept = min(self.keep, (1 + step) / (10 + step))
        averages, values = _tensors(self.model), _tensors(model)
        with torch.no_grad():
            for name, average in averages.items():
                if average.is_floating_point():
                    average.lerp_(values[name].detach(), 1 - kept)
                else:
                    average.copy_(values[name])


def _tensors(model: Model) -> dict[str, Tensor]:
    """Parameters and buffers, by name."""
    return {**dict(model.named_parameters()), **dict(model.named_buffers())}
