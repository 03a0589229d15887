"""Arrays and frames as small JSON: base64 integers with a scale."""

from __future__ import annotations

import base64
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcr_core.figures import ArrayKey, Frame
from vcr_core.figures.history import Array, colour_limit
from vcr_core.verdicts import sentence

Message = dict[str, Any]


@cache
def lower_triangle(size: int) -> tuple[NDArray[np.intp], ...]:
    """Places of the lower triangle of a matrix, row by row."""
    return np.tril_indices(size)


def rounded(value: float) -> float:
    """Five significant digits: more than a chart can show, at a third of the bytes."""
    return float(f"{value:.5g}")


def packed(key: ArrayKey, array: Array) -> Message:
    """An array as base64 of little-endian integers with a scale.

    Of a symmetric matrix (D, D) the lower triangle is sent, row by row. A timeline (S, B) needs no
    more than eight bits: shades of one colour. The smallest integer stands for "not a finite
    number".
    """
    values = np.asarray(array.values, dtype=np.float64)
    shape = list(values.shape)
    symmetric = _is_symmetric(values)
    if symmetric:
        values = values[lower_triangle(len(values))]
    kind = np.dtype("<i1" if array.steps else "<i2")
    most = np.iinfo(kind).max
    finite = np.isfinite(values)
    largest = float(np.abs(values[finite]).max()) if finite.any() else 0.0
    scale = largest / most if largest > 0 else 1.0
    whole = np.where(finite, np.round(np.where(finite, values, 0.0) / scale), -most - 1)
    is_matrix = len(shape) == 2 and shape[0] == shape[1] and not array.steps
    message = {
        "step": array.step,
        "shape": shape,
        "triangle": symmetric,
        "bits": 8 * kind.itemsize,
        "scale": scale,
        "limit": rounded(colour_limit(key, array.values)) if is_matrix else 0.0,
        "data": base64.b64encode(whole.astype(kind).tobytes()).decode("ascii"),
    }
    return message | {"steps": array.steps} if array.steps else message


def _is_symmetric(values: NDArray[np.float64]) -> bool:
    """Whether a matrix is its own transpose; of what is not finite only the place counts."""
    square = values.ndim == 2 and values.shape[0] == values.shape[1]
    return square and np.array_equal(values, values.T, equal_nan=True)


def packed_frame(frame: Frame, say: Callable[[str], str]) -> Message:
    """A frame in about 700 bytes: its map as the int8 lower triangle, verdicts as sentences that
    ``say`` puts into the viewer's language.
    """
    size = len(frame.thumbnail)
    triangle = np.round(127 * np.nan_to_num(frame.thumbnail[lower_triangle(size)]))
    return {
        "step": frame.step,
        "features": frame.features,
        "samples": frame.samples,
        "size": size,
        "map": base64.b64encode(triangle.astype(np.int8).tobytes()).decode("ascii"),
        "spread": [round(float(share), 3) for share in frame.spread],
        "spectrum": [round(float(value), 2) for value in frame.spectrum],
        "verdicts": [[verdict.grade, sentence(verdict, say)] for verdict in frame.verdicts],
    }
