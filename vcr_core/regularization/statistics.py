"""Mean and covariance of a layer's samples, and the gradient of the penalty that they give.

Two forms of the same numbers. The covariance form makes C (D, D). Where there are fewer samples
than features, the Gram form makes G = Xc Xcᵀ / (n − 1) (n, n) instead, because

    ‖C‖_F² = ‖G‖_F²      and      Xc @ C = G @ Xc,

so that value and gradient of the square penalty need no D×D matrix at all.

Three ways to the same sums. A small layer is centred as a whole: there the number of operations
costs more than the arithmetic. A medium one is measured as it lies, and again about its mean where
that turns out to be large. A large one is looked at first and then worked through in chunks
(products.py).

Scalars are plain numbers where the features lie on the host, since there they cost nothing to read
and a tensor for each would cost more than a small layer's arithmetic; on an accelerator, and while
compiling, they are tensors, and nothing waits for them.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from vcr_core.regularization.conventions import exact_factors
from vcr_core.regularization.distributed import over_all_ranks
from vcr_core.regularization.onednn import plus_product, product
from vcr_core.regularization.options import PenaltyOptions
from vcr_core.regularization.products import (
    add_product,
    choose_shift,
    is_harmless,
    second_moments,
)
from vcr_core.regularization.samples import (
    feature_count,
    from_rows,
    on_host,
    sample_count,
    to_rows,
)
from vcr_core.regularization.terms import covariance_term, statistics_dtype

SMALL_NUMEL = 2**15  # features that are centred as a whole: 128 KiB in float32
MEDIUM_NUMEL = 2**20  # features that are measured as they are, and again if that was unwise

Scalar = Tensor | float


class Statistics(NamedTuple):
    """What the forward measured and the backward needs; all tensors float32 or float64.

    The mean is ``shift`` + ``offset``, kept apart: their rounded sum would cost precision.
    """

    shift: Tensor | None  # (D,) near the mean, see products.py; None stands for 0
    offset: Tensor  # (D,)
    variances: Tensor  # (D,)
    second: Tensor  # C (D, D) with zeros on its diagonal, or in the Gram form G (n, n)
    count: Any  # n: an int, or a scalar tensor where it was summed over ranks

    @property
    def is_gram(self) -> bool:
        """Which form ``second`` has; never ambiguous, since the Gram form is used for n < D."""
        return self.second.shape[0] != self.offset.shape[0]

    @property
    def mean(self) -> Tensor:
        """Mean of the samples (D,)."""
        return self.offset if self.shift is None else self.shift + self.offset

    @property
    def covariance(self) -> Tensor:
        """C (D, D), whole; not in the Gram form."""
        return self.second + torch.diag(self.variances)


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
    if not _is_medium(z, options):
        return _statistics(z, choose_shift(z), options)
    found = _statistics(z, None, options)
    if is_harmless(found.offset, found.variances):
        return found
    return _statistics(z, found.offset, options)


def _statistics(z: Tensor, shift: Tensor | None, options: PenaltyOptions) -> Statistics:
    """All samples about ``shift``, in the covariance form."""
    count: Any = sample_count(z)
    total, scatter = second_moments(z, shift)
    offset = total / count
    if options.ranks == "global":
        scatter = scatter.addr_(total, offset, alpha=-1)
        offset, scatter, count = over_all_ranks(shift, offset, scatter, count)
        covariance = scatter.div_(count - 1)
    else:
        share = 1 / (count - 1)
        covariance = scatter.addr_(offset, offset, beta=share, alpha=-count * share)
    variances = covariance.diagonal().clamp(min=0)
    return Statistics(shift, offset, variances, _without_diagonal(covariance), count)


def prefers_gram(z: Tensor, options: PenaltyOptions) -> bool:
    """Whether the n×n Gram matrix is the cheaper way to the same numbers."""
    plain_square = options.threshold is None and options.ranks == "local"
    return plain_square and sample_count(z) < feature_count(z)


def read(statistics: Statistics, options: PenaltyOptions) -> tuple[Readings, Tensor]:
    """The two unweighted terms of ``statistics``, as in ``terms.py``, and the hinges' slope.

    The slope (D,) is −1[s_j < γ]/s_j: the gradient of Σ_j max(0, γ − s_j) with respect to the
    variances, times two.
    """
    variances, second = statistics.variances, statistics.second
    size = variances.shape[0]
    std = (variances + options.eps).sqrt_()
    excess = (std - options.target_std).clamp_(max=0)
    variance = plain(excess.sum()) / -size
    if options.threshold is not None:
        covariance = plain(covariance_term(second, threshold=options.threshold))
    else:
        total = plain(_sum_of_squares(second))
        if statistics.is_gram:
            total = _not_negative(total - plain(variances.dot(variances)))
        covariance = total / (size * (size - 1))
    readings = Readings(variance, covariance, variances, statistics.count)
    return readings, excess.sign_().div_(std)


def plain(scalar: Tensor) -> Scalar:
    """A number where that costs no waiting: see the module's first lines."""
    return scalar.item() if on_host(scalar) else scalar


