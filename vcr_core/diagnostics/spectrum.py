"""How many directions the features of a layer use, from the eigenvalues of their covariance.

A rank measured on n samples cannot exceed n − 1: show n beside it.
"""

from __future__ import annotations

import torch
from torch import Tensor

from vcr_core.diagnostics.moments import require_covariance
from vcr_core.errors import FeatureError


def eigenvalues(covariance: Tensor) -> Tensor:
    """Eigenvalues λ_k ≥ 0 of C (D, D), largest first, shape (D,).

    Values below the rounding error of the largest, D · λ_1 · 1.2e-7, are set to 0: they are noise.
    All NaN where C is not finite. Computed in float64, on the CPU for devices that lack it.
    """
    require_covariance(covariance)
    matrix = covariance.cpu() if covariance.device.type == "mps" else covariance
    matrix = matrix.double()
    finite = torch.isfinite(matrix).all()  # stays on the device: nothing waits for it
    values = torch.linalg.eigvalsh(torch.where(finite, matrix, 0.0)).flip(0).to(covariance)
    floor = values[0] * len(values) * torch.finfo(torch.float32).eps
    values = torch.where(values > floor, values, 0.0)
    return torch.where(finite.to(values.device), values, torch.nan)


def effective_rank(source: Tensor) -> Tensor:
    """RankMe: exp(−Σ p_k log p_k) with p_k = s_k / Σ s.

    Args:
        source: singular values s (K,), or a covariance (D, D), whose s_k = sqrt(λ_k).

    1 for features on a line, D for equal spread in all directions, 0 for constant features,
    NaN where the source is not finite.
    Source: Garrido et al., arXiv 2210.02885; on centred features.
    """
    if source.ndim == 1 and source.numel() > 0:
        singular_values = source.clamp(min=0)
    elif source.ndim == 2:
        singular_values = eigenvalues(source).sqrt()
    else:
        raise FeatureError(
            "expected singular values of shape (K,) or a covariance of shape (D, D), "
            f"got {tuple(source.shape)}"
        )
    total = singular_values.sum()
    shares = singular_values / total.clamp(min=torch.finfo(total.dtype).tiny)
    rank = torch.exp(torch.special.entr(shares).sum())
    return torch.where(total == 0, torch.zeros_like(rank), rank)


def participation_ratio(covariance: Tensor) -> Tensor:
    """(tr C)² / tr(C²): 1 for features on a line, D for equal spread, 0 for constant features."""
    require_covariance(covariance)
    squares = covariance.square().sum()
    ratio = covariance.trace().square() / squares.clamp(min=torch.finfo(squares.dtype).tiny)
    return torch.where(squares > 0, ratio, 0.0)


def alpha_req(covariance: Tensor) -> Tensor:
    """α-ReQ: how fast the eigenvalues fall, λ_j ∝ j^(−α).

    Minus the slope of log λ_j against log j by least squares, over all λ_j > 0. 0 for equal
    spread in all directions; large where few directions hold all; NaN where fewer than two do.
    Source: Agrawal et al., "α-ReQ", NeurIPS 2022.
    """
    values = eigenvalues(covariance)
    values = values[values > 0].double() if values.device.type != "mps" else values[values > 0]
    if len(values) < 2:
        return values.new_tensor(torch.nan)
    places = torch.arange(1, len(values) + 1, device=values.device).to(values).log()
    places -= places.mean()
    heights = values.log()
    return -(places * (heights - heights.mean())).sum() / places.square().sum()
