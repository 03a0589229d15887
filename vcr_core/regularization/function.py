"""The autograd Function: identity on the features, plus the value of their penalty.

The penalty of a layer depends on that layer's output alone, so its gradient is added while the
backward passes through an identity. The Function has two differentiable outputs,

    y = z       and       value = α · l_var + β · l_cov,

and its backward receives (grad_y, grad_value) and returns grad_y + grad_value · (Z − mean) @ M,
where M is the matrix of ``penalty.py``.

Because the value is a proper output, whatever rescales the loss (a gradient scaler, accumulation,
a part of the batch) rescales the penalty with it. The gradient is exact with respect to the
uncentred features, because the rows of Z − mean sum to zero.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from vcr_core.errors import FeaturesOverwrittenError, LayerNotMeasuredError
from vcr_core.regularization.distributed import averaging_factor
from vcr_core.regularization.options import PenaltyOptions
from vcr_core.regularization.penalty import PenaltyGradient, Readings, Scalar, is_finite, penalty_of
from vcr_core.regularization.samples import (
    draw,
    gather,
    on_host,
    require_features,
    scatter,
    takes_all,
)
from vcr_core.regularization.statistics import MEDIUM_NUMEL, measure, prefers_gram
from vcr_core.regularization.terms import statistics_dtype

Weights = tuple[float, float] | Tensor


class Passage(NamedTuple):
    """How one forward goes through the Function, apart from its features and weights.

    ``inject``   add the penalty's gradient at scale 1, whether or not the value joins the loss
    ``layer``    name for error messages
    ``moments``  keep mean and covariance: never the Gram form
    """

    inject: bool = False
    layer: str = ""
    moments: bool = False


class Measured(NamedTuple):
    """One pass through a layer: the identity, the penalty, and what it was made from (detached)."""

    output: Tensor
    value: Tensor
    readings: Readings
    mean: Tensor | None  # (D,), where moments were asked for
    covariance: Tensor | None  # (D, D), where moments were asked for


class Found(NamedTuple):
    """What was found in the features of one forward, all of it detached."""

    value: Scalar  # of the penalty
    readings: Readings
    mean: Tensor | None  # (D,), where moments were asked for
    covariance: Tensor | None  # (D, D), where moments were asked for
    drawn: Tensor | None  # which samples; None for all
    finite: Tensor | None  # whether the features were, where that is not an error
    gradient: PenaltyGradient


class Visit:
    """One forward of one layer: its features until they are measured, then what they gave.

    Where features are few, on a processor, they wait until the penalty is asked for. Then all such
    layers are measured one after another, by code that stays in cache; between two layers of the
    network each operation would find it gone and take several times as long.

    ``found``     is let go by the backward, and made again for another one
    ``missed``    whether a backward came by without the penalty
    ``received``  whether one came with it
    """

    __slots__ = (
        "_features",
        "_number",
        "_version",
        "found",
        "missed",
        "options",
        "passage",
        "received",
        "seed",
        "weights",
    )

    def __init__(
        self, weights: Weights, options: PenaltyOptions, passage: Passage, seed: Tensor | None
    ) -> None:
        self.weights, self.options = weights, options
        self.passage, self.seed = passage, seed
        self.missed = self.received = False
        self.found: Found | None = None
        self._features: Tensor | None = None

    def begin(self, z: Tensor, *, later: bool) -> Tensor:
        """The penalty of ``z`` as a scalar tensor; if ``later``, any number until ``settle``."""
        require_features(z, layer=self.passage.layer)
        if not later:
            value = self.measure(z).value
            dtype = statistics_dtype(z.dtype)
            return value if isinstance(value, Tensor) else z.new_full((), value, dtype=dtype)
        self._features, self._version = z.detach(), z._version
        # of no subclass of a tensor, as ``z`` may be: its views are not ours to fill
        self._number = torch.empty((), dtype=statistics_dtype(z.dtype), device=z.device)
        return self._number.detach()

    def settle(self) -> Found:
        """Measure what waits to be."""
        z, self._features = self._features, None
        if z is not None:
            if z._version != self._version:
                raise _overwritten(self.passage.layer)
            self._number.fill_(self.measure(z).value)
        assert self.found is not None
        return self.found

    def measure(self, z: Tensor) -> Found:
        """Measure ``z`` now."""
        look = (z, self.weights, self.seed, self.options, self.passage)
        found: Found = outside_autocast(z, _drawn_and_found, *look)
        self.found = found
        return found

    def gradient(self, grad_output: Tensor | None, z: Tensor, scale: Scalar) -> Tensor:
        """``grad_output`` plus ``scale`` times the penalty's gradient with respect to ``z``."""
        found = self.found or self.measure(z)
        self.found = None
        saved = (found.drawn, found.finite, *found.gradient)
        total: Tensor = outside_autocast(
            z, added_gradient, grad_output, z, scale, saved, self.options
        )
        return total


