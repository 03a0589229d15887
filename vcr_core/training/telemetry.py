"""From tensors on the device to plain numbers: one transfer per report.

An eigendecomposition on a GPU waits for the device to say that it went well, and one of a layer's
size is not sooner done there. So covariances of up to ``HOST_SPECTRUM`` features come along in the
report's one transfer, and the host decomposes them; a wider layer costs a wait of its own.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from vcr_core import diagnostics
from vcr_core.device_copies import fetch
from vcr_core.regularization import Regularization

SHOWN_FEATURES = 64
HOST_SPECTRUM = 1024
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
    """Covariance (at most 64 x 64), standard deviations (D,), spectrum of every layer.

    The spectrum are the eigenvalues (D,), or the whole covariance (D, D) of which they will be.
    """
    arrays: dict[tuple[str, str], Tensor] = {}
    for layer, moments in regularization.moments().items():
        covariance = moments.covariance
        stride = -(-covariance.shape[0] // SHOWN_FEATURES)
        arrays[layer, "covariance"] = covariance[::stride, ::stride]
        arrays[layer, "std"] = diagnostics.std(covariance)
        wide = covariance.shape[0] > HOST_SPECTRUM
        arrays[layer, "spectrum"] = diagnostics.eigenvalues(covariance) if wide else covariance
    return arrays


def spectra(arrays: Mapping[tuple[str, str], Tensor]) -> dict[tuple[str, str], Tensor]:
    """Eigenvalues (D,) of the layers whose arrays, on the host, hold the covariance for them."""
    return {
        key: diagnostics.eigenvalues(values)
        for key, values in arrays.items()
        if key[1] == "spectrum" and values.ndim == 2
    }


def effective_ranks(arrays: Mapping[tuple[str, str], Tensor]) -> dict[str, float]:
    """The effective rank of every layer, from the eigenvalues among its arrays."""
    return {
        f"layer/{layer}/effective_rank": float(diagnostics.effective_rank(values.sqrt()))
        for (layer, kind), values in arrays.items()
        if kind == "spectrum"
    }


def gradient_numbers(ratios: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """‖penalty gradient‖ / ‖task gradient‖ of every layer, under the names of the store."""
    return {f"layer/{layer}/gradient_ratio": ratio for layer, ratio in ratios.items()}


def fetch_report(
    numbers: Mapping[str, Tensor | float | int], arrays: Mapping[tuple[str, str], Tensor]
) -> tuple[dict[str, float], dict[tuple[str, str], Tensor]]:
    """Scalars and arrays on the host, all in one transfer; plain numbers stay."""
    wanted: dict[str | tuple[str, str], Tensor] = dict(arrays.items())
    wanted |= {name: value for name, value in numbers.items() if isinstance(value, Tensor)}
    found = fetch(wanted)
    fetched = {name: float(found.get(name, value)) for name, value in numbers.items()}
    return fetched, {key: found[key] for key in arrays}


def as_arrays(arrays: Mapping[tuple[str, str], Tensor]) -> Arrays:
    """Tensors of the host in float32 as the store takes them."""
    return {key: values.float().numpy() for key, values in arrays.items()}
