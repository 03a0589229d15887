"""Few-shot curves: how well a linear probe reads a target from a handful of images a class.

For every number of shots S and every draw, S training images of each class are drawn at random
and a linear probe is fitted to them; all draws are fitted at once. Features are standardised by
*all* training features (which needs no label). The probe's strength is l2 = 1 / n for n = S · K
images: scikit-learn's default, C = 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from vcr_core.datasets.split import generator
from vcr_core.device_copies import send
from vcr_core.errors import ConfigError, DataError
from vcr_core.transfer.checks import check_features, check_labels, check_varied
from vcr_core.transfer.intervals import Interval, mean_interval
from vcr_core.transfer.lbfgs import minimise
from vcr_core.transfer.probe import GRADIENT_TOLERANCE, MAX_EVALUATIONS, scaling_of
from vcr_core.transfer.softmax import OwnRows, Spectrum, spectrum

SHOTS = (1, 2, 5, 10, 20, 50, 100)
DRAWS = 10
#: Features that are copied for the draws at a time, so that memory stays bounded.
NUMBERS_AT_A_TIME = 2**27


@dataclass(frozen=True)
class ShotPoint:
    """Test accuracies of all draws with ``shots`` images a class.

    The interval is that of the mean over draws; draws overlap where the classes are small.
    """

    shots: int
    accuracies: tuple[float, ...]

    @property
    def interval(self) -> Interval:
        return mean_interval(self.accuracies)


def few_shot_curve(
    features: Tensor,
    labels: Tensor,
    test_features: Tensor,
    test_labels: Tensor,
    *,
    num_classes: int,
    shots: Sequence[int] = SHOTS,
    draws: int = DRAWS,
    seed: int = 0,
) -> tuple[ShotPoint, ...]:
    """Accuracy on test_features (M, D) after few of features (N, D) a class, for every shots.

    Draws depend on the labels and the seed alone: two networks are shown the same images.

    Raises:
        ConfigError: shots or draws below 1.
        DataError: more shots than some class has images; the message names the most there are.
        FeatureError, DataError: features or labels that cannot be used.
    """
    check_features(features)
    check_features(test_features)
    check_labels(features, labels, num_classes)
    check_varied(features)
    _check_shots(labels, num_classes, shots, draws)
    scaling = scaling_of(features)
    z, test = scaling(features), scaling(test_features)
    shape = spectrum(z)
    points = []
    for count in shots:
        rows = draw_rows(labels, num_classes, shots=count, draws=draws, seed=seed)
        weights = _fit(z, send(labels, z.device), send(rows, z.device), num_classes, shape)
        points.append(ShotPoint(count, _accuracies(test, send(test_labels, z.device), weights)))
    return tuple(points)


def draw_rows(labels: Tensor, num_classes: int, *, shots: int, draws: int, seed: int) -> Tensor:
    """Rows (draws, shots · K) of ``labels`` (N,): every draw has ``shots`` of each class."""
    chance = generator(seed, f"{shots} shots")
    known = labels.cpu()
    of_class = [(known == c).nonzero().view(-1) for c in range(num_classes)]
    return torch.stack(
        [
            torch.cat(
                [rows[torch.randperm(len(rows), generator=chance)[:shots]] for rows in of_class]
            )
            for _ in range(draws)
        ]
    )


def usable_shots(labels: Tensor, num_classes: int, shots: Sequence[int] = SHOTS) -> list[int]:
    """Those of ``shots`` that every class of ``labels`` (N,) has images for."""
    smallest = int(torch.bincount(labels, minlength=num_classes).min())
    return [count for count in shots if count <= smallest]


def _fit(z: Tensor, labels: Tensor, rows: Tensor, classes: int, shape: Spectrum) -> Tensor:
    """Weights (draws, D + 1, K) of probes fitted to rows (draws, n) of z (N, D)."""
    at_once = max(1, NUMBERS_AT_A_TIME // (rows.shape[1] * z.shape[1]))
    found = []
    for part in torch.split(rows, at_once):
        problems = OwnRows(
            z[part],
            labels[part],
            z.new_full((len(part),), classes),
            z.new_full((len(part),), 1 / rows.shape[1]),
            shape,
            classes,
        )
        solution = minimise(
            problems,
            problems.start(),
            tolerance=GRADIENT_TOLERANCE[z.dtype],
            max_evaluations=MAX_EVALUATIONS,
        )
        found.append(solution.weights)
    return torch.cat(found)


def _accuracies(test: Tensor, labels: Tensor, weights: Tensor) -> tuple[float, ...]:
    """The accuracy of each of some probes, (draws, D + 1, K)."""
    hits = [
        (torch.addmm(each[-1], test, each[:-1]).argmax(dim=1) == labels).sum() for each in weights
    ]
    return tuple(count / len(labels) for count in torch.stack(hits).tolist())


def _check_shots(labels: Tensor, num_classes: int, shots: Sequence[int], draws: int) -> None:
    if not shots or min(shots) < 1 or draws < 1:
        raise ConfigError(
            f"expected shots and draws of 1 or more, got shots {list(shots)} and {draws} draws",
            field="shots",
        )
    counts = torch.bincount(labels, minlength=num_classes)
    smallest = int(counts.min())
    if max(shots) > smallest:
        raise DataError(
            f"expected at most {smallest} shots, the number of training images of the smallest "
            f"class (class {int(counts.argmin())}), got {max(shots)}: ask for fewer shots or "
            "raise transfer.train_size",
            field="shots",
        )
