"""Variance-covariance regularisation: the two terms, the layer, and how to attach it to a model.

Importing this package does not import torch: ``conventions`` and ``budgets`` need none, and the
other names below load it when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from vcr_core.errors import PenaltyNotAddedError
from vcr_core.regularization.conventions import Weights, equivalent_weights

if TYPE_CHECKING:
    from vcr_core.regularization.attaching import attach
    from vcr_core.regularization.handle import LayerTerms, Regularization
    from vcr_core.regularization.hook import LayerMoments
    from vcr_core.regularization.layer import VCRLayer
    from vcr_core.regularization.rivals import RIVALS, attach_rival
    from vcr_core.regularization.terms import covariance_penalty, variance_penalty
    from vcr_core.regularization.where import resolve_layers

_HOME_OF = {
    "RIVALS": "rivals",
    "LayerMoments": "hook",
    "LayerTerms": "handle",
    "Regularization": "handle",
    "VCRLayer": "layer",
    "attach": "attaching",
    "attach_rival": "rivals",
    "covariance_penalty": "terms",
    "resolve_layers": "where",
    "variance_penalty": "terms",
}

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


def __getattr__(name: str) -> Any:
    if name in _HOME_OF:
        return getattr(import_module(f"vcr_core.regularization.{_HOME_OF[name]}"), name)
    raise AttributeError(f"module 'vcr_core.regularization' has no attribute '{name}'")
