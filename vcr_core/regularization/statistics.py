"""Mean and covariance of a layer's samples, and the gradient of the penalty that they give.

Two forms of the same numbers. The covariance form makes C (D, D). Where there are fewer samples
than features, the Gram form makes G = Xc Xcᵀ / (n − 1) (n, n) instead, because

    ‖C‖_F² = ‖G‖_F²      and      Xc @ C = G @ Xc,

so that value and gradient of the square penalty need no D×D matrix at all.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from vcr_core.regularization.conventions import exact_factors
from vcr_core.regularization.distributed import over_all_ranks
from vcr_core.regularization.options import PenaltyOptions
from vcr_core.regularization.products import add_product, centred, choose_shift, second_moments
from vcr_core.regularization.samples import feature_count, from_rows, sample_count, to_rows
from vcr_core.regularization.terms import covariance_term, variance_term

VARIANCE, COVARIANCE, NOISE_FLOOR, ACTIVE_HINGES, COUNT = range(5)  # places in ``readings``


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


def measure(z: Tensor, options: PenaltyOptions, *, gram: bool) -> Statistics:
    """Statistics of all samples of ``z``: the first matrix product."""
    if gram:
        return _gram_statistics(z)
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


def readings(statistics: Statistics, options: PenaltyOptions) -> Tensor:
    """Unweighted variance and covariance term, noise floor, share of active hinges, n: (5,)."""
    variances, size = statistics.variances, statistics.offset.shape[0]
    squares, pairs = variances.square().sum(), size * (size - 1)
    if statistics.is_gram:
        covariance = (statistics.second.square().sum() - squares).clamp(min=0) / pairs
    else:
        covariance = covariance_term(statistics.second, threshold=options.threshold)
    floor = (variances.sum().square() - squares) / (pairs * (statistics.count - 1))
    gate = (variances + options.eps).sqrt() < options.target_std
    return torch.stack(
        (
            variance_term(variances, target_std=options.target_std, eps=options.eps),
            covariance,
            floor,
            gate.to(variances.dtype).mean(),
            torch.as_tensor(statistics.count, dtype=variances.dtype, device=variances.device),
        )
    )


def exact_weights(
    weights: Tensor, options: PenaltyOptions, statistics: Statistics
) -> tuple[Tensor, Tensor]:
    """α and β of the exact convention, as scalars, from ``weights`` (2,) of ``options.scale``."""
    factors = exact_factors(
        options.scale, features=statistics.offset.shape[0], samples=statistics.count
    )
    return weights[0] * factors.variance, weights[1] * factors.covariance


def add_gradient(
    grad_output: Tensor | None,
    z: Tensor,
    statistics: Statistics,
    weights: tuple[Tensor, Tensor],
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
    std = (statistics.variances + options.eps).sqrt()
    gate = (std < options.target_std) / std
    diagonal = gate * (weights[0] * (-1 / (size * degrees)))
    strength = weights[1] * (4 / (size * (size - 1) * degrees))
    if statistics.is_gram:
        diagonal -= strength * statistics.variances
        return _add_gram_product(grad_output, z, statistics, strength, diagonal)
    covariance = statistics.second
    if options.threshold is not None:
        covariance = covariance.clamp(-options.threshold, options.threshold)
    matrix = covariance * strength
    # not in place: torch 2.15's inductor miscompiles a write to the diagonal here
    matrix = matrix - torch.diag(matrix.diagonal() - diagonal)
    bias = -(statistics.offset @ matrix)
    return add_product(grad_output, z, statistics.shift, matrix, bias)


def _gram_statistics(z: Tensor) -> Statistics:
    shift = choose_shift(z)
    x = centred(z, shift, rows=True)
    offset = x.mean(dim=0)
    x = x - offset
    degrees = x.shape[0] - 1
    variances = x.square().sum(dim=0) / degrees
    return Statistics(shift, offset, variances, (x @ x.T) / degrees, x.shape[0])


def _add_gram_product(
    grad_output: Tensor | None,
    z: Tensor,
    statistics: Statistics,
    strength: Tensor,
    diagonal: Tensor,
) -> Tensor:
    """grad_output + strength · G @ Xc + Xc ∘ diagonal."""
    x = centred(z, statistics.shift, rows=True) - statistics.offset
    result = torch.addcmul((statistics.second * strength) @ x, x, diagonal)
    if grad_output is not None:
        result += to_rows(grad_output)
    return from_rows(result, z.shape).to(z.dtype)
