"""From tensors on the device to plain numbers: one transfer per report."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vcr_core import diagnostics
from vcr_core.regularization import Regularization

SHOWN_FEATURES = 64
QUANTILES = {"std_q05": 0.05, "std_q25": 0.25, "std_q50": 0.5, "std_q75": 0.75, "std_q95": 0.95}

Arrays = dict[tuple[str, str], NDArray[np.float32]]


def layer_numbers(
    regularization: Regularization, *, target_std: float, eps: float
) -> dict[str, Tensor | int]:
    """Scalars of every layer from the moments of the last recorded batch; still on the device."""
    numbers: dict[str, Tensor | int] = {}
    levels = tuple(QUANTILES.values())
    for layer, moments in regularization.moments().items():
        spread = diagnostics.std(moments.covariance, eps)
        quantiles = diagnostics.std_quantiles(moments.covariance, levels)
        prefix = f"layer/{layer}"
        numbers |= {f"{prefix}/{name}": quantiles[i] for i, name in enumerate(QUANTILES)}
        numbers |= {
            f"{prefix}/rms_correlation": diagnostics.rms_correlation(moments.covariance),
            f"{prefix}/active_hinges": (spread < target_std).float().mean(),
            f"{prefix}/count": moments.count,
        }
    return numbers


def layer_arrays(regularization: Regularization) -> dict[tuple[str, str], Tensor]:
    """Covariance (at most 64 x 64), standard deviations (D,), eigenvalues (D,) of every layer."""
    arrays: dict[tuple[str, str], Tensor] = {}
    for layer, moments in regularization.moments().items():
        covariance = moments.covariance
        stride = -(-covariance.shape[0] // SHOWN_FEATURES)
        arrays[layer, "covariance"] = covariance[::stride, ::stride]
        arrays[layer, "std"] = diagnostics.std(covariance)
        arrays[layer, "spectrum"] = diagnostics.eigenvalues(covariance)
    return arrays


def effective_ranks(arrays: Mapping[tuple[str, str], Tensor]) -> dict[str, Tensor]:
    """The effective rank of every layer, from the eigenvalues among its arrays."""
    return {
        f"layer/{layer}/effective_rank": diagnostics.effective_rank(values.sqrt())
        for (layer, kind), values in arrays.items()
        if kind == "spectrum"
    }


def gradient_numbers(ratios: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """‖penalty gradient‖ / ‖task gradient‖ of every layer, under the names of the store."""
    return {f"layer/{layer}/gradient_ratio": ratio for layer, ratio in ratios.items()}


def fetch_numbers(
    numbers: Mapping[str, Tensor | float | int], device: torch.device
) -> dict[str, float]:
    """Bring scalars from the device to the host in one transfer; plain numbers stay."""
    tensors = {name: value for name, value in numbers.items() if isinstance(value, Tensor)}
    fetched: dict[str, float] = {}
    if tensors:
        scalars = [value.detach().float().reshape(()).to(device) for value in tensors.values()]
        fetched = dict(zip(tensors, torch.stack(scalars).tolist(), strict=True))
    return {
        name: fetched[name] if isinstance(value, Tensor) else float(value)
        for name, value in numbers.items()
    }


def fetch_arrays(arrays: Mapping[tuple[str, str], Tensor]) -> Arrays:
    """Bring arrays to the host in one transfer."""
    if not arrays:
        return {}
    flat = torch.cat([values.float().reshape(-1) for values in arrays.values()]).cpu().numpy()
    fetched: Arrays = {}
    start = 0
    for key, values in arrays.items():
        size = values.numel()
        fetched[key] = flat[start : start + size].reshape(tuple(values.shape))
        start += size
    return fetched
