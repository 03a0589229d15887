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

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from vcr_core.regularization.distributed import averaging_factor
from vcr_core.regularization.options import PenaltyOptions
from vcr_core.regularization.samples import draw, gather, require_features, scatter
from vcr_core.regularization.statistics import (
    Readings,
    Scalar,
    Statistics,
    add_gradient,
    exact_weights,
    measure,
    plain,
    prefers_gram,
    read,
)


class Journey:
    """Whether the gradient of one forward's penalty ever came back."""

    __slots__ = ("missed", "received")

    def __init__(self) -> None:
        self.missed = False
        self.received = False


class Passage(NamedTuple):
    """How one forward goes through the Function, apart from its features and weights.

    ``inject``   add the penalty's gradient at scale 1, whether or not the value joins the loss
    ``layer``    name for error messages
    ``moments``  return the covariance: never the Gram form
    ``journey``  is told what the backward received
    """

    inject: bool = False
    layer: str = ""
    moments: bool = False
    journey: Journey | None = None


class Measured(NamedTuple):
    """One pass through a layer: the identity, the penalty, and what it was made from (detached)."""

    output: Tensor
    value: Tensor
    readings: Readings
    mean: Tensor | None  # (D,), where moments were asked for
    covariance: Tensor | None  # (D, D), where moments were asked for


def penalized_identity(
    z: Tensor,
    weights: tuple[float, float] | Tensor,
    options: PenaltyOptions,
    passage: Passage | None = None,
    seed: Tensor | None = None,
) -> Measured:
    """``z`` unchanged, and its penalty as a scalar that carries the gradient.

    Args:
        z: features in any layout of ``samples.py``.
        weights: variance weight α and covariance weight β of ``options.scale``, as numbers, or as
            a tensor (2,) on the CPU, which ``torch.compile`` takes without compiling again.
        options: see ``PenaltyOptions``.
        passage: see ``Passage``.
        seed: chooses the samples, where not all are used, see ``samples.draw``.

    Raises ``FeatureError`` where ``z`` has no samples to compare.
    """
    passage = passage or Passage()
    output, value, *kept = PenalizedIdentity.apply(z, weights, seed, options, passage)
    return Measured(output, value, Readings(*kept[:4]), *kept[4:])


def measure_only(
    z: Tensor, options: PenaltyOptions, passage: Passage, seed: Tensor | None
) -> Measured:
    """Readings and moments of ``z`` without a penalty."""
    with torch.no_grad(), torch.autocast(z.device.type, enabled=False):
        _, samples = _draw_samples(z, options, passage, seed)
        statistics = measure(samples, options, gram=False)
        readings, _ = read(statistics, options)
    return Measured(z, z.new_zeros(()), readings, statistics.mean, statistics.covariance)


def total_of(values: Sequence[Tensor]) -> Tensor:
    """The sum of the layers' penalties, on the first one's device."""
    device = values[0].device
    total: Tensor = _Total.apply(*(value.to(device) for value in values))
    return total


class _Total(torch.autograd.Function):
    """A sum of scalars that hands its gradient on as it is: one step back instead of many."""

    @staticmethod
    def forward(ctx: Any, *values: Tensor) -> Tensor:
        ctx.count = len(values)
        return torch.stack(values).sum()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, ...]:
        return tuple(gradient for _ in range(ctx.count))


