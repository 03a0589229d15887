"""Variance-covariance regularisation: the two terms, the layer, and how to attach it to a model."""

from vcr_core.regularization.attach import LayerMoments, LayerTerms, Regularization, attach
from vcr_core.regularization.layer import VCRLayer
from vcr_core.regularization.terms import covariance_penalty, variance_penalty
from vcr_core.regularization.where import resolve_layers

__all__ = [
    "LayerMoments",
    "LayerTerms",
    "Regularization",
    "VCRLayer",
    "attach",
    "covariance_penalty",
    "resolve_layers",
    "variance_penalty",
]
