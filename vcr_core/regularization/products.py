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

from vcr_core.regularization.samples import feature_count, from_rows, sample_count, to_rows
from vcr_core.regularization.terms import statistics_dtype

PROBED_SAMPLES = 64
HARMLESS_MEAN = 2.0  # in standard deviations: costs a factor 1 + 2² of rounding error
HARMLESS_SHARE = HARMLESS_MEAN**2 / (1 + HARMLESS_MEAN**2)  # of mean² in the mean square
CPU_CHUNK_BYTES = 2**20
ACCELERATOR_CHUNK_BYTES = 2**26


class Sums(NamedTuple):
    """First and second moments of n samples about a shift."""

    total: Tensor  # (D,) Σ (z − shift)
    scatter: Tensor  # (D, D) Σ (z − shift)ᵀ (z − shift)


def choose_shift(z: Tensor) -> Tensor | None:
    """What to subtract from every sample of ``z`` before multiplying; ``None`` for nothing."""
    probe = _probe(z)
    shift = probe.mean(dim=0)
    if z.device.type != "cpu" or torch.compiler.is_compiling():
        return shift  # the choice below would wait for the device, or break the graph
    squares = (probe * probe).mean(dim=0)  # = variance + mean²
    harmless = bool((shift * shift <= squares * HARMLESS_SHARE).all())
    return None if harmless else shift


def second_moments(z: Tensor, shift: Tensor | None) -> Sums:
    """Σ and scatter of the samples of ``z`` about ``shift``: the first product."""
    size = feature_count(z)
    dtype = statistics_dtype(z.dtype)
    rows = has_rows(z)
    total, scatter = z.new_zeros(size, dtype=dtype), z.new_zeros(size, size, dtype=dtype)
    for part in _chunks(z):
        x = centred(z[part], shift, rows=rows)
        if rows:
            scatter.addmm_(x.T, x)
            total.addmv_(x.T, x.new_ones(x.shape[0]))
        else:
            scatter.addbmm_(x, x.transpose(1, 2))
            total += (x @ x.new_ones(x.shape[2])).sum(dim=0)
    return Sums(total, scatter)


def add_product(
    grad_output: Tensor | None, z: Tensor, shift: Tensor | None, matrix: Tensor, bias: Tensor
) -> Tensor:
    """grad_output + (z − shift) @ matrix + bias, in shape and type of ``z``: the second product.

    Shapes: ``matrix`` symmetric (D, D), ``bias`` (D,).
    """
    parts = list(_chunks(z))
    if len(parts) == 1 or (shift is None and z.dtype == matrix.dtype):  # nothing to copy
        return _piece(grad_output, z, shift, matrix, bias).to(z.dtype)
    result = _empty(z)
    for part in parts:
        gradient = None if grad_output is None else grad_output[part]
        result[part] = _piece(gradient, z[part], shift, matrix, bias)
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


def _piece(
    grad_output: Tensor | None, z: Tensor, shift: Tensor | None, matrix: Tensor, bias: Tensor
) -> Tensor:
    rows = has_rows(z)
    x = centred(z, shift, rows=rows)
    offset = bias if rows else bias[:, None]
    if grad_output is None:
        result = offset.expand(x.shape).contiguous()
    else:
        result = centred(grad_output, -bias, rows=rows)
    if rows:
        return from_rows(result.addmm_(x, matrix), z.shape)
    return result.baddbmm_(matrix.expand(x.shape[0], *matrix.shape), x).view(z.shape)


def _chunks(z: Tensor) -> Iterator[slice]:
    """Slices along the first axis that stay in cache from one operation to the next."""
    budget = CPU_CHUNK_BYTES if z.device.type == "cpu" else ACCELERATOR_CHUNK_BYTES
    if torch.compiler.is_compiling():
        budget = ACCELERATOR_CHUNK_BYTES
    bytes_each = max(1, z[0].numel()) * statistics_dtype(z.dtype).itemsize
    step = max(1, budget // bytes_each)
    for start in range(0, z.shape[0], step):
        yield slice(start, start + step)


def _probe(z: Tensor) -> Tensor:
    """At most about 64 samples, spread over the batch and over locations, as rows."""
    images = z[:: max(1, z.shape[0] // PROBED_SAMPLES)]
    if z.ndim > 2:
        rest = images.flatten(2) if z.ndim > 3 else images.transpose(1, 2)
        wanted = max(1, PROBED_SAMPLES // images.shape[0])
        images = rest[..., :: max(1, rest.shape[2] // wanted)].transpose(1, 2).flatten(0, 1)
    return images.to(statistics_dtype(z.dtype))


def _empty(z: Tensor) -> Tensor:
    """An uninitialised tensor like ``z``, dense, in the order in which ``z`` is worked through."""
    if has_rows(z):
        return from_rows(z.new_empty(sample_count(z), feature_count(z)), z.shape)
    return z.new_empty(z.shape)
