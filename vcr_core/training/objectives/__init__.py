"""What a step of training minimises: the task's loss of one batch, before any penalty.

    loss = experiment.objective(experiment, batch, step)

``batch`` are the rows (N,) of the training images that make up the step, ``step`` counts from 1.
All chance of a step comes from generators made from (seed, step): a step repeats exactly,
whatever came before it.
"""

from __future__ import annotations

from vcr_core.training.objectives.base import Objective
from vcr_core.training.objectives.supervised import supervised

__all__ = ["Objective", "supervised"]