def penalized_identity(
    z: Tensor,
    weights: Weights,
    options: PenaltyOptions,
    passage: Passage | None = None,
    seed: Tensor | None = None,
) -> Measured:
    """``z`` unchanged, and its penalty as a scalar that carries the gradient; for eager code.

    Args:
        z: features in any layout of ``samples.py``.
        weights: variance weight α and covariance weight β of ``options.scale``, as numbers, or as
            a tensor (2,) on the CPU.
        options: see ``PenaltyOptions``.
        passage: see ``Passage``.
        seed: chooses the samples, where not all are used, see ``samples.draw``.

    Raises ``FeatureError`` where ``z`` has no samples to compare.
    """
    passage = passage or Passage()
    visit = Visit(weights, options, passage, seed)
    output, value = PenalizedIdentity.apply(z, visit, False)
    found = visit.settle()
    return Measured(output, value, found.readings, found.mean, found.covariance)


def visited(z: Tensor, visit: Visit, *, later: bool | None = None) -> tuple[Tensor, Tensor]:
    """As ``penalized_identity``, outside compiled code, and measured ``later`` where that pays.

    ``visit.settle`` measures, and gives the value its number.
    """
    if later is None:
        few = z.is_cpu and z.numel() <= MEDIUM_NUMEL and visit.options.ranks == "local"
        later = few and not visit.passage.moments
    output, value = PenalizedIdentity.apply(z, visit, later)
    return output, value


def measure_only(
    z: Tensor, options: PenaltyOptions, passage: Passage, seed: Tensor | None
) -> Measured:
    """Readings and moments of ``z`` without a penalty."""
    require_features(z, layer=passage.layer)
    found = Visit((0.0, 0.0), options, passage._replace(moments=True), seed).measure(z.detach())
    return Measured(z, z.new_zeros(()), found.readings, found.mean, found.covariance)


def total_of(values: Sequence[Tensor]) -> Tensor:
    """The sum of the layers' penalties, on the first one's device."""
    if len(values) == 1:
        return values[0]
    total: Tensor = _Total.apply(*values)
    return total


class _Total(torch.autograd.Function):
    """A sum of scalars that hands its gradient on as it is: one step back instead of many."""

    @staticmethod
    def forward(ctx: Any, *values: Tensor) -> Tensor:
        ctx.devices = [value.device for value in values]
        first = values[0]
        if on_host(first) and all(value.is_cpu for value in values):
            return first.new_full((), sum(value.item() for value in values))
        return torch.stack([value.to(first.device) for value in values]).sum()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, ...]:
        device = gradient.device
        return tuple(gradient if each == device else gradient.to(each) for each in ctx.devices)


class PenalizedIdentity(torch.autograd.Function):
    """See the module's first lines."""

    @staticmethod
    def forward(ctx: Any, z: Tensor, visit: Visit, later: bool) -> tuple[Tensor, Tensor]:
        value = visit.begin(z, later=later)
        ctx.visit = visit
        ctx.save_for_backward(z)
        ctx.set_materialize_grads(False)
        # detached, not the input itself: an in-place operation on it must reach our backward's
        # check of saved tensors, where the layer's name is known
        return z.detach(), value

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, grad_output: Tensor | None, grad_value: Tensor | None
    ) -> tuple[Tensor | None, None, None]:
        visit: Visit = ctx.visit
        visit.missed |= grad_value is None
        visit.received |= grad_value is not None
        scale = _scale(grad_value, visit.passage)
        if scale is None:
            return grad_output, None, None
        (z,) = _saved(ctx, visit.passage.layer)
        return visit.gradient(grad_output, z, scale), None, None


