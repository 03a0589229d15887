"""What lies near in feature space: k nearest neighbours and the nearest class mean.

Neither has weights to fit, so they show the geometry of the features as it is.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from vcr_core.errors import ConfigError, FeatureError
from vcr_core.transfer.checks import check_features, check_labels

Metric = Literal["euclidean", "cosine"]
DEFAULT_NEIGHBOURS = 20
#: Distances that are formed at a time, so that memory stays bounded.
DISTANCES_AT_A_TIME = 2**24


def nearest_neighbours(
    features: Tensor,
    labels: Tensor,
    queries: Tensor,
    *,
    num_classes: int,
    k: int = DEFAULT_NEIGHBOURS,
    metric: Metric = "cosine",
) -> Tensor:
    """Predicted classes (M,) of queries (M, D): a vote of the k nearest of features (N, D).

    Every neighbour has one vote; the lower class wins a tie. It is scikit-learn's
    ``KNeighborsClassifier(k, metric=metric)``. A feature vector of zeros has cosine 0 with all.

    Raises:
        ConfigError: k below 1 or above N.
        FeatureError, DataError: features or labels that cannot be used.
    """
    _check(features, labels, queries, num_classes)
    if not 1 <= k <= len(features):
        raise ConfigError(
            f"expected 1 to {len(features)} neighbours, the number of training images, got {k}",
            field="neighbours",
        )
    known, labels = _prepared(features, metric), labels.to(features.device)
    found = []
    for part in torch.split(queries, max(1, DISTANCES_AT_A_TIME // len(features))):
        near = _squared_distances(_prepared(part, metric), known).topk(k, largest=False).indices
        votes = functional.one_hot(labels[near], num_classes).sum(dim=1)
        found.append(votes.argmax(dim=1))
    return torch.cat(found)


def nearest_class_mean(
    features: Tensor, labels: Tensor, queries: Tensor, *, num_classes: int
) -> Tensor:
    """Predicted classes (M,) of queries (M, D): the class of features (N, D) with the nearest mean.

    μ_c = mean of the features of class c, ‖query − μ_c‖ Euclidean; a class without features is
    never predicted. It is scikit-learn's ``NearestCentroid``.

    Raises:
        FeatureError, DataError: features or labels that cannot be used.
    """
    _check(features, labels, queries, num_classes)
    known, labels = _prepared(features, "euclidean"), labels.to(features.device)
    counts = torch.bincount(labels, minlength=num_classes)
    sums = known.new_zeros(num_classes, known.shape[1]).index_add_(0, labels, known)
    means = sums / counts.clamp_min(1)[:, None]
    distances = _squared_distances(_prepared(queries, "euclidean"), means)
    return distances.masked_fill(counts == 0, torch.inf).argmin(dim=1)


def _prepared(features: Tensor, metric: Metric) -> Tensor:
    """Features for Euclidean distances: with unit length where the metric is the cosine."""
    features = features if features.dtype is torch.float64 else features.float()
    return functional.normalize(features, dim=1) if metric == "cosine" else features


def _squared_distances(queries: Tensor, known: Tensor) -> Tensor:
    """‖q − x‖² − ‖q − c‖², (M, N), c the mean of x (N, D): the order of the distances.

    Subtracting c first keeps small distances between features of a large mean.
    """
    centre = known.mean(dim=0)
    known = known - centre
    return torch.addmm(known.square().sum(dim=1), queries - centre, known.T, alpha=-2)


def _check(features: Tensor, labels: Tensor, queries: Tensor, num_classes: int) -> None:
    check_features(features)
    check_features(queries)
    check_labels(features, labels, num_classes)
    if queries.shape[1] != features.shape[1]:
        raise FeatureError(
            f"expected features of {features.shape[1]} dimensions, got {queries.shape[1]}: "
            "take both from the same layer of the same network"
        )
