"""The strength of the penalty at one layer: validated once, changeable between steps."""

from __future__ import annotations

import torch
from torch import Tensor

from vcr_core.errors import ConfigError
from vcr_core.regularization.options import PenaltyOptions, checked, checked_weight

Factor = float | tuple[float, float]


def checked_factor(factor: Factor) -> tuple[float, float]:
    """A layer's share of the variance and of the covariance weight.

    Raises ``ConfigError`` for a number below 0 or none at all.
    """
    both = factor if isinstance(factor, tuple) else (factor, factor)
    if len(both) != 2:
        raise ConfigError(f"expected one number or two, got {factor!r}", field="layer_factors")
    return checked_weight("layer_factors", both[0]), checked_weight("layer_factors", both[1])


class Strength:
    """Weights and options of one layer.

    For ``torch.compile`` the weights also stand in a small tensor, so that it need not compile
    again when they change. It is replaced, never written to: a graph that was built with the old
    ones stays valid.

    ``factor`` is the layer's share where all layers are set together: it multiplies both weights,
    or as a pair the variance and the covariance weight.
    """

    def __init__(
        self,
        variance_weight: float,
        covariance_weight: float,
        options: PenaltyOptions | None = None,
        *,
        factor: Factor = 1.0,
    ) -> None:
        self.options = checked(options or PenaltyOptions())
        self._common = (0.0, 0.0)
        self.set_factor(factor)
        self.set_weights(variance_weight, covariance_weight)

    def set_factor(self, factor: Factor) -> None:
        """Replace the layer's share of the weights."""
        self._factors = checked_factor(factor)
        self.set_weights()

    def set_weights(
        self, variance_weight: float | None = None, covariance_weight: float | None = None
    ) -> None:
        """Replace the weights that are given; ``None`` keeps one."""
        variance, covariance = self._common
        if variance_weight is not None:
            variance = checked_weight("variance_weight", variance_weight)
        if covariance_weight is not None:
            covariance = checked_weight("covariance_weight", covariance_weight)
        self._common = variance, covariance
        self.variance_weight = self._factors[0] * variance
        self.covariance_weight = self._factors[1] * covariance
        self.tensor = torch.tensor(
            [self.variance_weight, self.covariance_weight], dtype=torch.float32, device="cpu"
        )

    def set_options(self, **changes: float | None) -> None:
        """Replace ``target_std``, ``eps`` or ``threshold`` from the next forward on."""
        self.options = checked(self.options._replace(**changes))  # type: ignore[arg-type]

    @property
    def active(self) -> bool:
        """Whether the penalty has any effect."""
        return self.variance_weight > 0 or self.covariance_weight > 0

    def weights(self, *, times: int = 1) -> tuple[float, float] | Tensor:
        """The two weights, multiplied: numbers, or while compiling a CPU tensor (2,)."""
        if torch.compiler.is_compiling():
            return self.tensor * times
        return times * self.variance_weight, times * self.covariance_weight