def _scale(grad_value: Tensor | None, passage: Passage) -> Scalar | None:
    """What the penalty's gradient is multiplied by; ``None`` where it was not asked for."""
    if passage.inject:
        return 1.0
    if grad_value is None:
        return None
    return grad_value.item() if on_host(grad_value) else grad_value


def outside_autocast(z: Tensor, compute: Callable[..., Any], *arguments: Any) -> Any:
    """Statistics are formed in float32 whatever autocast is on; entering it costs microseconds."""
    kind = z.device.type
    if torch.compiler.is_compiling() or torch.is_autocast_enabled(kind):
        with torch.autocast(kind, enabled=False):
            return compute(*arguments)
    return compute(*arguments)


def _drawn_and_found(
    z: Tensor, weights: Weights, seed: Tensor | None, options: PenaltyOptions, passage: Passage
) -> Found:
    """Draw samples from ``z`` and measure them."""
    return find(z, weights, draw(z, options, seed), options, passage, on_host(z))


def find(  # noqa: PLR0917
    z: Tensor,
    weights: Weights,
    index: Tensor | None,
    options: PenaltyOptions,
    passage: Passage,
    host: bool,
) -> Found:
    """Measure the samples ``index`` of ``z``, or all where it is ``None``.

    ``host``: whether numbers can be read at once; otherwise no step depends on a number.
    """
    samples = z
    if not takes_all(z, options):
        samples = gather(z, options, index)
        require_features(samples, layer=passage.layer)
    gram = not passage.moments and prefers_gram(samples, options)
    statistics = measure(samples, options, gram=gram, host=host)
    mean = covariance = finite = None
    if passage.moments:
        mean, covariance = statistics.mean, statistics.covariance
    value, readings, gradient = penalty_of(statistics, weights, options, host=host)
    if host and not math.isfinite(value):
        readings = readings.of_lost(samples)
    if options.nonfinite == "skip":
        finite = readings.variances.isfinite().all() & is_finite(value)
        value = _or_zero(value, finite)
    return Found(value, readings, mean, covariance, index, finite, gradient)


def _or_zero(value: Scalar, finite: Tensor) -> Scalar:
    if isinstance(value, Tensor):
        return torch.where(finite, value, 0.0)
    return value if finite else 0.0


def added_gradient(
    grad_output: Tensor | None,
    z: Tensor,
    scale: Scalar,
    saved: Sequence[Any],
    options: PenaltyOptions,
) -> Tensor:
    """``grad_output`` plus ``scale`` times the penalty's gradient with respect to all of ``z``."""
    index, finite, *tensors = saved
    gradient = PenaltyGradient(*tensors)
    if options.ranks == "global":
        scale = scale * averaging_factor()
    if isinstance(scale, Tensor) or scale != 1:
        gradient = gradient.times(scale)
    if takes_all(z, options):
        total = gradient.added_to(grad_output, z)
    else:
        found = gradient.added_to(None, gather(z, options, index))
        total = scatter(found, grad_output, z, options, index)
    if finite is None:
        return total
    task = torch.zeros_like(z) if grad_output is None else grad_output
    return torch.where(finite & total.isfinite().all(), total, task)


def _saved(ctx: Any, layer: str) -> tuple[Any, ...]:
    """The saved tensors, or an error that says why they are not there, and of which layer."""
    try:
        return tuple(ctx.saved_tensors)
    except RuntimeError as error:
        if "inplace operation" in str(error):
            raise _overwritten(layer) from error
        if "second time" in str(error):
            raise LayerNotMeasuredError(_used_up(layer)) from error
        raise


def _used_up(layer: str) -> str:
    return (
        f"{_layer(layer)}: the penalty of a step whose backward is over was trained on again. Call "
        "penalty() after a forward of the attached model in every step; if there was one, another "
        "copy of the model trains: attach to that one. For two backwards over one graph pass "
        "retain_graph=True to the first"
    )


def _layer(name: str) -> str:
    return f"layer {name!r}" if name else "a VCRLayer"


def _overwritten(layer: str) -> FeaturesOverwrittenError:
    return FeaturesOverwrittenError(
        f"the output of {_layer(layer)} was overwritten by an in-place operation after the "
        "regulariser had seen it, so its gradient cannot be formed: use the "
        "out-of-place form there (for example nn.ReLU(inplace=False))"
    )
