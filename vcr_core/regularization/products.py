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

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from vcr_core.regularization.onednn import (
    add_square_of_maps,
    add_square_of_rows,
    matrix_times,
    times_matrix,
)
from vcr_core.regularization.samples import feature_count, from_rows, on_host, sample_count, to_rows
from vcr_core.regularization.terms import statistics_dtype

PROBED_SAMPLES, PROBED_LOCATIONS = 64, 8
HARMLESS_MEAN = 3.0  # in standard deviations: costs a factor 1 + 3² of rounding error
ROWS_CHUNK_BYTES, MAPS_CHUNK_BYTES = 2**20, 2**21  # on a processor
ACCELERATOR_CHUNK_BYTES = 2**26


class Sums(NamedTuple):
    """First and second moments of n samples about a shift."""

    total: Tensor  # (D,) Σ (z − shift)
    scatter: Tensor  # (D, D) Σ (z − shift)ᵀ (z − shift)


def choose_shift(z: Tensor) -> Tensor | None:
    """What to subtract from every sample of ``z`` before multiplying; ``None`` for nothing."""
    probe = _probe(z)
    if not on_host(z):
        return probe.mean(dim=(0, 2))  # the choice below would wait, or break the graph
    variance, shift = torch.var_mean(probe, dim=(0, 2), correction=0)
    return None if is_harmless(shift, variance) else shift


def is_harmless(mean: Tensor, variances: Tensor) -> bool:
    """Whether products of uncentred features lose no precision that matters."""
    return torch.addcmul(variances, mean, mean, value=-(HARMLESS_MEAN**-2)).min().item() >= 0


def second_moments(z: Tensor, shift: Tensor | None) -> Sums:
    """Σ and scatter of the samples of ``z`` about ``shift``: the first product."""
    size = feature_count(z)
    dtype = statistics_dtype(z.dtype)
    rows = has_rows(z)
    total, scatter = z.new_zeros(size, dtype=dtype), z.new_zeros(size, size, dtype=dtype)
    for part in _chunks(z, shift):
        x = centred(z[part], shift, rows=rows)
        if rows:
            add_square_of_rows(scatter, x)
        else:
            add_square_of_maps(scatter, x)
        total += x.sum(dim=0 if rows else (0, 2))
    return Sums(total, scatter)


def add_product(
    grad_output: Tensor | None, z: Tensor, shift: Tensor | None, matrix: Tensor, bias: Tensor
) -> Tensor:
    """grad_output + (z − shift) @ matrix + bias, in shape and type of ``z``: the second product.

    Shapes: ``matrix`` symmetric (D, D), ``bias`` (D,).
    """
    rows = has_rows(z)
    parts = list(_chunks(z, shift))
    if rows and len(parts) == 1:
        return _rows_piece(grad_output, z, shift, matrix, bias).to(z.dtype)
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
    x = x.to(statistics_dtype(z.dtype))
    if shift is None:
        return x
    return x - (shift if rows else shift[:, None])


def has_rows(z: Tensor) -> bool:
    """Whether the features of a sample lie side by side (or the layout has no better order)."""
    return z.ndim <= 3 or z.stride(1) == 1


def _rows_piece(
    grad_output: Tensor | None, z: Tensor, shift: Tensor | None, matrix: Tensor, bias: Tensor
) -> Tensor:
    start = None if grad_output is None else centred(grad_output, None, rows=True)
    x = centred(z, shift, rows=True)
    return from_rows(times_matrix(start, x, matrix, bias), z.shape)


def _chunks(z: Tensor, shift: Tensor | None) -> Iterator[slice]:
    """Slices along the first axis that stay in cache from one operation to the next.

    All of it where there is but one operation: rows that are neither centred nor cast. (Maps are
    put in another order for the product, by whoever computes it.)
    """
    dtype = statistics_dtype(z.dtype)
    rows = has_rows(z)
    is_whole = rows and shift is None and z.dtype == dtype
    on_cpu = ROWS_CHUNK_BYTES if rows else MAPS_CHUNK_BYTES
    budget = on_cpu if on_host(z) else ACCELERATOR_CHUNK_BYTES
    bytes_each = max(1, z[0].numel()) * dtype.itemsize
    step = z.shape[0] if is_whole else max(1, budget // bytes_each)
    for start in range(0, z.shape[0], step):
        yield slice(start, start + step)


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
