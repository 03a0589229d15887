"""Whether a classifier knows what it knows: calibration, and images of another kind.

Less collapse helps transfer and may hurt the detection of other images (arXiv 2502.10691): show
both.
"""

from __future__ import annotations

import torch
from torch import Tensor

from vcr_core.device_copies import send
from vcr_core.diagnostics.collapse import class_means
from vcr_core.errors import FeatureError

BINS = 15
#: Added to the covariance's diagonal, as a share of its mean: collapsed features have no inverse.
RIDGE = 1e-6


def expected_calibration_error(logits: Tensor, labels: Tensor, bins: int = BINS) -> Tensor:
    """Σ_b n_b/N · |accuracy_b − confidence_b| over equal bins of the largest softmax share.

    0 where the classifier is right as often as it says, 1 where it is sure and always wrong.
    ``logits`` (N, K), ``labels`` (N,). Source: Guo et al., arXiv 1706.04599.

    Raises:
        FeatureError: shapes that do not fit, or no bins.
    """
    if logits.ndim != 2 or labels.shape != logits.shape[:1] or not len(labels) or bins < 1:
        raise FeatureError(
            f"expected logits (N, K), labels (N,) and 1 bin at least, got {tuple(logits.shape)}, "
            f"{tuple(labels.shape)} and {bins}"
        )
    confidence, predicted = logits.float().softmax(dim=1).max(dim=1)
    surplus = (predicted == labels).float() - confidence
    place = (confidence * bins).ceil().long().clamp(1, bins) - 1
    return surplus.new_zeros(bins).index_add_(0, place, surplus).abs().sum() / len(labels)


def max_softmax_score(logits: Tensor) -> Tensor:
    """The largest softmax share of logits (N, K), (N,): high for images like the training ones.

    Source: Hendrycks and Gimpel, arXiv 1610.02136.
    """
    return logits.float().softmax(dim=1).amax(dim=1)


def mahalanobis_score(features: Tensor, labels: Tensor, queries: Tensor) -> Tensor:
    """−min_c (h − μ_c)ᵀ Σ⁻¹ (h − μ_c) of queries (M, D), (M,): high near to a class of features.

    Σ is the covariance within the classes of features (N, D), with a millionth of its mean
    variance added on the diagonal. Source: Lee et al., arXiv 1807.03888.

    Raises:
        FeatureError: shapes that do not fit, or a class without features.
    """
    means = class_means(features, labels)
    within = features.to(means) - means[send(labels, means.device)]
    covariance = within.T @ within / len(within)
    ridge = RIDGE * covariance.diagonal().mean().clamp(min=torch.finfo(means.dtype).tiny)
    covariance.diagonal().add_(ridge)
    factor = torch.linalg.cholesky(covariance)
    known, asked = (
        torch.linalg.solve_triangular(factor, x.to(means).T, upper=False).T
        for x in (means, queries)
    )
    gaps = torch.cdist(asked, known, compute_mode="donot_use_mm_for_euclid_dist")
    return -gaps.square().amin(dim=1)


def auroc(known: Tensor, other: Tensor) -> Tensor:
    """How often a known image's score (N,) is above another's (M,); a tie counts half.

    The area under the ROC curve: 1 where the scores tell all of them apart, 0.5 for guessing.

    Raises:
        FeatureError: no scores of one kind.
    """
    if known.ndim != 1 or other.ndim != 1 or not len(known) or not len(other):
        raise FeatureError(
            f"expected scores (N,) and (M,), one at least, got {tuple(known.shape)} and "
            f"{tuple(other.shape)}"
        )
    ordered = other.sort().values
    below = torch.searchsorted(ordered, known, right=False)
    up_to = torch.searchsorted(ordered, known, right=True)
    return (below + up_to).float().mean() / (2 * len(other))
