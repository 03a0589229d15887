"""Learning to name the source factor, perhaps with softened labels and mixed images."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from vcr_core.config import ObjectiveConfig
from vcr_core.datasets.augmentation import rectangles
from vcr_core.datasets.split import generator
from vcr_core.device_copies import send
from vcr_core.training.objectives.views import view_of

if TYPE_CHECKING:
    from vcr_core.training.experiment import Experiment


def supervised(experiment: Experiment, batch: Tensor, step: int) -> Tensor:
    """Mean cross-entropy of the batch's labels.

    Of a batch mixed with its own permutation π in shares λ and 1 − λ, by mixup or CutMix, it is
    λ CE(y) + (1 − λ) CE(y[π]).
    """
    settings, config = experiment.config.objective, experiment.config
    images, labels = view_of(experiment, batch, step), experiment.train_labels[batch]
    alpha, cut = mixture(settings, seed=config.seed, step=step)
    if alpha == 0:
        return cross_entropy(experiment.model(images), labels, settings.label_smoothing)
    share, partner = mixing(len(batch), alpha, seed=config.seed, step=step)
    partner = send(partner, images.device)
    mix = cut_in if cut else mixed_up
    images, share = mix(images, images[partner], share, seed=config.seed, step=step)
    logits = experiment.model(images)
    own, other = (
        cross_entropy(logits, found, settings.label_smoothing)
        for found in (labels, labels[partner])
    )
    return share * own + (1 - share) * other


def mixture(settings: ObjectiveConfig, *, seed: int, step: int) -> tuple[float, bool]:
    """The α of a step's Beta(α, α), 0 where nothing is mixed, and whether it is CutMix's.

    Where both are on, a fair coin decides each step, as in torchvision's recipes.
    """
    if settings.mixup and settings.cutmix:
        cut = bool(np.random.default_rng((seed, step, 1)).integers(2))
    else:
        cut = settings.cutmix > 0
    return (settings.cutmix if cut else settings.mixup), cut


def mixed_up(
    images: Tensor, others: Tensor, share: float, *, seed: int, step: int
) -> tuple[Tensor, float]:
    """λ x + (1 − λ) x', and λ. Source: Zhang et al., arXiv 1710.09412, section 2."""
    return torch.lerp(others, images, share), share


def cut_in(
    images: Tensor, others: Tensor, share: float, *, seed: int, step: int
) -> tuple[Tensor, float]:
    """Images with a rectangle of 1 − λ of their area from the others, and the λ that is left.

    One rectangle a batch, of the image's proportions, wholly inside it. Source: Yun et al.,
    arXiv 1905.04899, section 3.1 (whose rectangle may leave the image).
    """
    height, width = images.shape[-2:]
    side = (1 - share) ** 0.5
    draws = np.random.default_rng((seed, step, 2))
    inside = rectangles(
        torch.tensor([side * height]).round(),
        torch.tensor([side * width]).round(),
        (height, width),
        torch.from_numpy(draws.random((2, 1), dtype=np.float32)),
    )
    kept = 1.0 - float(inside.float().mean())
    return torch.where(send(inside.unsqueeze(1), images.device), others, images), kept


def mixing(count: int, alpha: float, *, seed: int, step: int) -> tuple[float, Tensor]:
    """The share λ of the image itself, and the row (N,) that each image is mixed with."""
    share = float(np.random.default_rng((seed, step)).beta(alpha, alpha))
    return share, torch.randperm(count, generator=generator(seed, f"mixup of step {step}"))


def cross_entropy(logits: Tensor, labels: Tensor, smoothing: float) -> Tensor:
    """Mean cross-entropy of logits (N, K) and labels (N,), ``smoothing`` spread over classes."""
    return functional.cross_entropy(logits, labels, label_smoothing=smoothing)
