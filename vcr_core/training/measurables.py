"""What can be measured on one trained network without a second one: collapse, margin, trust.

These are the numbers from which :mod:`vcr_core.advisor` says whether regularisation is likely to
help. All are of the penultimate features (N, D) of the held-out images of the source task.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping

import torch
from torch import Tensor

from vcr_core import diagnostics
from vcr_core.datasets import TransferTask
from vcr_core.datasets.streaming import Images
from vcr_core.device_copies import send
from vcr_core.errors import FeatureError

#: Statistics of D features take a D x D matrix; wider ones are left out.
WIDEST = 4096


def measure_features(
    features: Tensor, logits: Tensor, labels: Tensor, *, target_std: float
) -> dict[str, Tensor]:
    """Collapse and margin of features (N, D), logits (N, K) and labels (N,), still on the device.

    ``effective_rank``, the number of ``dead`` dimensions (standard deviation below 0.01), the
    ``hinge_share`` (below ``target_std``) of them, ``rms_correlation``, ``cdnv`` and ``nc1`` of
    the classes, ``margin`` the mean of p(label) − max p(others). What needs two classes where
    there is one is left out. Labels lie on the host.
    """
    covariance = torch.cov(features.T)
    numbers = {
        "margin": _margin(logits, send(labels, logits.device)),
        "effective_rank": diagnostics.effective_rank(covariance),
    }
    if features.shape[1] <= WIDEST:
        numbers |= {
            "dead": diagnostics.dead_dimensions(covariance),
            "hinge_share": diagnostics.active_hinge_share(covariance, target_std),
            "rms_correlation": diagnostics.rms_correlation(covariance),
        }
    present = torch.unique(labels, return_inverse=True)[1]
    if int(present.max()) > 0:
        numbers["cdnv"] = diagnostics.cdnv(features, present)
        numbers["nc1"] = diagnostics.nc1(features, present)
    return numbers


def feature_numbers(measured: Mapping[str, float], size: int) -> dict[str, float]:
    """What :func:`measure_features` found in features of D = ``size``, as a result keeps it.

    ``dimensions`` D, ``rank_share`` effective rank ÷ D and ``dead_share`` of the dimensions in
    place of their numbers. What is not finite is left out.
    """
    numbers = {"dimensions": float(size), **measured}
    rank, dead = numbers.pop("effective_rank"), numbers.pop("dead", None)
    if dead is not None:
        numbers |= {"rank_share": rank / size, "dead_share": dead / size}
    return {name: value for name, value in numbers.items() if math.isfinite(value)}


def measure_trust(
    logits: Tensor,
    labels: Tensor,
    *,
    own: Images,
    tasks: Iterable[TransferTask],
    logits_of: Callable[[Images], Tensor],
) -> dict[str, Tensor]:
    """Whether the classifier knows what it knows; still on the device.

    ``calibration_error``, and for every transfer target on other images than ``own`` (N, C, H, W)
    ``auroc/<target>``: how often the largest softmax share is higher for an own image than for
    one of those.
    """
    known = diagnostics.max_softmax_score(logits)
    numbers = {"calibration_error": diagnostics.expected_calibration_error(logits, labels)}
    for task in tasks:
        if task.test_images is not own and ":" in task.name:
            other = diagnostics.max_softmax_score(logits_of(task.test_images))
            numbers[f"auroc/{task.name}"] = diagnostics.auroc(known, other)
    return numbers


def _margin(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean of p(label) − max p(other classes), in [−1, 1]."""
    if logits.shape[1] < 2:
        raise FeatureError(f"expected logits of two classes at least, got {logits.shape[1]}")
    shares = logits.float().softmax(dim=1)
    own = shares.gather(1, labels[:, None])
    others = shares.scatter(1, labels[:, None], -1.0).amax(dim=1, keepdim=True)
    return (own - others).mean()