def exact_weights(
    weights: tuple[float, float] | Tensor, options: PenaltyOptions, features: int, samples: Any
) -> tuple[Scalar, Scalar]:
    """α and β of the exact convention from the ``weights`` of ``options.scale``."""
    factors = exact_factors(options.scale, features=features, samples=samples)
    return weights[0] * factors.variance, weights[1] * factors.covariance


def add_gradient(  # noqa: PLR0917
    grad_output: Tensor | None,
    z: Tensor,
    statistics: Statistics,
    slope: Tensor,
    weights: tuple[Scalar, Scalar],
    options: PenaltyOptions,
) -> Tensor:
    """``grad_output`` plus the gradient of the penalty: the second matrix product.

    Args:
        grad_output: gradient from above, in the shape of ``z``; ``None`` for none.
        z: the features that were measured.
        statistics: what ``measure`` returned for them.
        slope: of the hinges, from ``read``.
        weights: exact α and β, with every rescaling of the loss multiplied in.
        options: target standard deviation, eps and threshold.
    """
    size, degrees = statistics.offset.shape[0], statistics.count - 1
    pull = weights[0] * (1 / (size * degrees))
    push = weights[1] * (4 / (size * (size - 1) * degrees))
    second = statistics.second
    if options.threshold is not None:
        second = second.clamp(-options.threshold, options.threshold)
    diagonal = slope * pull
    if statistics.is_gram:
        diagonal -= statistics.variances * push
    if statistics.is_gram or _is_small(z, options):
        x = _centred(z, statistics)
        start = None if grad_output is None else to_rows(grad_output).to(x.dtype)
        second = second * push
        left, right = (second, x) if statistics.is_gram else (x, second)
        result = plus_product(start, left, right).addcmul_(x, diagonal)
        return from_rows(result, z.shape).to(z.dtype)
    matrix = _with_diagonal(second * push, diagonal)
    bias = -(statistics.offset @ matrix)
    return add_product(grad_output, z, statistics.shift, matrix, bias)


def _is_small(z: Tensor, options: PenaltyOptions) -> bool:
    return z.numel() <= SMALL_NUMEL and options.ranks == "local"


def _is_medium(z: Tensor, options: PenaltyOptions) -> bool:
    """Where looking first costs more than measuring twice, should it come to that."""
    return on_host(z) and z.numel() <= MEDIUM_NUMEL and options.ranks == "local"


def _small_statistics(z: Tensor, *, gram: bool) -> Statistics:
    """All samples centred at once, about the first of them and then about their mean."""
    rows = to_rows(z).to(statistics_dtype(z.dtype))
    shift = rows[0].clone()
    x = rows - shift
    offset = x.mean(dim=0)
    x -= offset
    share = 1 / (x.shape[0] - 1)
    if gram:
        second = product(x, x.T).mul_(share)
        variances = x.square_().sum(dim=0).mul_(share)
    else:
        second = torch.addmm(offset, x.T, x, beta=0, alpha=share)
        variances = second.diagonal().clone()
        second = _without_diagonal(second)
    return Statistics(shift, offset, variances, second, x.shape[0])


def _centred(z: Tensor, statistics: Statistics) -> Tensor:
    """The samples of ``z`` as centred rows (n, D), as ``_small_statistics`` made them."""
    rows = to_rows(z).to(statistics.offset.dtype)
    if statistics.shift is None:
        return rows - statistics.offset
    return rows.sub(statistics.shift).sub_(statistics.offset)


def _sum_of_squares(matrix: Tensor) -> Tensor:
    flat = matrix.flatten()
    return flat.dot(flat)


def _not_negative(scalar: Scalar) -> Scalar:
    return scalar.clamp(min=0) if isinstance(scalar, Tensor) else max(scalar, 0.0)


def _without_diagonal(matrix: Tensor) -> Tensor:
    """``matrix``, which may be written to, with zeros on its diagonal."""
    if torch.compiler.is_compiling():  # torch 2.15's inductor miscompiles the write in place
        return matrix - torch.diag(matrix.diagonal())
    return matrix.fill_diagonal_(0)


def _with_diagonal(matrix: Tensor, diagonal: Tensor) -> Tensor:
    """``matrix``, which has zeros on its diagonal and may be written to, with this one."""
    if torch.compiler.is_compiling():  # as above
        return matrix + torch.diag(diagonal)
    matrix.diagonal().copy_(diagonal)
    return matrix
