"""The strength of the penalty at one layer: validated once, changeable between steps."""

from __future__ import annotations

import torch
from torch import Tensor

from vcr_core.regularization.options import PenaltyOptions, checked, checked_weight


class Strength:
    """Weights and options of one layer.

    For ``torch.compile`` the weights also stand in a small tensor, so that it need not compile
    again when they change. It is replaced, never written to: a graph that was built with the old
    ones stays valid.

    ``factor`` multiplies both weights: the layer's share, where all layers are set together.
    """

    def __init__(
        self,
        variance_weight: float,
        covariance_weight: float,
        options: PenaltyOptions | None = None,
        *,
        factor: float = 1.0,
    ) -> None:
        self.options = checked(options or PenaltyOptions())
        self.factor = checked_weight("factor", factor)
        self.set_weights(variance_weight, covariance_weight)

    def set_weights(
        self, variance_weight: float | None = None, covariance_weight: float | None = None
    ) -> None:
        """Replace the weights that are given; ``None`` keeps one."""
        if variance_weight is not None:
            self.variance_weight = self.factor * checked_weight("variance_weight", variance_weight)
        if covariance_weight is not None:
            self.covariance_weight = self.factor * checked_weight(
                "covariance_weight", covariance_weight
            )
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
