"""``VCRLayer``: an identity that spreads the features which pass through it."""

from __future__ import annotations

from torch import Tensor, is_grad_enabled, nn

from vcr_core.regularization.function import penalized_identity
from vcr_core.regularization.settings import Strength


class VCRLayer(nn.Module):
    """Identity forward; the backward adds the gradient of α · l_var + β · l_cov.

    Put it after any layer, without touching the loss: the penalty's gradient is added at scale 1.
    Where the loss is rescaled (``GradScaler``, gradient accumulation), use ``attach`` and add
    ``handle.penalty()`` to the loss instead, so that the penalty is rescaled with it.

    Args:
        variance_weight: α ≥ 0 of the exact convention (see ``terms.py``).
        covariance_weight: β ≥ 0 of the exact convention. With both at 0 the input comes back as is.
        target_std: γ, in the units of the features.
        eps: added to the variances inside the root.
        threshold: δ of the smooth-L1 form of the covariance term; ``None`` for the square.

    Shapes: (N, D); (N, T, D), every token a sample; (N, C, H, W), every location a sample.
    In ``eval()`` and under ``no_grad`` it does nothing. Raises ``ConfigError`` for weights that are
    negative or not finite, ``FeatureError`` for an input with fewer than 2 samples or features.
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
        super().__init__()
        self.strength = Strength(
            variance_weight,
            covariance_weight,
            target_std=target_std,
            eps=eps,
            threshold=threshold,
        )

    @property
    def variance_weight(self) -> float:
        """α."""
        return self.strength.variance_weight

    @variance_weight.setter
    def variance_weight(self, value: float) -> None:
        self.strength.set_weights(variance_weight=value)

    @property
    def covariance_weight(self) -> float:
        """β."""
        return self.strength.covariance_weight

    @covariance_weight.setter
    def covariance_weight(self, value: float) -> None:
        self.strength.set_weights(covariance_weight=value)

    def forward(self, z: Tensor) -> Tensor:
        """``z`` itself, with the penalty's gradient waiting in the backward."""
        if not (self.training and self.strength.active and is_grad_enabled() and z.requires_grad):
            return z
        strength = self.strength
        return penalized_identity(z, strength.weights(), strength.options, inject=True).output

    def extra_repr(self) -> str:
        """Shown by ``print(model)``."""
        options = self.strength.options
        return (
            f"variance_weight={self.variance_weight:g}, "
            f"covariance_weight={self.covariance_weight:g}, "
            f"target_std={options.target_std:g}, eps={options.eps:g}, threshold={options.threshold}"
        )
