"""The shape of every objective."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from torch import Tensor

if TYPE_CHECKING:
    from vcr_core.training.experiment import Experiment


class Objective(Protocol):
    """The task's loss of one batch."""

    def __call__(self, experiment: Experiment, batch: Tensor, step: int, /) -> Tensor:
        """A scalar with gradients, of the rows ``batch`` (N,) of the training images.

        ``step`` counts from 1 and, with the run's seed, decides all chance.
        """
