"""What counts as a sample: rows of features, whatever the layout of a layer's output.

(N, D)          vectors: every row is a sample
(N, T, D)       tokens: every token is a sample
(N, C, H, W)    maps: every location is a sample, and so for (N, C, T, H, W)
"""

from __future__ import annotations

from torch import Tensor

from vcr_core.errors import FeatureError


def to_rows(z: Tensor, *, layer: str = "") -> Tensor:
    """The samples of ``z`` as rows (n, D); a view where the memory layout allows it.

    Raises ``FeatureError``, naming ``layer``, where ``z`` has no samples to compare.
    """
    require_features(z, layer=layer)
    return (z.movedim(1, -1) if z.ndim > 3 else z).flatten(0, -2)


def from_rows(rows: Tensor, like: Tensor) -> Tensor:
    """The inverse of ``to_rows``: rows (n, D) in the shape of ``like``."""
    if like.ndim <= 3:
        return rows.view(like.shape)
    shape = like.shape
    return rows.view(shape[0], *shape[2:], shape[1]).movedim(-1, 1)


def sample_count(z: Tensor) -> int:
    """Number of samples n in ``z``."""
    return z.numel() // feature_count(z)


def feature_count(z: Tensor) -> int:
    """Number of features D in ``z``."""
    return z.shape[1] if z.ndim > 3 else z.shape[-1]


def require_features(z: Tensor, *, layer: str = "") -> None:
    """Raise ``FeatureError`` unless ``z`` holds at least 2 samples of at least 2 features."""
    where = f"layer {layer!r}: " if layer else ""
    if not z.is_floating_point():
        raise FeatureError(f"{where}expected floating-point features, got {z.dtype}")
    if not 2 <= z.ndim <= 5:
        raise FeatureError(
            f"{where}expected features of shape (N, D), (N, T, D) or (N, C, H, W), "
            f"got {tuple(z.shape)}: attach to a layer whose output has a feature axis"
        )
    if feature_count(z) < 2:
        raise FeatureError(
            f"{where}expected at least 2 features to compare, got shape {tuple(z.shape)}: "
            "attach to a wider layer"
        )
    if sample_count(z) < 2:
        raise FeatureError(
            f"{where}expected at least 2 samples, got shape {tuple(z.shape)}: "
            "use a batch of at least 2 (drop_last=True in the data loader)"
        )
