"""``VCRLayer``: an identity that spreads the features which pass through it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vcr_core.errors import FeatureError
from vcr_core.regularization.axes import NOTHING_STATED, Layout, layout_of
from vcr_core.regularization.checkpointing import recomputing
from vcr_core.regularization.compiled import traced_identity
from vcr_core.regularization.function import Measured, Passage, penalized_identity
from vcr_core.regularization.layouts import canonical, restored
from vcr_core.regularization.options import (
    NonFinite,
    PenaltyOptions,
    Ranks,
    Scale,
    Tokens,
    checked_seed,
    require_axis,
    require_flag,
)
from vcr_core.regularization.penalty import why_not_finite
from vcr_core.regularization.samples import draw_seed
from vcr_core.regularization.settings import Strength


class VCRLayer(nn.Module):
    """Identity forward; the backward adds the gradient of α · l_var + β · l_cov.

    Put it after any layer, without touching the loss: the penalty's gradient is added at scale 1.
    Where the loss is rescaled (``GradScaler``, gradient accumulation), use ``attach`` and add
    ``handle.penalty()`` to the loss instead, so that the penalty is rescaled with it.

    Args:
        variance_weight: α ≥ 0 in the convention ``scale``.
        covariance_weight: β ≥ 0 in the convention ``scale``. With both at 0 the input comes back.
        target_std, eps, threshold, scale, tokens, pooled, max_samples, ranks, nonfinite: see
            ``PenaltyOptions``.
        feature_axis: the axis that holds the features, from 0 at the front or −1 at the end.
        batch_first: ``False`` for tokens that come as (T, N, D).
        seed: of the generator that chooses the samples, where ``max_samples`` is given.

    Shapes, where ``feature_axis`` is not given: (N, D); (N, T, D), every token a sample;
    (N, C, H, W) and (N, C, T, H, W), every location, at every time, a sample. A layer that stands
    alone sees no network to ask: for (N, C, L) and (N, H, W, C) say where the features are.
    In ``eval()`` and under ``no_grad`` it does nothing. Raises ``ConfigError`` for weights that are
    negative or not finite, ``FeatureError`` for an input with fewer than 2 samples or features, and
    on the CPU for one that is not finite.
    """

    def __init__(
        self,
        variance_weight: float,
        covariance_weight: float,
        *,
        target_std: float = 1.0,
        eps: float = 1e-4,
        threshold: float | None = None,
        scale: Scale = "exact",
        tokens: Tokens = "all",
        pooled: bool = False,
        max_samples: int | None = None,
        ranks: Ranks = "local",
        nonfinite: NonFinite = "raise",
        feature_axis: int | None = None,
        batch_first: bool = True,
        seed: int = 0,
    ) -> None:
        super().__init__()
        options = PenaltyOptions(
            target_std, eps, threshold, scale, tokens, pooled, max_samples, ranks, nonfinite
        )
        self.strength = Strength(variance_weight, covariance_weight, options)
        require_axis(feature_axis)
        require_flag("batch_first", batch_first)
        self.feature_axis, self.batch_first = feature_axis, batch_first
        seed = checked_seed(seed)
        self._draws = torch.tensor(seed if seed < 2**63 else draw_seed(seed, 0))

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
        strength = self.strength
        measuring = self.training and strength.active and torch.is_grad_enabled()
        if not (measuring and z.requires_grad):
            return z
        if strength.options.max_samples is not None and not recomputing():
            self._draws = self._draws + 1  # a new tensor: the last one may wait for its backward
        layout = self._layout(tuple(z.shape))
        measure = traced_identity if torch.compiler.is_compiling() else penalized_identity
        measured = measure(
            canonical(z, layout),
            strength.weights(),
            strength.options,
            Passage(inject=True),
            self._draws,
        )
        if z.device.type == "cpu" and not torch.compiler.is_compiling():
            _require_finite(measured)
        return restored(measured.output, layout, z.ndim)

    def _layout(self, shape: tuple[int, ...]) -> Layout:
        return layout_of(
            shape,
            NOTHING_STATED,
            layer="VCRLayer",
            feature_axis=self.feature_axis,
            batch_first=self.batch_first,
            order_matters=True,
        )

    def extra_repr(self) -> str:
        """Shown by ``print(model)``."""
        options = self.strength.options
        return (
            f"variance_weight={self.variance_weight:g}, "
            f"covariance_weight={self.covariance_weight:g}, scale={options.scale}, "
            f"target_std={options.target_std:g}, eps={options.eps:g}, threshold={options.threshold}"
        )


def _require_finite(measured: Measured) -> None:
    if not bool(measured.value.isfinite()):
        why = why_not_finite(measured.readings.variances, "in the input of a VCRLayer")
        raise FeatureError(
            f"{why} weights, or pass nonfinite='skip' to train on without its penalty"
        )
