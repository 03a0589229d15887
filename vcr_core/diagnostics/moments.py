"""What a layer's covariance says feature by feature: spread, correlation, dead dimensions.

All functions take a covariance C (D, D) and return tensors on its device. ``eps`` is added to the
variances inside the root, as in the variance term of the regulariser.
"""

from __future__ import annotations

import torch
from torch import Tensor

from vcr_core.errors import FeatureError

QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)


def std(covariance: Tensor, eps: float = 0.0) -> Tensor:
    """Standard deviations s_j = sqrt(C_jj + eps), shape (D,), in the units of the features."""
    require_covariance(covariance)
    return (covariance.diagonal().clamp(min=0) + eps).sqrt()


def std_quantiles(
    covariance: Tensor, quantiles: tuple[float, ...] = QUANTILES, eps: float = 0.0
) -> Tensor:
    """Quantiles over the D features of their standard deviations, shape (len(quantiles),)."""
    deviations = std(covariance, eps)
    levels = torch.stack([deviations.new_full((), level) for level in quantiles])  # none waits
    return torch.quantile(deviations, levels)


def active_hinge_share(covariance: Tensor, target_std: float = 1.0, eps: float = 1e-4) -> Tensor:
    """Share of features whose standard deviation is below γ: where the variance term still pushes.

    1 when every feature is too narrow, 0 when the variance term is satisfied.
    """
    return (std(covariance, eps) < target_std).float().mean()


def dead_dimensions(covariance: Tensor, threshold: float = 0.01) -> Tensor:
    """Number of features whose standard deviation is below ``threshold``, an integer tensor."""
    return (std(covariance) < threshold).sum()


def correlation(covariance: Tensor) -> Tensor:
    """Correlation matrix (D, D) in [−1, 1]; rows and columns of constant features are 0."""
    deviations = std(covariance)
    inverse = torch.where(deviations > 0, 1 / deviations.clamp(min=1e-30), 0.0)
    return (covariance * inverse[:, None] * inverse[None, :]).clamp(-1, 1)


def rms_correlation(covariance: Tensor) -> Tensor:
    """Root mean square of the off-diagonal correlations: 0 independent, 1 all features alike."""
    size = covariance.shape[0]
    return (_off_diagonal(correlation(covariance)).square().sum() / (size * (size - 1))).sqrt()


def max_correlation(covariance: Tensor) -> Tensor:
    """Largest absolute off-diagonal correlation: 0 independent, 1 when two features are copies."""
    return _off_diagonal(correlation(covariance)).abs().max()


def covariance_noise_floor(covariance: Tensor, count: int) -> Tensor:
    """What the mean squared off-diagonal covariance would be for independent features.

    1/(D(D − 1)) · Σ_{i≠j} s_i² s_j² / (n − 1), for ``count`` = n independent samples; in the units
    of the covariance term, and to be compared with it. Correlated samples, such as neighbouring
    pixels, carry less information than n independent ones: the true floor is then higher.
    """
    require_covariance(covariance)
    if count < 2:
        raise FeatureError(f"expected a covariance from at least 2 samples, got count={count}")
    size = covariance.shape[0]
    variances = covariance.diagonal()
    # each times those before it: (Σ s²)² − Σ s⁴ is all rounding where one feature is much wider
    products = 2 * (variances[1:] * variances.cumsum(0)[:-1]).sum()
    return products / (size * (size - 1) * (count - 1))


def require_covariance(covariance: Tensor) -> None:
    """Raise ``FeatureError`` unless ``covariance`` is square, of at least 2 features."""
    if covariance.ndim != 2 or covariance.shape[0] != covariance.shape[1] or len(covariance) < 2:
        raise FeatureError(
            f"expected a covariance of shape (D, D) with D >= 2, got {tuple(covariance.shape)}"
        )


def _off_diagonal(matrix: Tensor) -> Tensor:
    return matrix - torch.diag(matrix.diagonal())
