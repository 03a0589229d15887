"""Variance-covariance regularisation: the two terms, the layer, and how to attach it to a model."""

from vcr_core.errors import PenaltyNotAddedError
from vcr_core.regularization.attach import attach
from vcr_core.regularization.conventions import Weights, equivalent_weights
from vcr_core.regularization.handle import LayerTerms, Regularization
from vcr_core.regularization.hook import LayerMoments
from vcr_core.regularization.layer import VCRLayer
from vcr_core.regularization.rivals import RIVALS, attach_rival
from vcr_core.regularization.terms import covariance_penalty, variance_penalty
from vcr_core.regularization.where import resolve_layers

__all__ = [
    "RIVALS",
    "LayerMoments",
    "LayerTerms",
    "PenaltyNotAddedError",
    "Regularization",
    "VCRLayer",
    "Weights",
    "attach",
    "attach_rival",
    "covariance_penalty",
    "equivalent_weights",
    "resolve_layers",
    "variance_penalty",
]
