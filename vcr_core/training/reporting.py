"""What a run says of a step: losses, terms, knobs, and the spread of every layer."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from vcr_core.config import RunConfig
from vcr_core.errors import TrainingDivergedError
from vcr_core.regularization import Regularization
from vcr_core.store import Report
from vcr_core.training.telemetry import (
    as_arrays,
    effective_ranks,
    fetch_report,
    gradient_numbers,
    layer_arrays,
    layer_numbers,
    spectra,
)


class LossMean:
    """The mean task loss since the last report; stays on the device until then."""

    def __init__(self, device: torch.device) -> None:
        self.total = torch.zeros((), device=device)
        self.count = 0

    def add(self, loss: Tensor) -> None:
        self.total += loss.detach()
        self.count += 1

    def clear(self) -> None:
        self.total.zero_()
        self.count = 0


def step_report(
    step: int,
    live: RunConfig,
    regularization: Regularization,
    *,
    losses: LossMean,
    penalty: Tensor,
    learning_rate: float,
    ratios: Mapping[str, Tensor],
    with_arrays: bool,
) -> Report:
    """The report of a step: the host waits for the device once, for all of it.

    Raises:
        TrainingDivergedError: the loss is not finite.
    """
    with torch.no_grad():
        measured = {
            "loss/task": losses.total / losses.count,
            "loss/penalty": penalty,
            **_measurements(live, regularization, learning_rate),
            **gradient_numbers(ratios),
        }
        wanted = layer_arrays(regularization) if with_arrays else {}
        numbers, arrays = fetch_report(measured, wanted)
        check_finite(numbers["loss/task"] + numbers["loss/penalty"], step=step, live=live)
        arrays |= spectra(arrays)
    losses.clear()
    return Report(step, numbers | effective_ranks(arrays), as_arrays(arrays))


def _measurements(
    live: RunConfig, regularization: Regularization, learning_rate: float
) -> dict[str, Tensor | float | int]:
    """Terms, knobs and spreads of a step; still on the device."""
    weights = live.regularizer
    terms = list(regularization.terms().values())
    return {
        "loss/variance": torch.stack([term.variance for term in terms]).sum(),
        "loss/covariance": torch.stack([term.covariance for term in terms]).sum(),
        "optimizer/learning_rate": learning_rate,
        "regularizer/variance_weight": weights.variance_weight,
        "regularizer/covariance_weight": weights.covariance_weight,
        **_weights_by_layer(live),
        **layer_numbers(regularization, target_std=weights.target_std, eps=weights.eps),
    }


def _weights_by_layer(live: RunConfig) -> dict[str, float]:
    """The weights of every layer, where they are not the same everywhere."""
    factors, weights = live.layer_factors, live.regularizer
    if all(each == (1, 1) for each in factors.values()):
        return {}
    both = {
        "variance_weight": (weights.variance_weight, 0),
        "covariance_weight": (weights.covariance_weight, 1),
    }
    return {
        f"layer/{layer}/{name}": weight * factor[place]
        for layer, factor in factors.items()
        for name, (weight, place) in both.items()
    }


def gradient_ratios(
    live: RunConfig, regularization: Regularization, loss: Tensor, scaler: torch.amp.GradScaler
) -> Mapping[str, Tensor]:
    """‖penalty gradient‖ / ‖task gradient‖ by layer; 0 where no weight pulls.

    In float16 the task's gradient is that of the scaled loss, and the ratio is scaled back.
    """
    weights = live.regularizer
    if weights.variance_weight == 0 and weights.covariance_weight == 0:
        return dict.fromkeys(regularization.layer_names, torch.zeros(()))
    ratios = regularization.gradient_ratios(scaler.scale(loss))
    if not scaler.is_enabled():
        return ratios
    scale = scaler.scale(torch.ones((), device=loss.device))
    return {name: ratio * scale for name, ratio in ratios.items()}


def check_finite(loss: float, *, step: int, live: RunConfig) -> None:
    """Raises ``TrainingDivergedError`` where a loss is not finite, and says what to lower."""
    if not math.isfinite(loss):
        raise TrainingDivergedError(
            f"expected a finite loss, got {loss} by step {step}: lower the learning rate "
            f"({live.optimizer.learning_rate:g}) or the weights "
            f"({live.regularizer.variance_weight:g}, {live.regularizer.covariance_weight:g})"
        )
