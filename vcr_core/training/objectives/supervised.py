"""Learning to name the source factor."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor
from torch.nn import functional

from vcr_core.training.objectives.views import view_of

if TYPE_CHECKING:
    from vcr_core.training.experiment import Experiment


def supervised(experiment: Experiment, batch: Tensor, step: int) -> Tensor:
    """Mean cross-entropy of the batch's labels."""
    logits = experiment.model(view_of(experiment, batch, step))
    return functional.cross_entropy(logits, experiment.train_labels[batch])
