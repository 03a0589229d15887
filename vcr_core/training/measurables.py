"""What can be measured on one trained network without a second one: collapse, margin, trust.

These are the numbers from which :mod:`vcr_core.advisor` says whether regularisation is likely to
help. All are of the penultimate features (N, D) of the held-out images of the source task.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from vcr_core import diagnostics
from vcr_core.datasets import TransferTask
from vcr_core.datasets.streaming import Images
from vcr_core.errors import FeatureError

#: Statistics of D features take a D x D matrix; wider ones are left out.
WIDEST = 4096


def measure_features(
    features: Tensor, logits: Tensor, labels: Tensor, *, target_std: float
) -> dict[str, float]:
    """Collapse and margin of features (N, D), logits (N, K) and labels (N,).

    ``dimensions`` D, ``rank_share`` effective rank ÷ D, ``dead_share`` (standard deviation below
    0.01) and ``hinge_share`` (below ``target_std``) of the dimensions, ``rms_correlation``,
    ``cdnv`` and ``nc1`` of the classes, ``margin`` the mean of p(label) − max p(others). What is
    not finite, or needs two classes where there is one, is left out.
    """
    size = features.shape[1]
    numbers = {"dimensions": float(size), "margin": float(_margin(logits, labels))}
    if size <= WIDEST:
        covariance = torch.cov(features.T)
        numbers |= {
            "rank_share": float(diagnostics.effective_rank(covariance)) / size,
            "dead_share": float(diagnostics.dead_dimensions(covariance)) / size,
            "hinge_share": float(diagnostics.active_hinge_share(covariance, target_std)),
            "rms_correlation": float(diagnostics.rms_correlation(covariance)),
        }
    present = torch.unique(labels, return_inverse=True)[1]
    if int(present.max()) > 0:
        numbers["cdnv"] = float(diagnostics.cdnv(features, present))
        numbers["nc1"] = float(diagnostics.nc1(features, present))
    return {name: value for name, value in numbers.items() if math.isfinite(value)}


def measure_trust(
    logits: Tensor,
    labels: Tensor,
    *,
    own: Images,
    tasks: Iterable[TransferTask],
    logits_of: Callable[[Images], Tensor],
) -> dict[str, float]:
    """Whether the classifier knows what it knows.

    ``calibration_error``, and for every transfer target on other images than ``own`` (N, C, H, W)
    ``auroc/<target>``: how often the largest softmax share is higher for an own image than for
    one of those.
    """
    known = diagnostics.max_softmax_score(logits)
    numbers = {"calibration_error": float(diagnostics.expected_calibration_error(logits, labels))}
    for task in tasks:
        if task.test_images is not own and ":" in task.name:
            other = diagnostics.max_softmax_score(logits_of(task.test_images))
            numbers[f"auroc/{task.name}"] = float(diagnostics.auroc(known, other))
    return numbers


def _margin(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean of p(label) − max p(other classes), in [−1, 1]."""
    if logits.shape[1] < 2:
        raise FeatureError(f"expected logits of two classes at least, got {logits.shape[1]}")
    shares = logits.float().softmax(dim=1)
    own = shares.gather(1, labels[:, None])
    others = shares.scatter(1, labels[:, None], -1.0).amax(dim=1, keepdim=True)
    return (own - others).mean()
