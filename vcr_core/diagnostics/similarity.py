"""How alike two representations of the same images are."""

from __future__ import annotations

import torch
from torch import Tensor

from vcr_core.errors import FeatureError


def linear_cka(x: Tensor, y: Tensor) -> Tensor:
    """Linear centred kernel alignment of features x (N, D) and y (N, E) of the same N images.

    ‖Yᵀ X‖² / (‖Xᵀ X‖ · ‖Yᵀ Y‖), Frobenius norms of centred features. 1 where one is a rotation
    and scaling of the other, 0 where they have nothing linear in common, or one is constant.
    Features of few images look alike by chance: about √(D E) / N for independent ones.
    Source: Kornblith et al., arXiv 1905.00414.

    Raises:
        FeatureError: not two matrices with equally many rows, 2 at least.
    """
    if x.ndim != 2 or y.ndim != 2 or len(x) != len(y) or len(x) < 2:
        raise FeatureError(
            "expected features (N, D) and (N, E) of the same N >= 2 images, got "
            f"{tuple(x.shape)} and {tuple(y.shape)}"
        )
    wide = torch.float32 if x.device.type == "mps" else torch.float64
    x, y = (features.to(wide) - features.to(wide).mean(dim=0) for features in (x, y))
    if len(x) < min(x.shape[1], y.shape[1]):
        x, y = x @ x.T, y @ y.T  # the same numbers from (N, N) matrices, when N is the smaller
        shared, own = (x * y).sum(), (x.square().sum() * y.square().sum()).sqrt()
    else:
        shared = (y.T @ x).square().sum()
        own = ((x.T @ x).square().sum() * (y.T @ y).square().sum()).sqrt()
    return torch.where(own > 0, shared / own.clamp(min=torch.finfo(wide).tiny), 0.0)
