"""Measures of a layer's features: pure functions on tensors."""

from vcr_core.diagnostics.moments import (
    active_hinge_share,
    correlation,
    covariance_noise_floor,
    dead_dimensions,
    max_correlation,
    rms_correlation,
    std,
    std_quantiles,
)
from vcr_core.diagnostics.spectrum import effective_rank, eigenvalues, participation_ratio

__all__ = [
    "active_hinge_share",
    "correlation",
    "covariance_noise_floor",
    "dead_dimensions",
    "effective_rank",
    "eigenvalues",
    "max_correlation",
    "participation_ratio",
    "rms_correlation",
    "std",
    "std_quantiles",
]
