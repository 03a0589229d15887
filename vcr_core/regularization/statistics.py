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
    near_samples,
    second_moments,
)
from vcr_core.regularization.samples import feature_count, sample_count

SMALL_NUMEL = 2**15  # features that are centred as a whole: 128 KiB in float32
MEDIUM_NUMEL = 2**20  # features that are measured as they lie, and again if that was unwise
FEW_SAMPLES, FEW_SAMPLES_ON_ACCELERATOR = 1, 32  # n times this below D: the Gram form
SMALL_SUM = 2**14
CANCELLING = 16.0  # ‖C‖_F² over the part off the diagonal, from which on the Gram form will not do


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
    dtype: torch.dtype  # of what is read
    squares: Any = None  # in the Gram form Σ_{i≠j} C_ij², times ``factor``²: a float or a scalar

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
    if gram:
        found = _gram(z, host=host)
        if found is not None:
            return found
    if local and z.numel() <= SMALL_NUMEL:
        return _whole(z, host=host)
    if not (host and local and z.numel() <= MEDIUM_NUMEL):
        return _not_negative(_in_chunks(z, choose_shift(z, host=host), options))
    found = _in_chunks(z, None, options)
    if is_harmless(found.mean, found.variances):
        return found
    return _not_negative(_in_chunks(z, near_samples(found.mean, z), options))


def sum_of_squares(matrix: Tensor) -> Tensor:
    """‖matrix‖_F², in parts: in one long sum the small entries are lost beside a wide feature.

    One sum is exact enough for a small matrix, and one operation.
    """
    if matrix.numel() <= SMALL_SUM:
        entries = matrix.view(-1)
        return entries.dot(entries)
    norms: Tensor = torch.linalg.vector_norm(matrix, dim=1)
    return norms.dot(norms)


def prefers_gram(z: Tensor, options: PenaltyOptions) -> bool:
    """Whether the n×n Gram matrix is the cheaper way to the same numbers.

    On an accelerator the D×D products cost little, and the Gram form has to be computed in float64,
    see ``_gram``: only where C would be many times as large as G.
    """
    few = FEW_SAMPLES if z.is_cpu else FEW_SAMPLES_ON_ACCELERATOR
    if sample_count(z) * few >= feature_count(z):
        return False
    has_float64 = z.device.type != "mps"
    return has_float64 and options.threshold is None and options.ranks == "local"


def _whole(z: Tensor, *, host: bool) -> Statistics:
    """All samples, centred at once, in the covariance form."""
    rows = centred(z, None, rows=True)
    shift, mean, variances, x = _centred_rows(rows, host=host)
    second, count = x.T @ x, rows.shape[0]
    shift, offset = (mean, None) if shift is None else (shift, mean)
    return Statistics(shift, offset, variances, second, count - 1, count, rows.dtype)


def _gram(z: Tensor, *, host: bool) -> Statistics | None:
    """All samples in the Gram form; ``None`` where that would cost precision.

    It knows Σ_{i≠j} C_ij² as ‖G‖_F² − Σ s⁴ alone. Where one feature is much wider than the others
    the two differ by little, and float32 keeps few digits of that: relative to the result, the
    error is that of float32 times ``CANCELLING`` at most, and the covariance form is taken beyond.
    Where nothing can be looked at in time, G is formed in float64 instead.
    """
    rows = centred(z, None, rows=True)
    dtype = rows.dtype
    if not host:
        rows = rows.double()
    shift, mean, variances, x = _centred_rows(rows, host=host)
    second, degrees = product(x, x.T), rows.shape[0] - 1
    total: Any = sum_of_squares(second)
    own: Any = variances.dot(variances)
    if host:
        total, own = total.item(), own.item()
    squares = total - own * degrees**2
    if host and squares * CANCELLING < total:
        return None
    return Statistics(shift, mean, variances, second, degrees, degrees + 1, dtype, squares)


def _centred_rows(rows: Tensor, *, host: bool) -> tuple[Tensor | None, Tensor, Tensor, Tensor]:
    """Shift, mean of what is left, variances and centred rows (n, D).

    Where a mean is large beside the standard deviation, or cannot be looked at, rows are centred
    twice, and first about a number between the samples: then a constant feature leaves zeros.
    """
    mean, variances = _mean_and_variances(rows, host=host)
    if host and is_moderate(mean, variances):
        return None, mean, variances, rows - mean
    shift = mean.clamp(rows.amin(dim=0), rows.amax(dim=0))
    x = rows - shift
    mean, variances = _mean_and_variances(x, host=host)
    return shift, mean, variances, x - mean


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
    return Statistics(
        shift, offset, covariance.diagonal().clone(), covariance, 1, count, covariance.dtype
    )


def _not_negative(statistics: Statistics) -> Statistics:
    """With variances that rounding left below 0 set to 0."""
    return statistics._replace(variances=statistics.variances.clamp_(min=0))
