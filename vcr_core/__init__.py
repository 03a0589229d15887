"""VCR Lab's core: variance-covariance regularisation for your own PyTorch training, and its runs.

    from vcr_core import attach

    regularization = attach(model, variance_weight=1.0, covariance_weight=1.0)
    loss = criterion(model(x), y) + regularization.penalty()

Importing this package does not import torch; the names below load it when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vcr_core.regularization import (
        Regularization,
        VCRLayer,
        attach,
        covariance_penalty,
        variance_penalty,
    )

try:
    __version__ = version("vcr-lab")
except PackageNotFoundError:  # a clone that is not installed
    __version__ = "0.0.0"

__all__ = [
    "Regularization",
    "VCRLayer",
    "__version__",
    "attach",
    "covariance_penalty",
    "variance_penalty",
]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(import_module("vcr_core.regularization"), name)
    raise AttributeError(f"module 'vcr_core' has no attribute '{name}'")
