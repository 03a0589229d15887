"""Scanned digits, as they come with scikit-learn. Nothing here imports torch."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits



BRIGHTEST = 16.0
ORDER_SEED = 0


def read_digits() -> tuple[NDArray[np.uint8], dict[str, NDArray[np.int64]]]:
    """All images (1797, 1, 8, 8) uint8 in a fixed random order, and their labels."""
    found = load_digits()
    order = np.random.default_rng(ORDER_SEED).permutation(len(found.target))
    images = (found.images[order] * (255.0 / BRIGHTEST)).astype(np.uint8)[:, None]
    digit = found.target[order].astype(np.int64)
    return images, {"digit": digit, "parity": digit % 2, "high": (digit >= 5).astype(np.int64)}  # noqa: PLR2004


