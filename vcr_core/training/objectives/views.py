"""The images of a step, augmented: a *view* of each is drawn from (seed, step, view, process)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from vcr_core.datasets.split import generator

if TYPE_CHECKING:
    from vcr_core.training.experiment import Experiment


def view_of(experiment: Experiment, batch: Tensor, step: int, *, view: int = 0) -> Tensor:
    """The training images (N, C, H, W) of the rows ``batch`` (N,), augmented where that is on."""
    source = experiment.train_images
    images = source[batch] if isinstance(source, Tensor) else source.at(step, batch, view=view)
    if experiment.augmentation is None:
        return images
    what = f"augmentation of step {step}, view {view}"
    if experiment.rank:
        what = f"{what}, process {experiment.rank}"
    draws = generator(experiment.config.seed, what)
    return experiment.augmentation(images, draws, mirrored=_mirrored(experiment, batch, step))


def _mirrored(experiment: Experiment, batch: Tensor, step: int) -> Tensor | None:
    """Which of the images (N,) are mirrored, where they take turns by epochs."""
    if experiment.mirrored is None:
        return None
    epoch = (step - 1) // experiment.cadence.steps_per_epoch
    first = experiment.mirrored[batch]
    return ~first if epoch % 2 else first
