"""The two terms of variance-covariance regularisation, as pure functions on features.

Features ``z`` have shape (N, D): N samples, D features. With the centred features Xc = z − mean,
the covariance C = Xcᵀ Xc / (N − 1) and the standard deviations s_j = sqrt(C_jj + eps):

    variance term      l_var = 1/D · Σ_j max(0, γ − s_j)
    covariance term    l_cov = 1/(D(D − 1)) · Σ_{i≠j} h(C_ij)
    with h(x) = x², or, with a threshold δ, x² for |x| ≤ δ and 2δ|x| − δ² beyond.

Source: Zhu et al., arXiv 2306.13292, section 3. Statistics are formed in float32 (float64 for
float64 features) whatever the type of ``z``. Everything here is plain, differentiable tensor
arithmetic: it is what the hand-written gradient of ``function.py`` is compared to.
"""

from __future__ import annotations

import torch
from torch import Tensor

from vcr_core.errors import FeatureError


def covariance_matrix(z: Tensor) -> Tensor:
    """Unbiased covariance (D, D) of the features ``z`` (N, D), in float32 or float64.

    The first row is subtracted before the mean: with a feature mean of 10⁴ the mean itself is only
    known to 10⁻³ in float32, and that error would enter every entry.
    """
    _require_matrix(z)
    shifted = z.to(statistics_dtype(z.dtype))
    shifted = shifted - shifted[:1].detach()
    centred = shifted - shifted.mean(dim=0)
    return centred.T @ centred / (z.shape[0] - 1)


def variance_penalty(z: Tensor, *, target_std: float = 1.0, eps: float = 1e-4) -> Tensor:
    """Mean shortfall of the standard deviations: 1/D · Σ_j max(0, γ − sqrt(Var z_j + eps)).

    Args:
        z: features (N, D), N ≥ 2, D ≥ 2.
        target_std: γ, the standard deviation that every feature should reach, in the units of z.
        eps: added to the variance inside the root; keeps the gradient finite at exact collapse.

    Returns a scalar. Raises ``FeatureError`` for features of another shape or type.
    """
    return variance_term(covariance_matrix(z).diagonal(), target_std=target_std, eps=eps)


def covariance_penalty(z: Tensor, *, threshold: float | None = None) -> Tensor:
    """Mean squared off-diagonal covariance: 1/(D(D − 1)) · Σ_{i≠j} h(C_ij).

    Args:
        z: features (N, D), N ≥ 2, D ≥ 2.
        threshold: δ of the smooth-L1 form; ``None`` for the plain square.

    Returns a scalar. Raises ``FeatureError`` for features of another shape or type.
    """
    return covariance_term(covariance_matrix(z), threshold=threshold)


def variance_term(variances: Tensor, *, target_std: float = 1.0, eps: float = 1e-4) -> Tensor:
    """l_var from the variances (D,) of the features."""
    return torch.relu(target_std - (variances + eps).sqrt()).mean()


def covariance_term(covariance: Tensor, *, threshold: float | None = None) -> Tensor:
    """l_cov from a covariance (D, D)."""
    size = covariance.shape[0]
    off_diagonal = covariance - torch.diag(covariance.diagonal())
    if threshold is None:
        total = off_diagonal.square().sum()
    else:
        clipped = off_diagonal.clamp(-threshold, threshold)
        total = (clipped * (2 * off_diagonal - clipped)).sum()
    return total / (size * (size - 1))


def mean_product(variances: Tensor) -> Tensor:
    """Mean of v_i v_j over all i ≠ j, for numbers v ≥ 0 (D,): 1/(D(D − 1)) · ((Σ v)² − Σ v²).

    Each is multiplied by the sum of those before it, so that nothing is subtracted: of two sums of
    squares that differ by little, float32 leaves nothing but rounding.
    """
    size = variances.shape[0]
    products = variances[1:] * variances.cumsum(0)[:-1]
    return 2 * products.sum() / (size * (size - 1))


def statistics_dtype(dtype: torch.dtype) -> torch.dtype:
    """The type in which statistics of features of type ``dtype`` are formed."""
    return torch.float64 if dtype == torch.float64 else torch.float32


def _require_matrix(z: Tensor) -> None:
    if z.ndim != 2 or z.shape[0] < 2 or z.shape[1] < 2:
        raise FeatureError(
            "expected features of shape (N, D) with N >= 2 samples and D >= 2 features, "
            f"got {tuple(z.shape)}: use a batch of at least 2, and give each sample a row"
        )
    if not z.is_floating_point():
        raise FeatureError(f"expected floating-point features, got {z.dtype}: call z.float() first")
