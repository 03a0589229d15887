"""Learning to name the source factor, perhaps with softened labels and mixed images."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from vcr_core.datasets.split import generator
from vcr_core.training.objectives.views import view_of

if TYPE_CHECKING:
    from vcr_core.training.experiment import Experiment


def supervised(experiment: Experiment, batch: Tensor, step: int) -> Tensor:
    """Mean cross-entropy of the batch's labels.

    With mixup, of x' = λ x + (1 − λ) x[π] it is λ CE(y) + (1 − λ) CE(y[π]), λ ~ Beta(a, a) and the
    permutation π drawn from (seed, step). Source: Zhang et al., arXiv 1710.09412, section 2.
    """
    settings = experiment.config.objective
    images, labels = view_of(experiment, batch, step), experiment.train_labels[batch]
    if settings.mixup == 0:
        return cross_entropy(experiment.model(images), labels, settings.label_smoothing)
    share, partner = mixing(len(batch), settings.mixup, seed=experiment.config.seed, step=step)
    partner = partner.to(images.device)
    logits = experiment.model(torch.lerp(images[partner], images, share))
    own, other = (
        cross_entropy(logits, found, settings.label_smoothing)
        for found in (labels, labels[partner])
    )
    return share * own + (1 - share) * other


def mixing(count: int, alpha: float, *, seed: int, step: int) -> tuple[float, Tensor]:
    """The share λ of the image itself, and the row (N,) that each image is mixed with."""
    share = float(np.random.default_rng((seed, step)).beta(alpha, alpha))
    return share, torch.randperm(count, generator=generator(seed, f"mixup of step {step}"))


def cross_entropy(logits: Tensor, labels: Tensor, smoothing: float) -> Tensor:
    """Mean cross-entropy of logits (N, K) and labels (N,), ``smoothing`` spread over classes."""
    return functional.cross_entropy(logits, labels, label_smoothing=smoothing)
