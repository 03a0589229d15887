"""Arrays and frames as small JSON: base64 integers with a scale."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np

from app.texts import tr
from vcr_core.figures import ArrayKey, Frame
from vcr_core.figures.history import Array, colour_limit
from vcr_core.verdicts import sentence

Message = dict[str, Any]


def rounded(value: float) -> float:
    """Six significant digits: what a chart can show, at half the bytes."""
    return float(f"{value:.6g}")


def packed(key: ArrayKey, array: Array) -> Message:
    """An array as base64 of little-endian int16 with a scale: a sixth of its JSON.

    The smallest int16 stands for "not a finite number".
    """
    values = np.asarray(array.values, dtype=np.float64)
    finite = np.isfinite(values)
    largest = float(np.abs(values[finite]).max()) if finite.any() else 0.0
    scale = largest / 32767 if largest > 0 else 1.0
    whole = np.where(finite, np.round(np.where(finite, values, 0.0) / scale), -32768)
    message = {
        "step": array.step,
        "shape": list(values.shape),
        "scale": scale,
        "limit": rounded(colour_limit(key, array.values)),
        "data": base64.b64encode(whole.astype("<i2").tobytes()).decode("ascii"),
    }
    return message | {"steps": array.steps} if array.steps else message


def packed_frame(frame: Frame) -> Message:
    """A frame in about 700 bytes: its map as the int8 lower triangle, verdicts as sentences."""
    size = len(frame.thumbnail)
    triangle = np.round(127 * np.nan_to_num(frame.thumbnail[np.tril_indices(size)]))
    return {
        "step": frame.step,
        "features": frame.features,
        "samples": frame.samples,
        "size": size,
        "map": base64.b64encode(triangle.astype(np.int8).tobytes()).decode("ascii"),
        "spread": [round(float(share), 3) for share in frame.spread],
        "spectrum": [round(float(value), 2) for value in frame.spectrum],
        "verdicts": [[verdict.grade, sentence(verdict, tr)] for verdict in frame.verdicts],
    }
