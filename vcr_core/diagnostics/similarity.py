"""How alike two representations of the same images are, and how alike they would be by chance."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from vcr_core.errors import FeatureError

LEAST_IMAGES = 4  # fewer leave nothing to estimate chance from


class CkaNull(NamedTuple):
    """What ``linear_cka`` finds in features of unrelated images; scalars."""

    mean: Tensor
    high: Tensor  # 95th percentile


def linear_cka(x: Tensor, y: Tensor) -> Tensor:
    """Linear centred kernel alignment of features x (N, D) and y (N, E) of the same N images.

    H(x, y) / √(H(x, x) · H(y, y)), where H is the unbiased estimate of the squared Frobenius norm
    of the covariance between the two. With centred features, q_i = ‖x_i‖² and p_i = ‖y_i‖²:

        H(x, y) ∝ ‖Yᵀ X‖² − N/(N − 2) · Σ q_i p_i + Σ q_i · Σ p_i / ((N − 1)(N − 2))

    1 where one is a rotation and scaling of the other, about 0, and sometimes below, where they
    have nothing linear in common, 0 where one is constant. Without the correction everything looks
    alike as soon as images are fewer than features. What is left of chance is in ``cka_null``: show
    it, and N, beside this. NaN where features are not finite.
    Source: Song et al., JMLR 2012, equation 5, as in Nguyen et al., arXiv 2010.15327; the plain
    one is Kornblith et al., arXiv 1905.00414.

    Raises:
        FeatureError: not two matrices with equally many rows, 4 at least.
    """
    return _Pair(x, y).alignment(None)


def cka_null(x: Tensor, y: Tensor, *, permutations: int = 50, seed: int = 0) -> CkaNull:
    """``linear_cka`` of ``x`` and of ``y`` with its rows in random orders: its value by chance.

    Args:
        x, y: features (N, D) and (N, E), as in ``linear_cka``.
        permutations: how many orders, 2 at least; each costs as much as ``linear_cka``.
        seed: of a generator of its own.

    Raises:
        FeatureError: features that ``linear_cka`` refuses, or too few permutations.
    """
    if permutations < 2:
        raise FeatureError(f"expected 2 permutations at least, got {permutations}")
    pair = _Pair(x, y)
    generator = torch.Generator().manual_seed(seed)
    orders = [torch.randperm(len(x), generator=generator) for _ in range(permutations)]
    found = torch.stack([pair.alignment(order.to(x.device)) for order in orders])
    return CkaNull(found.mean(), found.quantile(0.95))


class _Pair:
    """Centred features of the same images, or their kernels where images are fewer."""

    def __init__(self, x: Tensor, y: Tensor) -> None:
        if x.ndim != 2 or y.ndim != 2 or len(x) != len(y) or len(x) < LEAST_IMAGES:
            raise FeatureError(
                f"expected features (N, D) and (N, E) of the same N >= {LEAST_IMAGES} images, got "
                f"{tuple(x.shape)} and {tuple(y.shape)}"
            )
        self.count = len(x)
        x, y = _centred(x), _centred(y)
        self.squares = x.square().sum(dim=1), y.square().sum(dim=1)
        self.is_kernel = self.count < min(x.shape[1], y.shape[1])
        self.sides = (x @ x.T, y @ y.T) if self.is_kernel else (x, y)
        own = [
            self._covariance(side, side, squares, squares)
            for side, squares in zip(self.sides, self.squares, strict=True)
        ]
        self.own = own[0], own[1]

    def alignment(self, order: Tensor | None) -> Tensor:
        """CKA, where y's images come in another order."""
        (x, y), (q, p) = self.sides, self.squares
        if order is not None:
            y, p = y[order], p[order]
            if self.is_kernel:
                y = y[:, order]
        ratio = self._covariance(x, y, q, p) / (self.own[0] * self.own[1]).sqrt()
        return torch.where((self.own[0] <= 0) | (self.own[1] <= 0), 0.0, ratio)

    def _covariance(self, x: Tensor, y: Tensor, q: Tensor, p: Tensor) -> Tensor:
        """N(N − 3) times the unbiased estimate of ‖covariance‖² between x and y."""
        n = self.count
        shared = (x * y).sum() if self.is_kernel else (y.T @ x).square().sum()
        return shared - n / (n - 2) * q.dot(p) + q.sum() * p.sum() / ((n - 1) * (n - 2))


def _centred(features: Tensor) -> Tensor:
    """Features less their mean, in float64 where there is one; zeros where they are constant."""
    wide = torch.float32 if features.device.type == "mps" else torch.float64
    shifted = features.to(wide) - features[0].to(wide)
    return shifted - shifted.mean(dim=0)
