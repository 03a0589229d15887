"""What a step of training minimises: the task's loss of one batch, before any penalty.

    loss = experiment.objective(experiment, batch, step)

``batch`` are the rows (N,) of the training images that make up the step, ``step`` counts from 1.
All chance of a step comes from generators made from (seed, step): a step repeats exactly,
whatever came before it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from torch import Tensor

from vcr_core.config import RunConfig
from vcr_core.regularization.rivals import AttachedRival
from vcr_core.training.objectives.base import Objective
from vcr_core.training.objectives.contrast import add_projector, simclr, vicreg
from vcr_core.training.objectives.supervised import supervised

if TYPE_CHECKING:
    from vcr_core.training.experiment import Experiment

OBJECTIVES: Mapping[str, Objective] = {
    "supervised": supervised,
    "simclr": simclr,
    "vicreg": vicreg,
}

__all__ = [
    "OBJECTIVES",
    "Objective",
    "add_projector",
    "objective_of",
    "simclr",
    "supervised",
    "vicreg",
]


def objective_of(config: RunConfig, rival: AttachedRival | None = None) -> Objective:
    """The objective that a configuration names; a rival is told which step it is."""
    objective = OBJECTIVES[config.objective.name]
    if rival is None:
        return objective

    def beside_a_rival(experiment: Experiment, batch: Tensor, step: int, /) -> Tensor:
        rival.begin_step(step)
        return objective(experiment, batch, step)

    return beside_a_rival
