"""Mean and covariance of a layer's samples.

Two forms of the same numbers. The covariance form makes C (D, D). Where there are fewer samples
than features, the Gram form makes G = Xc Xcᵀ / (n − 1) (n, n) instead, because

    ‖C‖_F² = ‖G‖_F²      and      Xc @ C = G @ Xc,

so that value and gradient of the square penalty need no D×D matrix at all.

Three ways to the same sums. Small layers, and those in the Gram form, are centred as a whole. A
medium one is measured as it lies, and again about its mean where that turns out to be large:
looking first costs more operations. A large one is looked at first and worked through in chunks
(products.py).
"""

from __future__ import annotations

from typing import Any, NamedTuple, cast

import torch
from torch import Tensor

from vcr_core.regularization.distributed import over_all_ranks
from vcr_core.regularization.onednn import product
from vcr_core.regularization.options import PenaltyOptions
from vcr_core.regularization.products import (
    centred,
    choose_shift,
    is_harmless,
    is_moderate,
    second_moments,
)
from vcr_core.regularization.samples import feature_count, sample_count

SMALL_NUMEL = 2**15  # features that are centred as a whole: 128 KiB in float32
MEDIUM_NUMEL = 2**20  # features that are measured as they lie, and again if that was unwise


class Statistics(NamedTuple):
    """What was measured; all tensors float32 or float64.

    The mean is ``shift`` + ``offset``, kept apart: their rounded sum would cost precision.
    """

    shift: Tensor | None  # (D,) subtracted before the second product; None stands for 0
    offset: Tensor | None  # (D,) what is left to subtract after it; None stands for 0
    variances: Tensor  # (D,)
    second: Tensor  # C (D, D), or in the Gram form G (n, n), times ``factor``
    factor: int
    count: Any  # n: an int, or a scalar tensor where it was summed over ranks
    is_gram: bool

    @property
    def mean(self) -> Tensor:
        """Mean of the samples (D,)."""
        if self.shift is None or self.offset is None:
            mean = self.offset if self.shift is None else self.shift
            return cast(Tensor, mean)
        return torch.add(self.shift, self.offset)

    @property
    def covariance(self) -> Tensor:
        """C (D, D), whole; not in the Gram form."""
        covariance: Tensor = self.second / self.factor
        return covariance


def measure(z: Tensor, options: PenaltyOptions, *, gram: bool, host: bool) -> Statistics:
    """Statistics of all samples of ``z``: the first matrix product.

    Args:
        z: features, detached, every location or token a sample.
        options: whose statistics, this rank's or all ranks'.
        gram: whether to use the Gram form.
        host: whether numbers can be read at once, see ``samples.on_host``.
    """
    local = options.ranks == "local"
    if gram or (local and z.numel() <= SMALL_NUMEL):
        return _whole(centred(z, None, rows=True), gram=gram, host=host)
    if not (host and local and z.numel() <= MEDIUM_NUMEL):
        return _not_negative(_in_chunks(z, choose_shift(z, host=host), options))
    found = _in_chunks(z, None, options)
    if is_harmless(found.mean, found.variances):
        return found
    return _not_negative(_in_chunks(z, found.mean, options))


def prefers_gram(z: Tensor, options: PenaltyOptions) -> bool:
    """Whether the n×n Gram matrix is the cheaper way to the same numbers."""
    few = sample_count(z) < feature_count(z)
    return few and options.threshold is None and options.ranks == "local"


def _whole(rows: Tensor, *, gram: bool, host: bool) -> Statistics:
    """Rows (n, D), centred; where their mean is large, twice."""
    count = rows.shape[0]
    shift = None if host else rows[0].clone()
    x = rows if shift is None else rows - shift
    mean, variances = _mean_and_variances(x, host=host)
    if host and not is_moderate(mean, variances):
        shift, x = mean, rows - mean
        mean, variances = _mean_and_variances(x, host=host)
    x = x - mean
    if gram:
        return Statistics(shift, mean, variances, product(x, x.T), count - 1, count, True)
    second = x.T @ x
    if shift is None:
        return Statistics(mean, None, variances, second, count - 1, count, False)
    return Statistics(shift, mean, variances, second, count - 1, count, False)


def _mean_and_variances(x: Tensor, *, host: bool) -> tuple[Tensor, Tensor]:
    """Mean and unbiased variances (D,) of rows (n, D)."""
    if not host or x.dtype != torch.float32:
        variances, mean = torch.var_mean(x, dim=0)
        return mean, variances
    mean, variances = torch.batch_norm_update_stats(x, None, None, 0.0)  # the fastest there is
    return mean, variances.mul_(x.shape[0] / (x.shape[0] - 1))


def _in_chunks(z: Tensor, shift: Tensor | None, options: PenaltyOptions) -> Statistics:
    """All samples about ``shift``, in the covariance form."""
    count: Any = sample_count(z)
    total, scatter = second_moments(z, shift)
    offset = total.mul_(1 / count)
    if options.ranks == "global":
        scatter = scatter.addr_(offset, offset, alpha=-count)
        offset, scatter, count = over_all_ranks(shift, offset, scatter, count)
        covariance = scatter.div_(count - 1)
    else:
        share = 1 / (count - 1)
        covariance = scatter.addr_(offset, offset, beta=share, alpha=-count * share)
    return Statistics(shift, offset, covariance.diagonal().clone(), covariance, 1, count, False)


def _not_negative(statistics: Statistics) -> Statistics:
    """With variances that rounding left below 0 set to 0."""
    return statistics._replace(variances=statistics.variances.clamp_(min=0))
