"""Matrices as pictures: blue below zero, white at zero, red above."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray

from vcr_core.figures.history import colour_limit
from vcr_core.figures.parts import ArrayKey
from vcr_core.store import Snapshot

LOW, ZERO, HIGH = (
    np.array(rgb, dtype=np.float64) for rgb in ((33, 102, 172), (255,) * 3, (178, 24, 43))
)
MISSING = np.array((128, 128, 128), dtype=np.uint8)
SIDE = 256


def picture(snapshot: Snapshot) -> NDArray[np.uint8]:
    """A matrix (rows, columns) as pixels (height, width, 3), each value a square of them.

    The strongest colour stands for the same value as in the page's charts; what is not finite
    is grey.
    """
    values = snapshot.values
    key = ArrayKey(snapshot.run_id, snapshot.layer, snapshot.kind)
    share = np.clip(values.astype(np.float64) / colour_limit(key, values), -1.0, 1.0)
    strength = np.abs(np.nan_to_num(share))[..., None]
    end = np.where(share[..., None] < 0, LOW, HIGH)
    pixels = np.round(ZERO + strength * (end - ZERO)).astype(np.uint8)
    pixels[~np.isfinite(values)] = MISSING
    factor = max(1, SIDE // max(values.shape))
    enlarged: NDArray[np.uint8] = pixels.repeat(factor, axis=0).repeat(factor, axis=1)
    return enlarged


def png(pixels: NDArray[np.uint8]) -> bytes:
    """Pixels (height, width, 3) as a PNG file."""
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, format="PNG")
    return stream.getvalue()


def flat(tree: object, prefix: str = "") -> dict[str, str]:
    """A tree of settings as dotted names and texts."""
    if not isinstance(tree, dict):
        return {prefix: str(tree)}
    found: dict[str, str] = {}
    for name, value in tree.items():
        found |= flat(value, f"{prefix}.{name}" if prefix else str(name))
    return found
