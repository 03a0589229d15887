"""Linear probes: what a linear classifier can read from frozen features.

The probe minimises, over weights W (D, K) and bias b (K,),

    mean cross-entropy(standardised features @ W + b, labels) + l2 / 2 · ‖W‖²

by L-BFGS from zero, in float64 where the device has it: the objective is convex, so the answer
depends on the features alone. It is scikit-learn's ``LogisticRegression(C=1 / (l2 · N))``.

Features of a trained network are strongly correlated, which makes plain L-BFGS slow. It works on
V with W = P V instead, P = (R + 4 K · l2 · I)^(-1/2) with R the features' correlation matrix: the
same minimum, seen through coordinates in which the objective is nearly round.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

from vcr_core.errors import DataError, FeatureError

if TYPE_CHECKING:
    from vcr_core.datasets import TransferTask

DEFAULT_L2 = 1e-3
MAX_ITERATIONS = 200
#: The objective's curvature is about R / (4 K) + l2 where a probe has become fairly sure.
SHIFT = 4.0
#: The solver stops where no entry of the gradient is larger.
GRADIENT_TOLERANCE = {torch.float64: 1e-6, torch.float32: 1e-4}


@dataclass(frozen=True)
class LinearProbe:
    """A fitted probe. ``weights`` (D, K) and ``bias`` (K,) act on standardised features."""

    mean: Tensor
    scale: Tensor
    weights: Tensor
    bias: Tensor
    iterations: int

    def logits(self, features: Tensor) -> Tensor:
        """Logits (N, K) of features (N, D)."""
        z = (features.to(self.mean) - self.mean) / self.scale
        return z @ self.weights + self.bias

    def accuracy(self, features: Tensor, labels: Tensor) -> float:
        """Share of features (N, D) whose label (N,) is named."""
        hits = self.logits(features).argmax(dim=1) == labels.to(self.mean.device)
        return float(hits.sum()) / len(hits)


def fit_probe(
    features: Tensor,
    labels: Tensor,
    *,
    num_classes: int | None = None,
    l2: float = DEFAULT_L2,
    max_iterations: int = MAX_ITERATIONS,
) -> LinearProbe:
    """Fit a linear probe to features (N, D) and labels (N,).

    Features are standardised by their own mean and standard deviation; a constant feature is
    left at zero.

    Raises:
        FeatureError: shapes that do not fit, or features that are not finite.
        DataError: fewer than two classes among the labels.
    """
    _check(features, labels)
    dtype = torch.float32 if features.device.type == "mps" else torch.float64
    features = features.detach().to(dtype)
    labels = labels.to(features.device)
    spread, mean = torch.std_mean(features, dim=0, correction=0)
    scale = torch.where(spread > 1e-8 * (1 + mean.abs()), spread, torch.ones_like(spread))
    standardised = (features - mean) / scale
    classes = num_classes or int(labels.max()) + 1
    solution, iterations = _minimise(standardised, labels, classes, l2, max_iterations)
    return LinearProbe(mean, scale, solution[:-1], solution[-1], iterations)


def _minimise(
    z: Tensor, labels: Tensor, classes: int, l2: float, max_iterations: int
) -> tuple[Tensor, int]:
    """The minimiser (D + 1, K), bias in the last row, and the iterations it took."""
    rounding = _preconditioner(z, SHIFT * classes * l2)
    rounded = z @ rounding
    solution = z.new_zeros(z.shape[1] + 1, classes).requires_grad_()
    solver = torch.optim.LBFGS(
        [solution],
        max_iter=max_iterations,
        history_size=10,
        tolerance_grad=GRADIENT_TOLERANCE[z.dtype],
        tolerance_change=1e-12,
        line_search_fn="strong_wolfe",
    )

    def objective() -> Tensor:
        solver.zero_grad()
        logits = torch.addmm(solution[-1], rounded, solution[:-1])
        size = (rounding @ solution[:-1]).square().sum()
        loss = functional.cross_entropy(logits, labels) + l2 / 2 * size
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    with torch.enable_grad():
        solver.step(objective)  # type: ignore[no-untyped-call]
    found = solution.detach()
    weights = torch.cat([rounding @ found[:-1], found[-1:]])
    return weights, int(solver.state[solution]["n_iter"])


def _preconditioner(z: Tensor, shift: float) -> Tensor:
    """(zᵀz/N + shift · I)^(-1/2), (D, D), for standardised features z (N, D)."""
    correlation = z.T @ z / len(z)
    if z.device.type == "mps":  # has no eigendecomposition
        correlation = correlation.cpu()
    values, vectors = torch.linalg.eigh(correlation)
    rounding: Tensor = (vectors * (values.clamp_min(0) + shift).rsqrt()) @ vectors.T
    return rounding.to(z.device)


def _check(features: Tensor, labels: Tensor) -> None:
    if features.ndim != 2 or len(features) != len(labels):
        raise FeatureError(
            f"expected features (N, D) and labels (N,), got {tuple(features.shape)} and "
            f"{tuple(labels.shape)}: give one label per row of features"
        )
    if not bool(torch.isfinite(features).all()):
        raise FeatureError(
            "expected finite features, got NaN or infinity: the network diverged; "
            "lower the learning rate or the weights"
        )
    if len(torch.unique(labels)) < 2:
        raise DataError(
            f"expected at least two classes among the {len(labels)} probe labels, got one: "
            "give the probe more images or another target"
        )


def probe_all(
    features_of: Callable[[Tensor], Tensor],
    tasks: Sequence[TransferTask],
    *,
    l2: float = DEFAULT_L2,
) -> dict[str, float]:
    """Test accuracy of a linear probe for every task.

    ``features_of`` gives the features (N, D) of images; :class:`vcr_core.transfer.FrozenFeatures`
    extracts them once per image set.
    """
    accuracies: dict[str, float] = {}
    for task in tasks:
        probe = fit_probe(
            features_of(task.train_images),
            task.train_labels,
            num_classes=len(task.class_names),
            l2=l2,
        )
        accuracies[task.name] = probe.accuracy(features_of(task.test_images), task.test_labels)
    return accuracies
