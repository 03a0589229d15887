"""The features in what a layer returns: a tensor, or a tuple or list that begins with one."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from vcr_core.errors import FeatureError


def called(layer: str) -> str:
    """A layer in an error message; the whole model has an empty name."""
    return f"layer {layer!r}" if layer else "the model"


def features_in(output: Any, *, layer: str) -> Tensor:
    """The tensor, or the first element; raises ``FeatureError``, naming ``layer``, for neither."""
    if isinstance(output, Tensor):
        return output
    if isinstance(output, (tuple, list)) and output and isinstance(output[0], Tensor):
        return output[0]
    raise FeatureError(
        f"{called(layer)}: expected a tensor, or a tuple whose first element is one, "
        f"got {type(output).__name__}: attach to a layer inside it"
    )


def with_features(output: Any, features: Tensor) -> Any:
    """``output`` with its features replaced."""
    if isinstance(output, Tensor):
        return features
    if hasattr(output, "_replace"):
        return output._replace(**{output._fields[0]: features})
    return type(output)((features, *output[1:]))
