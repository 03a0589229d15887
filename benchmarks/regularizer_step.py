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
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

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


class Trials(NamedTuple):
    """Milliseconds of one network's step, "without" and "with", trial by trial."""

    network: str
    batch: int
    times: dict[str, list[float]]

    def ratios(self) -> list[float]:
        """With divided by without, in each trial."""
        pairs = zip(self.times["with"], self.times["without"], strict=True)
        return [one / other for one, other in pairs]


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


def bare_loops(label: str, name: str, shape: tuple[int, ...], batch: int, trials: int) -> Trials:
    """A bare loop's step with and without."""
    model = models.build(name, in_shape=shape, num_classes=4, seed=0).train()
    contenders = {
        "without": training_step(copy.deepcopy(model), (batch, *shape), 0.0),
        "with": training_step(model, (batch, *shape), 1.0),
    }
    return Trials(label, batch, take_turns(contenders, trials=trials, device="cpu"))


def preset(name: str, trials: int) -> Trials:
    """A preset's step with and without."""
    config = override(find_preset(name).config, {"training.epochs": 100})
    contenders = {"without": preset_step(config.baseline()), "with": preset_step(config)}
    times = take_turns(contenders, trials=trials, device="cpu")
    return Trials(f"preset {name}", config.training.batch_size, times)


def in_this_process(trials: int) -> list[Trials]:
    """Paired trials of every network."""
    found = [bare_loops(*network, trials) for network in NETWORKS]
    return found + [preset(name, trials) for name in AS_TRAINED]


def in_a_process_of_its_own(options: argparse.Namespace) -> list[Trials]:
    """The same: where things come to lie in memory differs from one process to the next."""
    command = [sys.executable, __file__, "--processes", "0", "--trials", str(options.trials)]
    command += ["--threads", str(options.threads)] if options.threads else []
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return [Trials(*each) for each in json.loads(done.stdout)]


def row(found: Sequence[Trials]) -> dict[str, object]:
    """All processes' trials of one network together."""
    ratios = [each.ratios() for each in found]
    low, middle, high = statistics.quantiles([x for each in ratios for x in each], n=4)
    of_processes = [round(statistics.median(each), 3) for each in ratios]
    print(f"{found[0].network:>38}  {middle:.3f} ({low:.3f} to {high:.3f})  {of_processes}")
    return {
        "network": found[0].network,
        "batch": found[0].batch,
        "trials": sum(len(each) for each in ratios),
        "milliseconds": {
            key: round(statistics.median(x for each in found for x in each.times[key]), 2)
            for key in found[0].times
        },
        "ratio": round(middle, 3),
        "ratio_quartiles": [round(low, 3), round(high, 3)],
        "ratio_of_each_process": of_processes,
    }


def main() -> None:
    """Parse, measure, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=25, help="in each process")
    parser.add_argument("--processes", type=int, default=5, help="0: in this one, times as JSON")
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    if not options.processes:
        print(json.dumps(in_this_process(options.trials)))
        return
    found = [in_a_process_of_its_own(options) for _ in range(options.processes)]
    rows = [row(each) for each in zip(*found, strict=True)]
    if options.out:
        result = {"machine": machine("cpu"), "processes": options.processes, "networks": rows}
        options.out.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
