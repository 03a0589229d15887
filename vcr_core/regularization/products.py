"""The two matrix products that the penalty costs: Xcᵀ Xc in the forward, Xc @ M in the backward.

Both run over the features where they lie, in the layout that they have: rows (n, D) for vectors,
tokens and channels-last maps, images (N, C, L) for contiguous maps, and in chunks that stay in
cache between the operations on them. Nothing as large as the features is copied: what has to be
centred or cast to float32 first is so chunk by chunk.

Centring subtracts a ``shift`` (the mean of a few samples) and corrects for the small rest, so that
a feature mean of 10⁴ costs no precision. Where that mean is small beside the standard deviation
there is nothing to protect, and the products run on the raw features.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from vcr_core.regularization.onednn import (
    matrix_times,
    plus_square_of_maps,
    plus_square_of_rows,
    times_matrix,
)
from vcr_core.regularization.samples import feature_count, from_rows, on_host, sample_count, to_rows
from vcr_core.regularization.terms import statistics_dtype

PROBED_SAMPLES, PROBED_LOCATIONS = 64, 8
HARMLESS_MEAN = 3.0  # in standard deviations: costs a factor 1 + 3² of rounding error
MODERATE_MEAN = 30.0
ROWS_CHUNK_BYTES, MAPS_CHUNK_BYTES = 2**20, 2**21  # on a processor
ACCELERATOR_CHUNK_BYTES = 2**26


class Sums(NamedTuple):
    """First and second moments of n samples about a shift."""

    total: Tensor  # (D,) Σ (z − shift)
    scatter: Tensor  # (D, D) Σ (z − shift)ᵀ (z − shift)


def choose_shift(z: Tensor, *, host: bool) -> Tensor | None:
    """What to subtract from every sample of ``z`` before multiplying; ``None`` for nothing."""
    probe = _probe(z)
    variance, mean = torch.var_mean(probe, dim=(0, 2), correction=0)
    if host and is_harmless(mean, variance):  # elsewhere it would wait, or break the graph
        return None
    return _between(mean, probe)


def near_samples(mean: Tensor, z: Tensor) -> Tensor:
    """``mean`` (D,), moved to between a few samples of ``z``: for a constant feature, on it.

    A mean is rounded. Subtracted from a feature that is constant it would leave a constant, and
    with it a variance and a gradient that are not there.
    """
    return _between(mean, _probe(z))


def _between(mean: Tensor, probe: Tensor) -> Tensor:
    return mean.clamp(probe.amin(dim=(0, 2)), probe.amax(dim=(0, 2)))


def is_harmless(mean: Tensor, variances: Tensor) -> bool:
    """Whether products of uncentred features lose no precision that matters."""
    return _is_within(mean, variances, HARMLESS_MEAN)


def is_moderate(mean: Tensor, variances: Tensor) -> bool:
    """Whether samples less their ``mean`` lose no precision that matters.

    The loss grows with the mean in standard deviations, where that of ``is_harmless`` grows with
    its square.
    """
    return _is_within(mean, variances, MODERATE_MEAN)


def _is_within(mean: Tensor, variances: Tensor, deviations: float) -> bool:
    return torch.addcmul(variances, mean, mean, value=-(deviations**-2)).min().item() >= 0


def second_moments(z: Tensor, shift: Tensor | None) -> Sums:
    """Σ and scatter of the samples of ``z`` about ``shift``: the first product."""
    rows = has_rows(z)
    total, scatter = None, None
    for part in _chunks(z, shift):
        x = centred(_part(z, part), shift, rows=rows)
        scatter = plus_square_of_rows(scatter, x) if rows else plus_square_of_maps(scatter, x)
        sums = x.sum(dim=0 if rows else (0, 2))
        total = sums if total is None else total.add_(sums)
    assert total is not None
    assert scatter is not None
    return Sums(total, scatter)


def add_product(
    grad_output: Tensor | None, z: Tensor, shift: Tensor | None, matrix: Tensor, bias: Tensor | None
) -> Tensor:
    """grad_output + (z − shift) @ matrix + bias, in shape and type of ``z``: the second product.

    Shapes: ``matrix`` symmetric (D, D), ``bias`` (D,), ``None`` for 0.
    """
    rows = has_rows(z)
    parts = _chunks(z, shift)
    if rows and len(parts) == 1:
        return in_type(_rows_piece(grad_output, z, shift, matrix, bias), z.dtype)
    result = _empty(z)
    for part in parts:
        gradient = None if grad_output is None else grad_output[part]
        if rows:
            result[part] = _rows_piece(gradient, z[part], shift, matrix, bias)
        else:
            x = centred(z[part], shift, rows=False)
            start = None if gradient is None else centred(gradient, None, rows=False)
            matrix_times(start, x, matrix, bias, out=result[part].view(x.shape))
    return result


def centred(z: Tensor, shift: Tensor | None, *, rows: bool) -> Tensor:
    """``z`` − shift in the type of the statistics, as rows (n, D) or as images (N, C, L)."""
    x = to_rows(z) if rows else z.flatten(2)
    if x.dtype != torch.float32:
        x = x.to(statistics_dtype(x.dtype))
    if shift is None:
        return x
    return x - (shift if rows else shift[:, None])


def in_type(x: Tensor, dtype: torch.dtype) -> Tensor:
    """``x.to(dtype)``, without its call where there is nothing to do."""
    return x if x.dtype == dtype else x.to(dtype)


def has_rows(z: Tensor) -> bool:
    """Whether the features of a sample lie side by side (or the layout has no better order)."""
    return z.ndim <= 3 or z.stride(1) == 1


def _rows_piece(
    grad_output: Tensor | None, z: Tensor, shift: Tensor | None, matrix: Tensor, bias: Tensor | None
) -> Tensor:
    start = None if grad_output is None else centred(grad_output, None, rows=True)
    x = centred(z, shift, rows=True)
    return from_rows(times_matrix(start, x, matrix, bias), z.shape)


def _chunks(z: Tensor, shift: Tensor | None) -> list[slice]:
    """Slices along the first axis that stay in cache from one operation to the next.

    All of it where there is but one operation: rows that are neither centred nor cast. (Maps are
    put in another order for the product, by whoever computes it.)
    """
    count, rows = z.shape[0], has_rows(z)
    dtype = statistics_dtype(z.dtype)
    if rows and shift is None and z.dtype == dtype:
        return [slice(0, count)]
    on_cpu = ROWS_CHUNK_BYTES if rows else MAPS_CHUNK_BYTES
    budget = on_cpu if on_host(z) else ACCELERATOR_CHUNK_BYTES
    step = max(1, budget * count // max(1, z.numel() * dtype.itemsize))
    return [slice(start, start + step) for start in range(0, count, step)]


def _part(z: Tensor, part: slice) -> Tensor:
    return z if part.stop - part.start >= z.shape[0] else z[part]


def _probe(z: Tensor) -> Tensor:
    """At most about 64 samples, spread over the batch and over locations, as (N, D, L)."""
    maps = z.flatten(2) if z.ndim > 3 else z[:, :, None] if z.ndim < 3 else z.transpose(1, 2)
    locations = min(maps.shape[2], PROBED_LOCATIONS)
    every = max(1, maps.shape[0] * locations // PROBED_SAMPLES)
    probe = maps[::every, :, :: maps.shape[2] // locations]
    return probe.to(statistics_dtype(z.dtype))


def _empty(z: Tensor) -> Tensor:
    """An uninitialised tensor like ``z``, dense, in the order in which ``z`` is worked through."""
    if has_rows(z):
        return from_rows(z.new_empty(sample_count(z), feature_count(z)), z.shape)
    return z.new_empty(z.shape)
