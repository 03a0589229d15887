"""The penalty inside ``torch.compile``: one opaque operator, and one for its gradient.

Compilers that are shown the arithmetic of ``penalty.py`` break on it (graphs end at a layer, its
gradient is lost) or rewrite it wrongly. As an operator with a declared result and a declared
gradient it goes through any backend, with and without ``fullgraph=True``, and computes what eager
code computes. Features pass by untouched: the penalty is a branch beside them, and autograd adds
the two gradients.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, NamedTuple, ParamSpec, TypeVar

import torch
from torch import Tensor
from torch._C._dynamo.eval_frame import get_eval_frame_callback

from vcr_core.regularization.function import (
    Found,
    Measured,
    Passage,
    added_gradient,
    find,
    outside_autocast,
)
from vcr_core.regularization.options import PenaltyOptions
from vcr_core.regularization.penalty import PenaltyGradient, Readings
from vcr_core.regularization.samples import draw, drawn_count, require_features

OUTSIDE = "a hook of the regulariser was met outside the graph of a forward"
Given = ParamSpec("Given")
Result = TypeVar("Result")
Outputs = tuple[
    Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor,
    Tensor,
]  # fmt: skip


class _Packed(NamedTuple):
    """What is found, as an operator can return it: tensors only, empty where there is none."""

    value: Tensor
    variance: Tensor
    covariance: Tensor
    variances: Tensor
    samples: Tensor
    mean: Tensor
    covariance_matrix: Tensor
    finite: Tensor
    matrix: Tensor
    shift: Tensor
    bias: Tensor
    diagonal: Tensor
    offset: Tensor


def traced_identity(
    z: Tensor,
    weights: Any,
    options: PenaltyOptions,
    passage: Passage,
    seed: Tensor | None,
) -> Measured:
    """As ``function.penalized_identity``, for code that is being compiled.

    Args:
        weights: α and β as a tensor (2,), so that other weights compile nothing again.
    """
    require_features(z, layer=passage.layer)
    index = draw(z, options, seed)
    count = drawn_count(z, options) if options.ranks == "local" else None
    packed = _Packed(*penalty(z, weights, index, passage.moments, passage.layer, *options[:-1]))
    kept = [each.detach() for each in packed[1:7]]
    readings = Readings(kept[0], kept[1], kept[2], kept[3] if count is None else count)
    output = _Injected.apply(z, packed.value) if passage.inject else z
    if not passage.moments:
        return Measured(output, packed.value, readings, None, None)
    return Measured(output, packed.value, readings, kept[4], kept[5])


def never_traced(
    reason: str,
) -> Callable[[Callable[Given, Result]], Callable[Given, Result]]:
    """A decorator: what it is put on runs as it stands, also when compiled code calls it.

    Traced by themselves, outside the graph of a forward, hand-written gradients are lost. The
    decorated function itself is for ``leave_to_python``, where torch calls it from outside a graph.
    ``reason`` is what ``fullgraph=True``, which allows no such call, says.
    """

    def decorate(compute: Callable[Given, Result]) -> Callable[Given, Result]:
        guarded: Callable[Given, Result] | None = None

        @wraps(compute)
        def run(*args: Given.args, **kwargs: Given.kwargs) -> Result:
            nonlocal guarded
            listens = torch.compiler.is_compiling() or get_eval_frame_callback() is not None
            if not listens:  # costs next to nothing, where the guard costs as much as a layer
                return compute(*args, **kwargs)
            if guarded is None:
                guarded = torch.compiler.disable(compute, reason=reason)  # type: ignore[no-untyped-call]
            return guarded(*args, **kwargs)

        return run

    return decorate


def let_compilers_see_hooks() -> None:
    """Have compiled code checked for hooks that were put on later, from now on.

    By default ``torch.compile`` takes hooks for unchanging and keeps code by class: a model that
    was compiled first, or is of a class that was, would run on without what is attached to it.
    What was compiled without that check is compiled again, once in a process.
    """
    from torch import _dynamo as dynamo

    if dynamo.config.skip_nnmodule_hook_guards:
        dynamo.config.skip_nnmodule_hook_guards = False
        dynamo.reset()


def leave_to_python(*functions: Callable[..., Any]) -> None:
    """Have these not compiled by themselves; traced inside of other code they still are.

    torch calls the hooks of a compiled model from outside of its graph, one small graph for each:
    all cost and no gain.
    """
    from torch._dynamo.eval_frame import skip_code  # loading the compiler: not at import

    for function in functions:
        skip_code(function.__code__)


class _Injected(torch.autograd.Function):
    """Features unchanged; their penalty gets a gradient of 1, whether or not it joins the loss."""

    @staticmethod
    def forward(ctx: Any, z: Tensor, value: Tensor) -> Tensor:
        ctx.save_for_backward(torch.ones_like(value))
        return z.view_as(z)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
        return gradient, ctx.saved_tensors[0]


@torch.library.custom_op("vcr_core::penalty", mutates_args=())
def penalty(  # noqa: PLR0917
    z: Tensor,
    weights: Tensor,
    index: Tensor | None,
    moments: bool,
    layer: str,
    target_std: float,
    eps: float,
    threshold: float | None,
    scale: str,
    tokens: str,
    pooled: bool,
    max_samples: int | None,
    ranks: str,
    nonfinite: str,
) -> Outputs:
    """The penalty of features in a layout of ``samples.py``, and what its gradient needs.

    The arguments after ``layer`` are the fields of ``PenaltyOptions``.
    """
    given = (target_std, eps, threshold, scale, tokens, pooled, max_samples, ranks, nonfinite)
    options = PenaltyOptions(*given)  # type: ignore[arg-type]
    return _found(z, weights, index, moments, layer, options)


@penalty.register_fake
def _(
    z: Tensor,
    weights: Tensor,
    index: Tensor | None,
    moments: bool,
    layer: str,
    *given: Any,
) -> Outputs:
    # The same code on tensors without numbers: nothing in it depends on them.
    return _found(z, weights, index, moments, layer, PenaltyOptions(*given))


def _found(  # noqa: PLR0917
    z: Tensor,
    weights: Tensor,
    index: Tensor | None,
    moments: bool,
    layer: str,
    options: PenaltyOptions,
) -> Outputs:
    passage = Passage(layer=layer, moments=moments)
    found: Found = outside_autocast(z, find, z, weights, index, options, passage, False)
    readings, gradient = found.readings, found.gradient
    count = readings.count
    if not isinstance(count, Tensor):
        count = z.new_zeros((0,))
    parts = (
        found.value,
        readings.variance,
        readings.covariance,
        readings.variances,
        count,
        found.mean,
        found.covariance,
        found.finite,
        *gradient,
    )
    return _Packed(*(_part(each, z) for each in parts))


def _part(part: Any, z: Tensor) -> Tensor:
    """A tensor of its own: the outputs of an operator share no memory, and lie as declared."""
    if part is None:
        return z.new_empty((0,))
    made: Tensor = part.detach().clone(memory_format=torch.contiguous_format)
    return made


@torch.library.custom_op("vcr_core::penalty_gradient", mutates_args=())
def penalty_gradient(  # noqa: PLR0917
    scale: Tensor,
    z: Tensor,
    index: Tensor | None,
    finite: Tensor,
    map_of_gradient: Sequence[Tensor],
    tokens: str,
    pooled: bool,
    max_samples: int | None,
    ranks: str,
) -> Tensor:
    """``scale`` times the gradient of the penalty with respect to ``z``, laid out as ``z``."""
    options = PenaltyOptions(
        tokens=tokens,  # type: ignore[arg-type]
        pooled=pooled,
        max_samples=max_samples,
        ranks=ranks,  # type: ignore[arg-type]
    )
    matrix, *others = map_of_gradient
    parts = PenaltyGradient(matrix, *(each if each.numel() else None for each in others))
    saved = (index, finite if finite.numel() else None, *parts)
    total: Tensor = outside_autocast(z, added_gradient, None, z, scale, saved, options)
    result = torch.empty_like(z)
    return total if total.stride() == result.stride() else result.copy_(total)


@penalty_gradient.register_fake
def _(scale: Tensor, z: Tensor, *_: Any) -> Tensor:
    return torch.empty_like(z)


def _keep(ctx: Any, inputs: tuple[Any, ...], output: Outputs) -> None:
    z, _, index, *_ = inputs
    packed = _Packed(*output)
    ctx.mark_non_differentiable(*packed[1:])
    ctx.options = (inputs[9], inputs[10], inputs[11], inputs[12])
    ctx.has_index = index is not None
    ctx.save_for_backward(z, packed.finite, *packed[8:], *((index,) if ctx.has_index else ()))


def _backward(ctx: Any, grad_value: Tensor, *_: Any) -> tuple[Tensor | None, ...]:
    saved = ctx.saved_tensors
    index = saved[-1] if ctx.has_index else None
    z, finite, *parts = saved[:-1] if ctx.has_index else saved
    gradient: Tensor = penalty_gradient(grad_value, z, index, finite, parts, *ctx.options)
    return gradient, *(None,) * 13


penalty.register_autograd(_backward, setup_context=_keep)
