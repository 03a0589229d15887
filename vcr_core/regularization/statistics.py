"""Mean and covariance of a layer's samples, and the gradient of the penalty that they give.

Two forms of the same numbers. The covariance form makes C (D, D). Where there are fewer samples
than features, the Gram form makes G = Xc Xcᵀ / (n − 1) (n, n) instead, because

    ‖C‖_F² = ‖G‖_F²      and      Xc @ C = G @ Xc,

so that value and gradient of the square penalty need no D×D matrix at all.

Two ways to the same sums. A large layer is worked through in chunks, where it lies (products.py).
A small one is centred as a whole: there the number of operations costs more than the arithmetic.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from vcr_core.regularization.conventions import exact_factors
from vcr_core.regularization.distributed import over_all_ranks
from vcr_core.regularization.options import PenaltyOptions
from vcr_core.regularization.products import add_product, choose_shift, second_moments
from vcr_core.regularization.samples import feature_count, from_rows, sample_count, to_rows
from vcr_core.regularization.terms import covariance_term, statistics_dtype

SMALL_NUMEL = 2**18  # features that are centred as a whole: 1 MiB in float32

Scalar = Tensor | float


class Statistics(NamedTuple):
    """What the forward measured and the backward needs; all tensors float32 or float64.

    The mean is ``shift`` + ``offset``, kept apart: their rounded sum would cost precision.
    """

    shift: Tensor | None  # (D,) near the mean, see products.py; None stands for 0
    offset: Tensor  # (D,)
    variances: Tensor  # (D,)
    second: Tensor  # C (D, D), or in the Gram form G (n, n)
    count: Any  # n: an int, or a scalar tensor where it was summed over ranks

    @property
    def is_gram(self) -> bool:
        """Which form ``second`` has; never ambiguous, since the Gram form is used for n < D."""
        return self.second.shape[0] != self.offset.shape[0]

    @property
    def mean(self) -> Tensor:
        """Mean of the samples (D,)."""
        return self.offset if self.shift is None else self.shift + self.offset


class Readings(NamedTuple):
    """What is kept of a measured forward for whoever asks: nothing larger than (D,), detached."""

    variance: Tensor  # unweighted variance term
    covariance: Tensor  # unweighted covariance term
    variances: Tensor  # (D,)
    count: Any  # n, as in Statistics

    def noise_floor(self) -> Tensor:
        """Mean of s_i² s_j² / (n − 1) over i ≠ j: the covariance term of independent features."""
        size, squares = self.variances.shape[0], self.variances.square().sum()
        products: Tensor = self.variances.sum().square() - squares
        return products.div(size * (size - 1) * (self.count - 1))

    def active_hinges(self, options: PenaltyOptions) -> Tensor:
        """Share of the features whose standard deviation is below the target."""
        std = (self.variances + options.eps).sqrt()
        return (std < options.target_std).to(std.dtype).mean()


def measure(z: Tensor, options: PenaltyOptions, *, gram: bool) -> Statistics:
    """Statistics of all samples of ``z``: the first matrix product."""
    if gram or _is_small(z, options):
        return _small_statistics(z, gram=gram)
    count: Any = sample_count(z)
    shift = choose_shift(z)
    total, scatter = second_moments(z, shift)
    offset = total / count
    scatter = scatter.addr_(total, offset, alpha=-1)
    if options.ranks == "global":
        offset, scatter, count = over_all_ranks(shift, offset, scatter, count)
    covariance = scatter / (count - 1)
    return Statistics(shift, offset, covariance.diagonal().clamp(min=0), covariance, count)


def prefers_gram(z: Tensor, options: PenaltyOptions) -> bool:
    """Whether the n×n Gram matrix is the cheaper way to the same numbers."""
    plain_square = options.threshold is None and options.ranks == "local"
    return plain_square and sample_count(z) < feature_count(z)


def read(statistics: Statistics, options: PenaltyOptions) -> Readings:
    """The two unweighted terms of ``statistics``, as in ``terms.py``."""
    variances, second = statistics.variances, statistics.second
    shortfall = (options.target_std - (variances + options.eps).sqrt()).clamp_(min=0)
    if options.threshold is None:
        size = variances.shape[0]
        off_diagonal = (second * second).sum() - variances.dot(variances)
        covariance = off_diagonal.clamp_(min=0) / (size * (size - 1))
    else:
        covariance = covariance_term(second, threshold=options.threshold)
    return Readings(shortfall.mean(), covariance, variances, statistics.count)


def exact_weights(
    weights: tuple[float, float] | Tensor, options: PenaltyOptions, features: int, samples: Any
) -> tuple[Scalar, Scalar]:
    """α and β of the exact convention from the ``weights`` of ``options.scale``."""
    factors = exact_factors(options.scale, features=features, samples=samples)
    return weights[0] * factors.variance, weights[1] * factors.covariance


def add_gradient(
    grad_output: Tensor | None,
    z: Tensor,
    statistics: Statistics,
    weights: tuple[Scalar, Scalar],
    options: PenaltyOptions,
) -> Tensor:
    """``grad_output`` plus the gradient of the penalty: the second matrix product.

    Args:
        grad_output: gradient from above, in the shape of ``z``; ``None`` for none.
        z: the features that were measured.
        statistics: what ``measure`` returned for them.
        weights: exact α and β, with every rescaling of the loss multiplied in.
        options: target standard deviation, eps and threshold.
    """
    size, degrees = statistics.offset.shape[0], statistics.count - 1
    std = (statistics.variances + options.eps).sqrt_()
    diagonal = (std < options.target_std) / std * (weights[0] * (-1 / (size * degrees)))
    strength = weights[1] * (4 / (size * (size - 1) * degrees))
    if statistics.is_gram:
        diagonal = diagonal - statistics.variances * strength
        return _add_gram_product(grad_output, z, statistics, strength, diagonal)
    covariance = statistics.second
    if options.threshold is not None:
        covariance = covariance.clamp(-options.threshold, options.threshold)
    matrix = _with_diagonal(covariance * strength, diagonal)
    if _is_small(z, options):
        x = _centred(z, statistics)
        grad_rows = _rows_of(grad_output, x)
        result = x @ matrix if grad_rows is None else torch.addmm(grad_rows, x, matrix)
        return from_rows(result, z.shape).to(z.dtype)
    bias = -(statistics.offset @ matrix)
    return add_product(grad_output, z, statistics.shift, matrix, bias)


def _is_small(z: Tensor, options: PenaltyOptions) -> bool:
    return z.numel() <= SMALL_NUMEL and options.ranks == "local"


def _small_statistics(z: Tensor, *, gram: bool) -> Statistics:
    """All samples centred at once, about the first of them and then about their mean."""
    rows = to_rows(z).to(statistics_dtype(z.dtype))
    shift = rows[0].clone()
    x = rows - shift
    offset = x.mean(dim=0)
    x -= offset
    degrees = x.shape[0] - 1
    if gram:
        second = (x @ x.T).div_(degrees)
        variances = (x * x).sum(dim=0).div_(degrees)
    else:
        second = (x.T @ x).div_(degrees)
        variances = second.diagonal()
    return Statistics(shift, offset, variances, second, x.shape[0])


def _centred(z: Tensor, statistics: Statistics) -> Tensor:
    """The samples of ``z`` as centred rows (n, D), as ``_small_statistics`` made them."""
    rows = to_rows(z).to(statistics.offset.dtype)
    if statistics.shift is None:
        return rows - statistics.offset
    return rows.sub(statistics.shift).sub_(statistics.offset)


def _rows_of(gradient: Tensor | None, x: Tensor) -> Tensor | None:
    return None if gradient is None else to_rows(gradient).to(x.dtype)


def _add_gram_product(
    grad_output: Tensor | None,
    z: Tensor,
    statistics: Statistics,
    strength: Scalar,
    diagonal: Tensor,
) -> Tensor:
    """grad_output + strength · G @ Xc + Xc ∘ diagonal."""
    x = _centred(z, statistics)
    grad_rows = _rows_of(grad_output, x)
    result = x * diagonal if grad_rows is None else torch.addcmul(grad_rows, x, diagonal)
    result = torch.addmm(result, statistics.second * strength, x)
    return from_rows(result, z.shape).to(z.dtype)


def _with_diagonal(matrix: Tensor, diagonal: Tensor) -> Tensor:
    """``matrix`` with its diagonal replaced."""
    if torch.compiler.is_compiling():  # torch 2.15's inductor miscompiles the write in place
        return matrix - torch.diag(matrix.diagonal() - diagonal)
    matrix.diagonal().copy_(diagonal)
    return matrix
