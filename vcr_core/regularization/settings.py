"""The strength of the penalty at one layer: validated once, changeable between steps."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from vcr_core.errors import ConfigError
from vcr_core.regularization.function import PenaltyOptions


class Strength:
    """Weights and options of one layer.

    The weights also stand in a small tensor that is replaced, never written to, when they change:
    a graph that was built with the old ones stays valid, and ``torch.compile`` does not recompile.
    """

    def __init__(
        self,
        variance_weight: float,
        covariance_weight: float,
        *,
        target_std: float = 1.0,
        eps: float = 1e-4,
        threshold: float | None = None,
    ) -> None:
        self.options = PenaltyOptions(
            _positive("target_std", target_std),
            _positive("eps", eps),
            None if threshold is None else _positive("threshold", threshold),
        )
        self.set_weights(variance_weight, covariance_weight)

    def set_weights(
        self, variance_weight: float | None = None, covariance_weight: float | None = None
    ) -> None:
        """Replace the weights that are given; ``None`` keeps one."""
        if variance_weight is not None:
            self.variance_weight = _weight("variance_weight", variance_weight)
        if covariance_weight is not None:
            self.covariance_weight = _weight("covariance_weight", covariance_weight)
        self.tensor = torch.tensor([self.variance_weight, self.covariance_weight], device="cpu")

    def set_target_std(self, target_std: float) -> None:
        """Replace γ."""
        self.options = self.options._replace(target_std=_positive("target_std", target_std))

    def set_threshold(self, threshold: float | None) -> None:
        """Replace δ; ``None`` returns to the plain square."""
        self.options = self.options._replace(
            threshold=None if threshold is None else _positive("threshold", threshold)
        )

    @property
    def active(self) -> bool:
        """Whether the penalty has any effect."""
        return self.variance_weight > 0 or self.covariance_weight > 0

    def weights(self) -> Tensor:
        """The two weights as a CPU tensor (2,)."""
        return self.tensor


def _weight(name: str, value: float) -> float:
    number = _number(name, value)
    if not math.isfinite(number) or number < 0:
        raise ConfigError(
            f"expected a finite number of at least 0, got {value!r}: use 0 to switch the term off",
            field=name,
        )
    return number


def _positive(name: str, value: float) -> float:
    number = _number(name, value)
    if not math.isfinite(number) or number <= 0:
        raise ConfigError(f"expected a finite number above 0, got {value!r}", field=name)
    return number


def _number(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ConfigError(f"expected a number, got {value!r}", field=name)
    return float(value)
