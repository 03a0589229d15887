"""Measures of a layer's features: pure functions on tensors.

moments     of a covariance: spread, correlation, dead dimensions, noise floor
spectrum    of its eigenvalues: effective rank, participation ratio, α-ReQ
collapse    of classes: CDNV, NC1, nearest class mean
similarity  of two representations: CKA
trust       of a classifier: calibration, images of another kind
"""

from vcr_core.diagnostics.collapse import (
    cdnv,
    class_means,
    directional_cdnv,
    nc1,
    ncc_accuracy,
    ncc_mismatch,
)
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
from vcr_core.diagnostics.similarity import CkaNull, cka_null, linear_cka
from vcr_core.diagnostics.spectrum import (
    alpha_req,
    effective_rank,
    eigenvalues,
    participation_ratio,
)
from vcr_core.diagnostics.trust import (
    auroc,
    expected_calibration_error,
    mahalanobis_score,
    max_softmax_score,
)

__all__ = [
    "CkaNull",
    "active_hinge_share",
    "alpha_req",
    "auroc",
    "cdnv",
    "cka_null",
    "class_means",
    "correlation",
    "covariance_noise_floor",
    "dead_dimensions",
    "directional_cdnv",
    "effective_rank",
    "eigenvalues",
    "expected_calibration_error",
    "linear_cka",
    "mahalanobis_score",
    "max_correlation",
    "max_softmax_score",
    "nc1",
    "ncc_accuracy",
    "ncc_mismatch",
    "participation_ratio",
    "rms_correlation",
    "std",
    "std_quantiles",
]
