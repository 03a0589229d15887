"""The autograd Function: identity on the features, plus the value of their penalty.

The penalty of a layer depends on that layer's output alone, so its gradient is added while the
backward passes through an identity. The Function has two differentiable outputs,

    y = z       and       value = α · l_var + β · l_cov,

and its backward receives (grad_y, grad_value) and returns grad_y + grad_value · (Z − mean) @ M with

    M = − α/(D(n − 1)) · diag(1[s < γ]/s)  +  4β/(D(D − 1)(n − 1)) · clip(offdiag(C), −δ, δ).

Because the value is a proper output, whatever rescales the loss (a gradient scaler, accumulation,
a part of the batch) rescales the penalty with it. The gradient is exact with respect to the
uncentred features, because the rows of Z − mean sum to zero.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from vcr_core.regularization.samples import from_rows, to_rows
from vcr_core.regularization.terms import covariance_term, statistics_dtype, variance_term


class PenaltyOptions(NamedTuple):
    """What the penalty of one layer depends on, apart from its two weights."""

    target_std: float = 1.0
    eps: float = 1e-4
    threshold: float | None = None


class Measured(NamedTuple):
    """One pass through a layer: the identity, the penalty, and what it was made from (detached)."""

    output: Tensor
    value: Tensor
    terms: Tensor  # (2,) unweighted variance and covariance term
    mean: Tensor  # (D,)
    covariance: Tensor  # (D, D)


def penalized_identity(
    z: Tensor,
    weights: Tensor,
    options: PenaltyOptions,
    *,
    inject: bool = False,
    layer: str = "",
) -> Measured:
    """``z`` unchanged, and its penalty as a scalar that carries the gradient.

    Args:
        z: features in any layout of ``samples.py``.
        weights: (2,) variance weight α and covariance weight β.
        options: target standard deviation, eps and threshold.
        inject: add the penalty's gradient at scale 1 whether or not ``value`` joins the loss.
        layer: name for error messages.
    """
    return Measured(*PenalizedIdentity.apply(z, weights, options, inject, layer))


def row_statistics(z: Tensor, *, layer: str = "") -> tuple[Tensor, Tensor]:
    """Mean (D,) and unbiased covariance (D, D) of the samples of ``z``, without autocast."""
    with torch.autocast(z.device.type, enabled=False):
        rows = to_rows(z, layer=layer).to(statistics_dtype(z.dtype))
        shift = rows[:1]
        centred = rows - shift
        offset = centred.mean(dim=0, keepdim=True)
        centred -= offset
        return (shift + offset).squeeze(0), centred.T @ centred / (rows.shape[0] - 1)


class PenalizedIdentity(torch.autograd.Function):
    """See the module's first lines."""

    @staticmethod
    def forward(  # noqa: PLR0917
        ctx: Any, z: Tensor, weights: Tensor, options: PenaltyOptions, inject: bool, layer: str
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        mean, covariance = row_statistics(z, layer=layer)
        terms = torch.stack(
            (
                variance_term(
                    covariance.diagonal(), target_std=options.target_std, eps=options.eps
                ),
                covariance_term(covariance, threshold=options.threshold),
            )
        )
        value = weights[0] * terms[0] + weights[1] * terms[1]
        ctx.save_for_backward(z, mean, covariance, weights)
        ctx.options, ctx.inject, ctx.layer = options, inject, layer
        ctx.mark_non_differentiable(terms, mean, covariance)
        ctx.set_materialize_grads(False)
        return z.detach(), value, terms, mean, covariance

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, grad_output: Tensor | None, grad_value: Tensor | None, *_: None
    ) -> tuple[Tensor | None, None, None, None, None]:
        if grad_value is None and not ctx.inject:
            return grad_output, None, None, None, None
        z, mean, covariance, weights = _saved(ctx)
        with torch.autocast(z.device.type, enabled=False):
            rows = to_rows(z).to(covariance.dtype)
            matrix = gradient_matrix(covariance, rows.shape[0], weights, ctx.options)
            if grad_value is not None and not ctx.inject:
                matrix *= grad_value
            gradient = from_rows((rows - mean) @ matrix, z)
            if grad_output is not None:
                gradient += grad_output
        return gradient.to(z.dtype), None, None, None, None


def gradient_matrix(
    covariance: Tensor, count: int, weights: Tensor, options: PenaltyOptions
) -> Tensor:
    """M (D, D), such that the gradient of the weighted penalty is (Z − mean) @ M."""
    size = covariance.shape[0]
    variances = covariance.diagonal()
    std = (variances + options.eps).sqrt()
    clipped = covariance
    if options.threshold is not None:
        clipped = covariance.clamp(-options.threshold, options.threshold)
    matrix = clipped * (weights[1] * (4 / (size * (size - 1) * (count - 1))))
    gate = (std < options.target_std) / std
    matrix.diagonal().copy_(gate * (weights[0] * (-1 / (size * (count - 1)))))
    return matrix


def _saved(ctx: Any) -> tuple[Tensor, ...]:
    """The saved tensors, or an error that names the layer whose output was overwritten."""
    try:
        return tuple(ctx.saved_tensors)
    except RuntimeError as error:
        if "inplace operation" not in str(error):
            raise
        name = f"layer {ctx.layer!r}" if ctx.layer else "a VCRLayer"
        raise RuntimeError(
            f"the output of {name} was overwritten by an in-place operation after the "
            "regulariser had measured it, so its gradient cannot be formed: use the "
            "out-of-place form there (for example nn.ReLU(inplace=False))"
        ) from error
