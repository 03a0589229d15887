"""The products of small blocks of features, by the fastest routine that torch brings.

On a processor torch multiplies matrices with MKL, which leaves half of an AMD's vector units idle,
and does convolutions and fused linear layers with oneDNN, which does not. A product of matrices is
a convolution with one by one windows, and its sum over samples is that convolution's gradient with
respect to its weights. So large float32 products run there where it is at hand; all others, and all
while compiling, run as plain products. Both agree within float32's rounding.

Shapes: rows (n, D), maps (N, C, L), matrices (D, D).
"""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor
from torch.nn.grad import conv2d_weight

from vcr_core.regularization.samples import on_host

IMAGES = 32  # rows are shown to the convolution as this many images: below, it falls back to MKL
LINEAR_PAYS = 2**23  # multiplications; below, calling costs more than it saves
CONVOLUTION_PAYS = 2**25
# Products of many samples are added up in parts, so that the sum of millions is as exact as that of
# thousands: every part adds to a number of its own size.
MOST_SUMMED = 2**16
NARROW, SUMMED_AT_ONCE = 16, 2**10  # features, below which a product itself adds up naively


def product(left: Tensor, right: Tensor) -> Tensor:
    """left @ right, for matrices."""
    if _pays(left, left.numel() * right.shape[1], LINEAR_PAYS):
        return _linear(left, right.T)
    return left @ right


def plus_product(start: Tensor | None, left: Tensor, right: Tensor) -> Tensor:
    """start + left @ right, for matrices."""
    if start is None:
        return product(left, right)
    if _pays(left, left.numel() * right.shape[1], LINEAR_PAYS):
        return _linear_plus(left, right.T, None, start)
    return torch.addmm(start, left, right)


def plus_square_of_rows(total: Tensor | None, x: Tensor) -> Tensor:
    """total + xᵀ x, for rows; ``total`` may be written to."""
    if x.shape[0] <= MOST_SUMMED or not on_host(x):
        return _plus_square(total, x)
    for piece in torch.split(x, MOST_SUMMED):
        total = _sum(total, _plus_square(None, piece))
    assert total is not None
    return total


def _plus_square(total: Tensor | None, x: Tensor) -> Tensor:
    count, size = x.shape
    work = count * size * size
    if not _pays(x, work, LINEAR_PAYS if count < 2 * size else CONVOLUTION_PAYS):
        if size <= NARROW and count > SUMMED_AT_ONCE and on_host(x):
            return _sum(total, _square_by_blocks(x))
        return x.T @ x if total is None else total.addmm_(x.T, x)
    if count < 2 * size:
        return _sum(total, _linear(x.T, x.T))
    whole = count - count % IMAGES
    images = x[:whole].view(IMAGES, 1, whole // IMAGES, size).permute(0, 3, 1, 2)
    total = _sum(total, _weight_gradient(images))
    return total if whole == count else total.addmm_(x[whole:].T, x[whole:])


def _square_by_blocks(x: Tensor) -> Tensor:
    """xᵀ x: narrow rows are otherwise added up one after another, which loses the small ones."""
    whole = x.shape[0] - x.shape[0] % SUMMED_AT_ONCE
    blocks = x[:whole].view(-1, SUMMED_AT_ONCE, x.shape[1])
    square = torch.bmm(blocks.transpose(1, 2), blocks).sum(dim=0)
    return square if whole == x.shape[0] else square.addmm_(x[whole:].T, x[whole:])


def plus_square_of_maps(total: Tensor | None, x: Tensor) -> Tensor:
    """total + Σ xₙ xₙᵀ, for maps; ``total`` may be written to."""
    images, size, locations = x.shape
    if on_host(x) and images * locations > SUMMED_AT_ONCE and size <= min(NARROW, locations):
        for piece in torch.split(x, SUMMED_AT_ONCE, dim=2):
            total = _sum(total, torch.bmm(piece, piece.transpose(1, 2)).sum(dim=0))
        assert total is not None
        return total
    if _pays(x, x.numel() * x.shape[1], CONVOLUTION_PAYS):
        return _sum(total, _weight_gradient(x[:, :, None]))
    if total is None:
        total = x.new_zeros(x.shape[1], x.shape[1])
    return total.addbmm_(x, x.transpose(1, 2))


def times_matrix(start: Tensor | None, x: Tensor, matrix: Tensor, bias: Tensor | None) -> Tensor:
    """start + x @ matrix + bias, for rows; ``matrix`` is symmetric."""
    if _pays(x, x.numel() * x.shape[1], LINEAR_PAYS):
        return _linear(x, matrix, bias) if start is None else _linear_plus(x, matrix, bias, start)
    if start is None:
        return x @ matrix if bias is None else torch.addmm(bias, x, matrix)
    return torch.addmm(start, x, matrix) if bias is None else (start + bias).addmm_(x, matrix)


def matrix_times(
    start: Tensor | None, x: Tensor, matrix: Tensor, bias: Tensor | None, *, out: Tensor
) -> None:
    """``out`` = start + matrix @ xₙ + bias, for maps."""
    if _pays(x, x.numel() * x.shape[1], CONVOLUTION_PAYS):
        product = torch.conv2d(x[:, :, None], matrix[:, :, None, None], bias)[:, :, 0]
    elif bias is None:
        product = matrix @ x
    else:
        product = torch.baddbmm(bias[:, None], matrix.expand(x.shape[0], *matrix.shape), x)
    if start is None:
        out.copy_(product)
    else:
        torch.add(product, start, out=out)


def _sum(total: Tensor | None, part: Tensor) -> Tensor:
    return part if total is None else total.add_(part)


def _linear(x: Tensor, matrix: Tensor, bias: Tensor | None = None) -> Tensor:
    """x @ matrixᵀ + bias."""
    product: Tensor = torch.ops.mkldnn._linear_pointwise(x, matrix, bias, "none", [], "")
    return product


def _linear_plus(x: Tensor, matrix: Tensor, bias: Tensor | None, start: Tensor) -> Tensor:
    """x @ matrixᵀ + bias + start."""
    total: Tensor = torch.ops.mkldnn._linear_pointwise.binary(x, start, matrix, bias, "add")
    return total


def _weight_gradient(images: Tensor) -> Tensor:
    """Σ z zᵀ over images and locations of ``images`` (N, D, H, W)."""
    size = images.shape[1]
    gradient: Tensor = conv2d_weight(images, (size, size, 1, 1), images)  # type: ignore[no-untyped-call]
    return gradient.view(size, size)


def _pays(x: Tensor, multiplications: int, least: int) -> bool:
    return (
        multiplications >= least
        and x.dtype == torch.float32
        and on_host(x)
        and _is_at_hand()
        and bool(torch.backends.mkldnn.enabled)
    )


@cache
def _is_at_hand() -> bool:
    built_in: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    return built_in and hasattr(torch.ops.mkldnn, "_linear_pointwise")
