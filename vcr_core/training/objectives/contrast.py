"""Learning without labels: two views of an image should look alike to the network.

    features of both views  →  projector  →  SimCLR's or VICReg's loss

The classifier learns the source factor from detached features beside it, so that the run has a
source accuracy; its gradient never reaches the network, and its loss is not counted.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from vcr_core.config import ObjectiveConfig
from vcr_core.models import Model
from vcr_core.regularization.terms import covariance_penalty, variance_penalty
from vcr_core.training.objectives.views import view_of

if TYPE_CHECKING:
    from vcr_core.training.experiment import Experiment

PROJECTOR = "projector"


def simclr(experiment: Experiment, batch: Tensor, step: int) -> Tensor:
    """SimCLR's loss of two views of every image, plus the classifier's silent gradient."""
    first, second, silent = _both_views(experiment, batch, step)
    with torch.autocast(first.device.type, enabled=False):
        return nt_xent(first, second, experiment.config.objective.temperature) + silent


def vicreg(experiment: Experiment, batch: Tensor, step: int) -> Tensor:
    """VICReg's loss of two views of every image, plus the classifier's silent gradient."""
    first, second, silent = _both_views(experiment, batch, step)
    weights = experiment.config.objective
    with torch.autocast(first.device.type, enabled=False):
        loss = vicreg_loss(
            first,
            second,
            invariance=weights.invariance,
            variance=weights.variance,
            covariance=weights.covariance,
        )
    return loss + silent


def nt_xent(first: Tensor, second: Tensor, temperature: float) -> Tensor:
    """Normalised temperature-scaled cross-entropy of embeddings (N, D) of two views.

    Mean over all 2N embeddings of the cross-entropy that picks, by cosine similarity over the
    temperature, the other view of the image among the 2N − 1 others.
    Source: Chen et al., arXiv 2002.05709, equation 1.
    """
    z = functional.normalize(torch.cat([first, second]).float(), dim=1)
    count = len(first)
    similarity = (z @ z.T / temperature).fill_diagonal_(float("-inf"))
    partner = torch.arange(2 * count, device=z.device).roll(count)
    return functional.cross_entropy(similarity, partner)


def vicreg_loss(
    first: Tensor, second: Tensor, *, invariance: float, variance: float, covariance: float
) -> Tensor:
    """λ · MSE + μ · ½ (v(Z) + v(Z')) + ν · (c(Z) + c(Z')), embeddings (N, D) of two views.

    v is the mean shortfall of the standard deviations from 1, c the summed squared off-diagonal
    covariance over D (not D(D − 1)). Source: Bardes et al., arXiv 2105.04906, section 4, halved as
    in its code.
    """
    size = first.shape[1]
    spread = 0.5 * (variance_penalty(first) + variance_penalty(second))
    repeated = (size - 1) * (covariance_penalty(first) + covariance_penalty(second))
    distance = functional.mse_loss(first, second)
    return invariance * distance + variance * spread + covariance * repeated


def add_projector(model: Model, settings: ObjectiveConfig, *, seed: int) -> None:
    """Give a model the layers between its features and a self-supervised loss, as ``projector``.

    A part of the model, so that its weights are trained, moved and kept with it.
    """
    if settings.name == "supervised":
        return
    sizes = (model.feature_dim, *settings.projector)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        layers: list[nn.Module] = []
        for before, after in pairwise(sizes[:-1]):
            layers += [nn.Linear(before, after, bias=False), nn.BatchNorm1d(after), nn.ReLU()]
        model.add_module(PROJECTOR, nn.Sequential(*layers, nn.Linear(sizes[-2], sizes[-1])))


def _both_views(experiment: Experiment, batch: Tensor, step: int) -> tuple[Tensor, Tensor, Tensor]:
    """Embeddings (N, D) of two views in float32, and a zero that carries the classifier's gradient.

    Losses and statistics of embeddings are formed in float32, whatever autocast is on.
    """
    model = experiment.model
    views = torch.cat([view_of(experiment, batch, step, view=view) for view in (0, 1)])
    features = model.features(views)
    first, second = model.get_submodule(PROJECTOR)(features).float().chunk(2)
    labels = experiment.train_labels[batch]
    named = functional.cross_entropy(model.head(features.detach()), labels.repeat(2))
    return first, second, named - named.detach()