class PenalizedIdentity(torch.autograd.Function):
    """See the module's first lines."""

    @staticmethod
    def forward(  # noqa: PLR0917
        ctx: Any,
        z: Tensor,
        weights: tuple[float, float] | Tensor,
        seed: Tensor | None,
        options: PenaltyOptions,
        passage: Passage,
    ) -> tuple[Any, ...]:
        with _autocast_off(z):
            index, samples = _draw_samples(z, options, passage, seed)
            gram = not passage.moments and prefers_gram(samples, options)
            statistics = measure(samples, options, gram=gram)
            readings, slope = read(statistics, options)
            features, count = statistics.offset.shape[0], statistics.count
            alpha, beta = exact_weights(weights, options, features, count)
            value = alpha * readings.variance + beta * readings.covariance
            if not isinstance(value, Tensor):
                value = slope.new_full((), value)
            if options.nonfinite == "skip":
                value = torch.where(value.isfinite(), value, 0.0)
        *tensors, count = statistics
        weights_tensor = weights if isinstance(weights, Tensor) else None
        ctx.save_for_backward(z, index, weights_tensor, slope, *tensors)
        ctx.weights = weights if weights_tensor is None else None
        ctx.count, ctx.options, ctx.passage = count, options, passage
        moments = (statistics.mean, statistics.covariance) if passage.moments else (None, None)
        kept = (*readings, *moments)
        ctx.mark_non_differentiable(*(each for each in kept if isinstance(each, Tensor)))
        ctx.set_materialize_grads(False)
        # detached, not the input itself: an in-place operation on it must reach our backward's
        # check of saved tensors, where the layer's name is known
        return z.detach(), value, *kept

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, grad_output: Tensor | None, grad_value: Tensor | None, *_: None
    ) -> tuple[Tensor | None, None, None, None, None]:
        passage, options = ctx.passage, ctx.options
        if passage.journey is not None:
            passage.journey.missed |= grad_value is None
            passage.journey.received |= grad_value is not None
        if grad_value is None and not passage.inject:
            return grad_output, None, None, None, None
        z, index, weights, slope, shift, offset, variances, second = _saved(ctx)
        with _autocast_off(z):
            weights = ctx.weights if weights is None else weights
            statistics = Statistics(shift, offset, variances, second, ctx.count)
            features, count = statistics.offset.shape[0], statistics.count
            alpha, beta = exact_weights(weights, options, features, count)
            scale = 1 if passage.inject or grad_value is None else plain(grad_value)
            if options.ranks == "global":
                scale = scale * averaging_factor()
            strengths = (alpha * scale, beta * scale)
            gradient = _gradient(grad_output, z, index, statistics, slope, strengths, options)
            if options.nonfinite == "skip":
                without = torch.zeros_like(z) if grad_output is None else grad_output
                finite = variances.isfinite().all()
                gradient = torch.where(finite, gradient, without)
        return gradient, None, None, None, None


def _autocast_off(z: Tensor) -> AbstractContextManager[object]:
    """Statistics are formed in float32 whatever autocast is on; entering it costs microseconds."""
    kind = z.device.type
    if torch.compiler.is_compiling() or torch.is_autocast_enabled(kind):
        return torch.autocast(kind, enabled=False)
    return nullcontext()


def _draw_samples(
    z: Tensor, options: PenaltyOptions, passage: Passage, seed: Tensor | None
) -> tuple[Tensor | None, Tensor]:
    """Which samples of ``z`` this step uses (``None``: all), and the samples."""
    require_features(z, layer=passage.layer)
    if options.every_sample:
        return None, z
    index = draw(z, options, seed)
    samples = gather(z, options, index)
    require_features(samples, layer=passage.layer)
    return index, samples


def _gradient(  # noqa: PLR0917
    grad_output: Tensor | None,
    z: Tensor,
    index: Tensor | None,
    statistics: Statistics,
    slope: Tensor,
    strengths: tuple[Scalar, Scalar],
    options: PenaltyOptions,
) -> Tensor:
    """``grad_output`` plus the penalty's gradient with respect to all of ``z``."""
    if options.every_sample:
        return add_gradient(grad_output, z, statistics, slope, strengths, options)
    samples = gather(z, options, index)
    gradient = add_gradient(None, samples, statistics, slope, strengths, options)
    return scatter(gradient, grad_output, z, options, index)


def _saved(ctx: Any) -> tuple[Any, ...]:
    """The saved tensors, or an error that names the layer whose output was overwritten."""
    try:
        return tuple(ctx.saved_tensors)
    except RuntimeError as error:
        if "inplace operation" not in str(error):
            raise
        layer = ctx.passage.layer
        name = f"layer {layer!r}" if layer else "a VCRLayer"
        raise RuntimeError(
            f"the output of {name} was overwritten by an in-place operation after the "
            "regulariser had measured it, so its gradient cannot be formed: use the "
            "out-of-place form there (for example nn.ReLU(inplace=False))"
        ) from error
