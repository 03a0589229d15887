"""Time of a whole training step with the penalty on all blocks, divided by that without.

python benchmarks/regularizer_step.py --out docs/results/regularizer_step.json

Of bare loops (forward, loss, backward, update on one batch), and of two presets as the lab trains
them (with drawing the batch, augmentation and counting); every sample at every step in all.
"""

from __future__ import annotations

import argparse
import copy
import json
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from regularizer import machine
from torch import nn
from torch.nn import functional

from vcr_core import models
from vcr_core.config import RunConfig, override
from vcr_core.presets import find_preset
from vcr_core.regularization import attach
from vcr_core.regularization.bench import take_turns
from vcr_core.training.experiment import prepare
from vcr_core.training.loop import Trainer
from vcr_core.training.recorder import Recorder

# name, model, input shape, batch size, hidden widths
NETWORKS = (
    ("ResNet of the sprites preset, 32 px", "small-resnet", (3, 32, 32), 128),
    ("ResNet-18, 32 px", "resnet18", (3, 32, 32), 32),
    ("MLP of the digits preset", "mlp", (1, 8, 8), 128),
)
AS_TRAINED = ("sprites-shape", "digits-parity")


def training_step(
    model: nn.Module, shape: tuple[int, ...], weight: float, **options: Any
) -> Callable[[], object]:
    """One step of AdamW on a fixed random batch."""
    handle = attach(model, variance_weight=weight, covariance_weight=weight, **options)
    optimizer = torch.optim.AdamW(model.parameters(), fused=True)
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(shape, generator=generator)
    y = torch.randint(0, 4, shape[:1], generator=generator)

    def run() -> None:
        optimizer.zero_grad(set_to_none=True)
        (functional.cross_entropy(model(x), y) + handle.penalty()).backward()
        optimizer.step()

    return run


def preset_step(config: RunConfig) -> Callable[[], object]:
    """One step of a run."""
    return Trainer(prepare(config), Recorder()).train_step


def bare_loops(
    label: str, name: str, shape: tuple[int, ...], batch: int, trials: int
) -> dict[str, object]:
    """A bare loop's step with and without."""
    model = models.build(name, in_shape=shape, num_classes=4, seed=0).train()
    contenders = {
        "without": training_step(copy.deepcopy(model), (batch, *shape), 0.0),
        "with": training_step(model, (batch, *shape), 1.0),
    }
    return compare(label, batch, contenders, trials)


def preset(name: str, trials: int) -> dict[str, object]:
    """A preset's step with and without."""
    config = override(find_preset(name).config, {"training.epochs": 100})
    contenders = {"without": preset_step(config.baseline()), "with": preset_step(config)}
    return compare(f"preset {name}", config.training.batch_size, contenders, trials)


def compare(
    label: str, batch: int, contenders: dict[str, Callable[[], object]], trials: int
) -> dict[str, object]:
    """Paired trials of the step with and without, as one row."""
    times = take_turns(contenders, trials=trials, device="cpu")
    ratios = [one / other for one, other in zip(times["with"], times["without"], strict=True)]
    low, middle, high = statistics.quantiles(ratios, n=4)
    print(f"{label:>38}  with/without {middle:.3f}  ({low:.3f} to {high:.3f})", flush=True)
    return {
        "network": label,
        "batch": batch,
        "trials": trials,
        "milliseconds": {k: round(statistics.median(v), 2) for k, v in times.items()},
        "ratio": round(middle, 3),
        "ratio_quartiles": [round(low, 3), round(high, 3)],
    }


def main() -> None:
    """Parse, measure, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=25)
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    rows = [bare_loops(*network, arguments.trials) for network in NETWORKS]
    rows += [preset(name, arguments.trials) for name in AS_TRAINED]
    if arguments.out:
        result = {"machine": machine("cpu"), "networks": rows}
        arguments.out.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
