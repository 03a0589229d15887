"""The penalty of measured statistics: its two terms, and its gradient as a linear map.

With C the covariance of the samples Z (n, D), s their standard deviations, G their Gram matrix and
g = 1[s < γ]/s, the gradient is

    (Z − mean) @ M,   M = 4β/(D(D − 1)(n − 1)) · clip(offdiag(C), −δ, δ) − α/(D(n − 1)) · diag(g),

or in the Gram form, where M is never made,

    4β/(D(D − 1)(n − 1)) · (G @ Z − (Z − mean) · s²) − α/(D(n − 1)) · (Z − mean) · g.

The map is made where its ingredients are in cache; the backward applies it.

Scalars are plain numbers where the features lie on the host, since there they cost nothing to read
and a tensor for each would cost more than a small layer's arithmetic; on an accelerator, and while
compiling, they are tensors, and nothing waits for them.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor

from vcr_core.regularization.conventions import exact_factors
from vcr_core.regularization.onednn import plus_product
from vcr_core.regularization.options import PenaltyOptions
from vcr_core.regularization.products import add_product, centred, in_type
from vcr_core.regularization.samples import from_rows, to_rows
from vcr_core.regularization.statistics import Statistics, sum_of_squares
from vcr_core.regularization.terms import mean_product

Scalar = Tensor | float
LARGEST = torch.finfo(torch.float32).max


class Readings(NamedTuple):
    """What is kept of a measured forward for whoever asks: nothing larger than (D,), detached."""

    variance: Scalar  # unweighted variance term
    covariance: Scalar  # unweighted covariance term
    variances: Tensor  # (D,)
    count: Any  # n, as in Statistics

    def terms(self) -> tuple[Tensor, Tensor]:
        """The two unweighted terms as scalar tensors."""
        like = self.variances
        return (
            torch.as_tensor(self.variance, dtype=like.dtype, device=like.device),
            torch.as_tensor(self.covariance, dtype=like.dtype, device=like.device),
        )

    def noise_floor(self) -> Tensor:
        """Mean of s_i² s_j² / (n − 1) over i ≠ j: the covariance term of independent features."""
        floor: Tensor = mean_product(self.variances) / (self.count - 1)
        return floor

    def in_type(self, dtype: torch.dtype) -> Readings:
        """The same in tensors of ``dtype``."""
        if self.variances.dtype == dtype:
            return self
        variance, covariance = (
            each.to(dtype) if isinstance(each, Tensor) else each for each in self[:2]
        )
        return Readings(variance, covariance, self.variances.to(dtype), self.count)

    def of_lost(self, samples: Tensor) -> Readings:
        """With variances that are NaN only where ``samples`` are not finite, not by an overflow."""
        variances = to_rows(samples).double().var(dim=0)
        return self._replace(variances=variances.to(self.variances.dtype))

    def active_hinges(self, options: PenaltyOptions) -> Tensor:
        """Share of the features whose standard deviation is below the target."""
        std = (self.variances + options.eps).sqrt()
        return (std < options.target_std).to(std.dtype).mean()


class PenaltyGradient(NamedTuple):
    """The map, in the type of the statistics; x stands for z − ``shift``.

    x @ ``matrix`` + ``bias``                               with a matrix (D, D)
    ``matrix`` @ x + (x − ``offset``) · ``diagonal``        in the Gram form, with a matrix (n, n)

    What is ``None`` stands for 0.
    """

    matrix: Tensor  # symmetric
    shift: Tensor | None = None  # (D,)
    bias: Tensor | None = None  # (D,)
    diagonal: Tensor | None = None  # (D,), in the Gram form only
    offset: Tensor | None = None  # (D,), in the Gram form only

    def times(self, scale: Scalar) -> PenaltyGradient:
        """The map of the penalty times ``scale``."""
        diagonal = None if self.diagonal is None else self.diagonal * scale
        bias = None if self.bias is None else self.bias * scale
        return self._replace(matrix=self.matrix * scale, bias=bias, diagonal=diagonal)

    def added_to(self, grad_output: Tensor | None, z: Tensor) -> Tensor:
        """``grad_output`` (``None``: 0) plus the gradient at ``z``: the second matrix product."""
        matrix, shift, bias, diagonal, offset = self
        if diagonal is None:
            return add_product(grad_output, z, shift, matrix, bias)
        x = in_type(centred(z, None, rows=True), matrix.dtype)
        if shift is not None:
            x = x - shift
        start = None if grad_output is None else in_type(to_rows(grad_output), matrix.dtype)
        result = plus_product(start, matrix, x).addcmul_(x, diagonal)
        if offset is not None:
            result.addcmul_(offset, diagonal, value=-1)
        return in_type(from_rows(result, z.shape), z.dtype)


class Penalty(NamedTuple):
    """What ``penalty_of`` returns."""

    value: Scalar  # α · l_var + β · l_cov
    readings: Readings
    gradient: PenaltyGradient


def penalty_of(
    statistics: Statistics,
    weights: tuple[Scalar, Scalar] | Tensor,
    options: PenaltyOptions,
    *,
    host: bool,
) -> Penalty:
    """Value, terms and gradient of the penalty, as in ``terms.py``.

    Args:
        statistics: of one layer; their ``second`` is written over.
        weights: α and β in the convention ``options.scale``, as two numbers or a tensor (2,).
        options: γ, eps, δ and the convention.
        host: whether numbers can be read at once, see ``samples.on_host``.
    """
    variances, factor, count = statistics.variances, statistics.factor, statistics.count
    size, degrees = variances.shape[0], count - 1
    pairs = size * (size - 1)
    alpha, beta = exact_weights(weights, options, size, count)
    if host:
        alpha, beta = float(alpha), float(beta)
    elif isinstance(beta, Tensor):
        beta = in_type(beta, variances.dtype)  # rounded, it would not cancel in the Gram form
    std = (variances + options.eps).sqrt_()
    excess = (std - options.target_std).clamp_(max=0)
    variance = _number(excess.sum(), host) / -size
    squares, pull = statistics.squares, statistics.second
    if squares is None:
        squares, pull = _off_diagonal(statistics, options)
        squares = _number(squares, host)
    covariance = squares / (factor**2 * pairs)
    slope = excess.sign_().div_(std).mul_(alpha * (1 / (size * degrees)))
    gradient = _gradient(statistics, pull, slope, beta * (4 / (pairs * degrees)))
    readings = Readings(variance, covariance, variances, count)
    if not host:
        readings = readings.in_type(statistics.dtype)
    value = alpha * readings.variance + beta * readings.covariance
    if host and not value <= LARGEST:
        value = _beyond(alpha, variance, beta, covariance, statistics.dtype)
    return Penalty(value, readings, gradient)


def _off_diagonal(statistics: Statistics, options: PenaltyOptions) -> tuple[Tensor, Tensor]:
    """Σ_{i≠j} h(C_ij) and clip(offdiag(C), −δ, δ), in units of ``factor``² and ``factor``.

    The diagonal is set to 0 before anything is summed: taken off the sum of all squares, it would
    leave nothing but rounding where one feature is a hundred times as wide as the others.
    """
    second = statistics.second
    second.fill_diagonal_(0)
    if options.threshold is None:
        return sum_of_squares(second), second
    limit = options.threshold * statistics.factor
    clipped = second.clamp(-limit, limit)
    return second.mul_(2).sub_(clipped).mul_(clipped).sum(), clipped


def is_finite(value: Scalar) -> Tensor | bool:
    """Whether a scalar is neither NaN nor infinite."""
    return value.isfinite() if isinstance(value, Tensor) else math.isfinite(value)


def why_not_finite(variances: Tensor | None, where: str) -> str:
    """The sentence for a penalty that is not finite: the features' fault, or their size's.

    Args:
        variances: of the features behind it, as in ``Readings``, where they are known.
        where: follows what is said, for example "in layer 'x'".
    """
    if variances is None or bool(variances.isnan().any()):
        return f"expected finite features, got NaN or Inf {where}: lower the learning rate or the"
    largest = float(variances.max())
    size = f"of {math.sqrt(largest):.3g}" if math.isfinite(largest) else "too large for float32"
    return (
        f"expected a penalty that {variances.dtype} can hold, got an overflow {where}, whose "
        f"features are finite with a largest standard deviation {size}: normalise the features, "
        "lower the learning rate or the"
    )


def _beyond(
    alpha: Scalar, variance: Scalar, beta: Scalar, covariance: Scalar, dtype: torch.dtype
) -> Scalar:
    """The value on the host where it is large or NaN: infinite where ``dtype`` cannot hold it.

    A term without weight counts for nothing, even where it overflows.
    """
    value = alpha * variance if alpha else 0.0
    value += beta * covariance if beta else 0.0
    return math.inf if value > torch.finfo(dtype).max else value


def exact_weights(
    weights: tuple[Scalar, Scalar] | Tensor, options: PenaltyOptions, features: int, samples: Any
) -> tuple[Scalar, Scalar]:
    """α and β of the exact convention from the ``weights`` of ``options.scale``."""
    factors = exact_factors(options.scale, features=features, samples=samples)
    return weights[0] * factors.variance, weights[1] * factors.covariance


def _number(scalar: Tensor, host: bool) -> Any:
    return scalar.item() if host else scalar


def _gradient(statistics: Statistics, pull: Tensor, slope: Tensor, push: Scalar) -> PenaltyGradient:
    """The map of the gradient, from the hinges' part ``slope`` and ``push`` times C's ``pull``."""
    shift, offset, variances = statistics.shift, statistics.offset, statistics.variances
    matrix = pull.mul_(push / statistics.factor)
    if statistics.squares is not None:
        diagonal = slope.sub_(variances * push)
        return PenaltyGradient(matrix, shift, diagonal=diagonal, offset=offset)
    matrix.diagonal().copy_(slope)
    bias = None
    if offset is not None:
        bias = torch.addmv(offset, matrix, offset, beta=0, alpha=-1)
    return PenaltyGradient(matrix, shift, bias)
