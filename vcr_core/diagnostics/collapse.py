"""Neural collapse: how tightly the features of a class lie around their mean, against the rest.

All functions take features (N, D) and labels (N,) int64 in [0, K), at least one of every class,
and compute in float64 where the device has it. Variances are over N, not N − 1. Labels may lie on
the host, wherever the features are: then none has to be fetched to be checked.
"""

from __future__ import annotations

import torch
from torch import Tensor

from vcr_core.device_copies import send
from vcr_core.errors import FeatureError


def class_means(features: Tensor, labels: Tensor) -> Tensor:
    """The mean μ_c of every class's features, (K, D).

    Raises:
        FeatureError: shapes that do not fit, fewer than two classes, or a class without features.
    """
    counts = require_classes(features, labels)
    return _means(_wide(features), send(labels, features.device), counts)


def cdnv(features: Tensor, labels: Tensor) -> Tensor:
    """Class-distance normalised variance, averaged over pairs of classes.

    V_ij = (v_i + v_j) / (2 ‖μ_i − μ_j‖²), v_c = E‖h − μ_c‖². 0 when every class is one point;
    infinite when two classes have the same mean. Some texts leave the 2 out.
    Source: Galanti, György and Hutter, arXiv 2112.15121.
    """
    counts, x = require_classes(features, labels), _wide(features)
    labels = send(labels, x.device)
    means = _means(x, labels, counts)
    squares = (x - means[labels]).square().sum(dim=1)
    spread = squares.new_zeros(len(counts)).index_add_(0, labels, squares) / counts
    return _mean_over_pairs((spread[:, None] + spread) / (2 * _gaps(means)))


def directional_cdnv(features: Tensor, labels: Tensor) -> Tensor:
    """The part of CDNV that lies between the means, averaged over pairs of classes.

    V_ij = (w_ij + w_ji) / (2 ‖μ_i − μ_j‖²), w_ij the variance of class i along the unit vector
    from μ_j to μ_i. At most CDNV, and 1/D of it where classes are round.
    Source: arXiv 2603.03530.
    """
    counts, x = require_classes(features, labels), _wide(features)
    labels = send(labels, x.device)
    means = _means(x, labels, counts)
    gaps = _gaps(means)
    places = (x - means[labels]) @ (means - means.mean(dim=0)).T  # (N, K)
    squares = (places.gather(1, labels[:, None]) - places).square()
    along = torch.zeros_like(gaps).index_add_(0, labels, squares) / counts[:, None] / gaps
    return _mean_over_pairs((along + along.T) / (2 * gaps))


def nc1(features: Tensor, labels: Tensor) -> Tensor:
    """Within-class against between-class covariance: tr(Σ_W Σ_B⁺) / K.

    Σ_W = E (h − μ_c)(h − μ_c)ᵀ, Σ_B the covariance of the K class means around their mean, ⁺ the
    pseudo-inverse. 0 when every class is one point. Source: Papyan, Han and Donoho,
    arXiv 2008.08186.
    """
    means = class_means(features, labels)
    directions = means - means.mean(dim=0)
    within = _wide(features) - means[send(labels, means.device)]
    # (D, K): Σ_B⁺ = K · inverse @ inverseᵀ; MPS has no pseudo-inverse
    inverse: Tensor = torch.linalg.pinv(_off_mps(directions)).to(means.device)
    return (within @ inverse).square().sum() / len(features)


def ncc_accuracy(features: Tensor, labels: Tensor, queries: Tensor, query_labels: Tensor) -> Tensor:
    """Share of queries (M, D) that lie nearest to their own class's mean of features (N, D)."""
    return (_nearest_mean(features, labels, queries) == query_labels).float().mean()


def ncc_mismatch(features: Tensor, labels: Tensor, queries: Tensor, predicted: Tensor) -> Tensor:
    """Share of queries (M, D) that the nearest class mean names otherwise than ``predicted`` (M,).

    0 when the classifier acts as the nearest class mean, as it does after collapse (NC4).
    """
    return (_nearest_mean(features, labels, queries) != predicted).float().mean()


def require_classes(features: Tensor, labels: Tensor) -> Tensor:
    """How many of features (N, D) each class has, (K,), beside them.

    Raises:
        FeatureError: unless labels (N,) name every class of [0, K), two at least.
    """
    if features.ndim != 2 or labels.shape != features.shape[:1] or not len(labels):
        raise FeatureError(
            f"expected features (N, D) and labels (N,), got {tuple(features.shape)} and "
            f"{tuple(labels.shape)}: give one label per row of features"
        )
    known = labels.cpu()  # all at once: every number that is looked at on a device is waited for
    if int(known.min()) < 0:
        raise FeatureError(f"expected labels of 0 or more, got {int(known.min())}")
    counts = torch.bincount(known)
    if len(counts) < 2 or bool((counts == 0).any()):
        missing = (counts == 0).nonzero().view(-1).tolist()
        said = f"none of class {missing[0]}" if missing else "one class"
        raise FeatureError(
            f"expected features of every class, two at least, got {said}: give more images, or "
            "number the classes that there are from 0"
        )
    return send(counts, features.device)


def _means(x: Tensor, labels: Tensor, counts: Tensor) -> Tensor:
    return x.new_zeros(len(counts), x.shape[1]).index_add_(0, labels, x) / counts[:, None]


def _nearest_mean(features: Tensor, labels: Tensor, queries: Tensor) -> Tensor:
    means = class_means(features, labels)
    return torch.cdist(_wide(queries), means, compute_mode="donot_use_mm_for_euclid_dist").argmin(1)


def _gaps(means: Tensor) -> Tensor:
    """‖μ_i − μ_j‖² between all means (K, D), (K, K), 1 on the diagonal."""
    distances = torch.cdist(means, means, compute_mode="donot_use_mm_for_euclid_dist")
    return distances.square().fill_diagonal_(1.0)


def _mean_over_pairs(values: Tensor) -> Tensor:
    """The mean of a (K, K) matrix without its diagonal, which may be larger than all the rest."""
    size = len(values)
    return values.clone().fill_diagonal_(0).sum() / (size * (size - 1))


def _wide(features: Tensor) -> Tensor:
    return features.float() if features.device.type == "mps" else features.double()


def _off_mps(matrix: Tensor) -> Tensor:
    return matrix.cpu() if matrix.device.type == "mps" else matrix
