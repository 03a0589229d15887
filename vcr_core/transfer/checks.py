"""Features and labels that cannot be probed, told in words."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from vcr_core.errors import DataError, FeatureError


def check_features(features: Tensor) -> None:
    """See that features are (N, D), N >= 1, and finite.

    Raises:
        FeatureError: they are not.
    """
    if features.ndim != 2 or not len(features):
        raise FeatureError(
            f"expected features (N, D) with N >= 1, got {tuple(features.shape)}: "
            "give one row an image"
        )
    if not bool(torch.isfinite(features).all()):
        raise FeatureError(
            "expected finite features, got NaN or infinity: the network diverged; "
            "lower the learning rate or the weights"
        )


def check_labels(features: Tensor, labels: Tensor, num_classes: int) -> None:
    """See that labels (N,) fit features (N, D), lie in [0, K) and name two classes at least.

    Raises:
        FeatureError: another number of labels than of rows.
        DataError: a label outside the classes, or one class only.
    """
    if labels.ndim != 1 or len(features) != len(labels):
        raise FeatureError(
            f"expected features (N, D) and labels (N,), got {tuple(features.shape)} and "
            f"{tuple(labels.shape)}: give one label per row of features"
        )
    lowest, highest = (int(value) for value in labels.aminmax())
    if lowest < 0 or highest >= num_classes:
        wrong = lowest if lowest < 0 else highest
        raise DataError(
            f"expected probe labels from 0 to {num_classes - 1}, one for each of {num_classes} "
            f"classes, got {wrong}: name all classes"
        )
    if lowest == highest:
        raise DataError(
            f"expected at least two classes among the {len(labels)} probe labels, got one: "
            "give the probe more images or another target"
        )


def check_varied(features: Tensor) -> None:
    """See that the features (N, D) are not the same for all images.

    Raises:
        FeatureError: they are, so nothing can be told apart.
    """
    if bool((features == features[0]).all()):
        raise FeatureError(
            f"expected features that differ between images, got the same for all {len(features)}: "
            "the network has collapsed; lower the weights or train it longer"
        )


def check_classes_seen(
    train_labels: Tensor, test_labels: Tensor, class_names: Sequence[str], *, task: str
) -> None:
    """See that every class among the test labels is among the training labels.

    Raises:
        DataError: some are not; the message names them.
    """
    unseen = set(test_labels.tolist()) - set(train_labels.tolist())
    if unseen:
        names = ", ".join(f"'{class_names[label]}'" for label in sorted(unseen)[:5])
        more = f" and {len(unseen) - 5} more" if len(unseen) > 5 else ""
        raise DataError(
            f"expected training images of every class that '{task}' is tested on, got none of "
            f"{names}{more}: raise transfer.train_size or leave these classes out",
            field="transfer.train_size",
        )
