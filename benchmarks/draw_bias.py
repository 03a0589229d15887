"""What drawing some of the samples does to the gradient of the covariance term.

    python benchmarks/draw_bias.py [--draws 3000] [--seeds 5] [--output docs/results/draw_bias.json]

The covariance of drawn samples is right on average, but its square is not: it contains the square
of the draw's own error. So is the gradient of that square. Here the gradient with respect to the
weights of a layer with a ReLU is averaged over many draws and compared to the gradient over all
samples. Every seed makes another layer, other inputs and other draws.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import torch
from presets import machine
from torch import Tensor

from vcr_core.regularization.function import penalized_identity
from vcr_core.regularization.options import PenaltyOptions
from vcr_core.regularization.samples import draw_seed

DEFAULT_OUTPUT = Path(__file__).parents[1] / "docs" / "results" / "draw_bias.json"
COUNT, INPUTS, FEATURES = 4096, 32, 64
SAMPLES = (8, 16, 32, 50, 64, 128, 256, 1024)


class Bias(NamedTuple):
    """Gradients of drawn samples, as multiples of the norm of the gradient over all of them."""

    norm_of_mean: float
    mean_norm: float
    cosine_of_mean: float


def main() -> None:
    """Measure and write the result file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=3000)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--output", type=Path, default=DEFAULT_OUTPUT)
    options = parser.parse_args()
    layers = [Layer(seed) for seed in range(options.seeds)]
    found = {
        str(samples): summary([bias(layer, samples, options.draws) for layer in layers])
        for samples in SAMPLES
    }
    result = {
        "made": datetime.now(tz=UTC).date().isoformat(),
        "machine": machine(),
        "inputs": INPUTS,
        "features": FEATURES,
        "samples": COUNT,
        "draws": options.draws,
        "seeds": options.seeds,
        "by_samples": found,
    }
    options.output.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(found, indent=1))


class Layer:
    """A layer with a ReLU, and correlated inputs."""

    def __init__(self, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        x = torch.randn(COUNT, INPUTS, generator=generator)
        self.inputs = x + 0.5 * x.roll(1, 1)
        weights = torch.randn(INPUTS, FEATURES, generator=generator) / INPUTS**0.5
        self.weights = weights.requires_grad_()
        self.seed = seed

    def gradient(self, samples: int | None, step: int) -> Tensor:
        """Of the covariance term, with respect to the weights."""
        options = PenaltyOptions(max_samples=samples)
        seed = torch.tensor(draw_seed(self.seed, step))
        z = (self.inputs @ self.weights).relu()
        value = penalized_identity(z, (0.0, 1.0), options, seed=seed).value
        return torch.autograd.grad(value, self.weights)[0]


def bias(layer: Layer, samples: int, draws: int) -> Bias:
    """Of gradients from ``samples`` of the layer's samples, over many draws."""
    full = layer.gradient(None, 0)
    total, norms = torch.zeros_like(full), 0.0
    for step in range(draws):
        drawn = layer.gradient(samples, step)
        total += drawn
        norms += float(drawn.norm())
    mean, size = total / draws, float(full.norm())
    cosine = float((mean * full).sum() / mean.norm() / size)
    return Bias(float(mean.norm()) / size, norms / draws / size, cosine)


def summary(found: Sequence[Bias]) -> Mapping[str, Mapping[str, float]]:
    """Median and range over seeds of each figure."""
    columns = zip(Bias._fields, zip(*found, strict=True), strict=True)
    return {
        name: {
            "median": round(statistics.median(values), 4),
            "low": round(min(values), 4),
            "high": round(max(values), 4),
        }
        for name, values in columns
    }


if __name__ == "__main__":
    main()
