"""Features of any layout as one that ``samples.py`` knows, and back; views, nothing is copied."""

from __future__ import annotations

from torch import Tensor

from vcr_core.regularization.axes import Layout


def canonical(z: Tensor, layout: Layout) -> Tensor:
    """``z`` as (N, D), (N, T, D), or a map whose features are its second axis."""
    if z.ndim < 3:
        return z
    if z.ndim == 3 and layout.feature_axis == 2:
        return z if layout.batch_axis == 0 else z.transpose(0, 1)
    maps = z.movedim(layout.feature_axis, 1)
    return maps.unsqueeze(2) if z.ndim == 3 else maps  # (N, C, L) is a map of one row


def restored(features: Tensor, layout: Layout, ndim: int) -> Tensor:
    """The inverse of ``canonical``, for features that had ``ndim`` dimensions."""
    if ndim < 3:
        return features
    if ndim == 3 and layout.feature_axis == 2:
        return features if layout.batch_axis == 0 else features.transpose(0, 1)
    maps = features.squeeze(2) if ndim == 3 else features
    return maps.movedim(1, layout.feature_axis)
