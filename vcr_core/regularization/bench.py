"""How long the penalty takes, beside the matrix products that it cannot do without.

``measure_case`` times one shape. Every contender computes a forward and a backward with a given
gradient from above; the contenders take turns, so that a disturbance of the machine meets them all.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from vcr_core.regularization.function import penalized_identity
from vcr_core.regularization.options import PenaltyOptions
from vcr_core.regularization.products import has_rows
from vcr_core.regularization.samples import feature_count, sample_count, to_rows
from vcr_core.regularization.terms import covariance_penalty, variance_penalty

Contender = Callable[[Tensor, Tensor], Callable[[], object]]


class Case(NamedTuple):
    """A shape to time: ``layout`` is "contiguous" or "channels_last"."""

    shape: tuple[int, ...]
    layout: str = "contiguous"


CASES = (
    Case((128, 64, 16, 16)),
    Case((128, 64, 16, 16), "channels_last"),
    Case((64, 128, 28, 28)),
    Case((64, 128, 28, 28), "channels_last"),
    Case((64, 256, 56, 56)),
    Case((64, 256, 56, 56), "channels_last"),
    Case((32, 197, 384)),
    Case((64, 50, 768)),
    Case((256, 512)),
    Case((1024, 2048)),
)


class Timing(NamedTuple):
    """Medians over trials, in milliseconds, and ratios as medians over paired trials."""

    case: Case
    samples: int
    features: int
    milliseconds: dict[str, float]
    spread: dict[str, float]  # interquartile range, in milliseconds
    ours_over_floor: float
    naive_over_ours: float
    trials: int


def measure_case(
    case: Case,
    *,
    trials: int = 21,
    device: str = "cpu",
    dtype: torch.dtype = torch.float32,
    peers: Mapping[str, Contender] | None = None,
) -> Timing:
    """Time all contenders on ``case``, and ``peers``, which are made from features and gradient."""
    z, gradient = (features(case, device=device, dtype=dtype, seed=seed) for seed in (0, 1))
    contenders = {
        "floor": floor(z.detach()),
        "ours": ours(z, gradient),
        "naive": naive(z, gradient),
        "batch_norm": batch_norm(z, gradient),
        "identity": identity(z, gradient),
        **{name: make(z, gradient) for name, make in (peers or {}).items()},
    }
    times = take_turns(contenders, trials=trials, device=device)
    added = {name: _less(times[name], times["identity"]) for name in ("ours", "naive")}
    return Timing(
        case=case,
        samples=sample_count(z),
        features=feature_count(z),
        milliseconds={name: statistics.median(each) for name, each in times.items()},
        spread={name: _spread(each) for name, each in times.items()},
        ours_over_floor=_ratio(added["ours"], times["floor"]),
        naive_over_ours=_ratio(added["naive"], added["ours"]),
        trials=trials,
    )


def take_turns(
    contenders: dict[str, Callable[[], object]], *, trials: int, device: str
) -> dict[str, list[float]]:
    """Milliseconds of every contender in every trial, after two rounds to warm up."""
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for trial in range(trials + 2):
        for name, run in contenders.items():
            _wait(device)
            start = time.perf_counter()
            result = run()
            _wait(device)
            if trial >= 2:
                times[name].append(1e3 * (time.perf_counter() - start))
            del result  # after the clock: giving memory back costs what others left of it
    return times


def features(case: Case, *, device: str, dtype: torch.dtype, seed: int) -> Tensor:
    """Correlated features with the mean and spread of activations after a ReLU."""
    generator = torch.Generator().manual_seed(seed)
    z = torch.randn(case.shape, generator=generator)
    z = (z + 0.5 * z.roll(1, 1)).relu()
    if case.layout == "channels_last":
        z = z.contiguous(memory_format=torch.channels_last)
    return z.to(device, dtype).requires_grad_()


def floor(z: Tensor) -> Callable[[], object]:
    """The two bare products, in the features' own layout and type."""
    size = feature_count(z)
    matrix = torch.randn(size, size, device=z.device).to(z.dtype)
    if has_rows(z):
        rows = to_rows(z)
        return lambda: (rows.T @ rows, rows @ matrix)
    maps = z.flatten(2)
    many = matrix.expand(maps.shape[0], size, size)
    return lambda: (
        torch.addbmm(matrix, maps, maps.transpose(1, 2), beta=0),
        torch.bmm(many, maps),
    )


def ours(z: Tensor, gradient: Tensor) -> Callable[[], object]:
    """The autograd Function of this package."""
    weights, options = torch.tensor([1.0, 1.0]), PenaltyOptions()

    def run() -> object:
        measured = penalized_identity(z, weights, options)
        return _backward(measured.output, measured.value, z, gradient)

    return run


def naive(z: Tensor, gradient: Tensor) -> Callable[[], object]:
    """Autograd through the plain formulas."""

    def run() -> object:
        rows = to_rows(z)
        return _backward(
            z.view_as(z), variance_penalty(rows) + covariance_penalty(rows), z, gradient
        )

    return run


def batch_norm(z: Tensor, gradient: Tensor) -> Callable[[], object]:
    """Batch normalisation over the same samples, for scale."""
    size = feature_count(z)
    norm: nn.Module = nn.BatchNorm2d(size) if z.ndim == 4 else nn.BatchNorm1d(size)
    norm = norm.to(z.device)

    def run() -> object:
        if z.ndim == 4:
            return torch.autograd.grad(norm(z), z, gradient)
        rows = z.flatten(0, -2)
        return torch.autograd.grad(norm(rows), z, gradient.flatten(0, -2))

    return run


def identity(z: Tensor, gradient: Tensor) -> Callable[[], object]:
    """What remains where there is nothing to do."""
    return lambda: torch.autograd.grad(z.view_as(z), z, gradient)


def _backward(output: Tensor, value: Tensor, z: Tensor, gradient: Tensor) -> object:
    return torch.autograd.grad((output, value), z, (gradient, torch.ones_like(value)))


def _less(times: list[float], base: list[float]) -> list[float]:
    return [one - other for one, other in zip(times, base, strict=True)]


def _ratio(times: list[float], base: list[float]) -> float:
    return statistics.median(one / other for one, other in zip(times, base, strict=True))


def _spread(times: list[float]) -> float:
    low, _, high = statistics.quantiles(times, n=4)
    return high - low


def _wait(device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.synchronize()
    elif device.startswith("mps"):
        torch.mps.synchronize()
