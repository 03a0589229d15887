"""Training images per second and peak memory, with VCR off and on, beside a bare loop.

    python benchmarks/training_speed.py --device cuda    # cifar10-speed: ResNet-18, 32×32, bfloat16
    python benchmarks/training_speed.py --device cpu     # speed-small, its small twin

Whole steps of the trainer as in a run: batch, augmentation, forward, penalty, backward, update,
averaged weights, reports. The mark is a bare loop in the manner of KellerJordan's cifar10-airbench
with the same network, batch, precision and augmentation: images and weights on the device, one
optimiser, nothing else. Speed does not depend on what the images show: where the preset's own are
not at hand, as many rendered sprites of the same shape take their place (``--data`` keeps them).

Every figure is from a process of its own; medians over trials, taken in turns. Peak memory is what
torch allocates at most on a GPU, and the resident set of the process on a CPU.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from regularizer import machine
from torch.nn import functional

from vcr_core.config import RunConfig, override
from vcr_core.datasets.batches import batch_indices
from vcr_core.datasets.split import generator
from vcr_core.presets import find_preset
from vcr_core.training.experiment import prepare
from vcr_core.training.loop import Trainer
from vcr_core.training.recorder import Recorder

RESULTS = Path(__file__).parents[1] / "docs" / "results"
PRESET = {"cuda": "cifar10-speed", "cpu": "speed-small"}
WARM_STEPS = {"cuda": 20, "cpu": 3}
CASES = ("bare loop", "without VCR", "VCR, light budget", "VCR, full budget")


def config_of(case: str, options: argparse.Namespace) -> RunConfig:
    """The preset on this device, as the case has it."""
    config = find_preset(options.preset or PRESET[options.device]).config
    changes: dict[str, Any] = {"execution.device": options.device, "transfer.targets": ()}
    if not options.data:
        size = min(config.data.train_size or 50_000, options.images)
        changes |= {"data.dataset": "sprites", "data.source": "shape"}
        changes |= {"data.train_size": size, "data.test_size": 100}
    if options.batch:
        changes["training.batch_size"] = options.batch
    changes["regularizer.budget"] = "full" if case == CASES[3] else "light"
    config = override(config, changes)
    steps = WARM_STEPS[options.device] + options.steps
    per_epoch = max(1, (config.data.train_size or 50_000) // config.training.batch_size)
    config = override(config, {"training.epochs": -(-steps // per_epoch)})
    return config if case.startswith("VCR") else config.baseline()


def trainer_step(config: RunConfig) -> Callable[[], object]:
    """A step of a real run."""
    return Trainer(prepare(config), Recorder()).train_step


def bare_step(config: RunConfig) -> Callable[[], object]:
    """A step of a loop that does nothing but learn."""
    experiment = prepare(config)
    experiment.remove()
    model, optimizer = experiment.model.train(), experiment.optimizer
    images, labels = experiment.train_images, experiment.train_labels
    augment, size = experiment.augmentation, config.training.batch_size
    half = config.training.precision == "bfloat16"
    draws = generator(config.seed, "bare loop")
    batches: list[torch.Tensor] = []

    def step() -> None:
        if not batches:
            rows = batch_indices(len(images), size, 0, config.seed).to(experiment.device)
            batches.extend(rows.unbind())
        rows = batches.pop()
        pixels = images[rows] if augment is None else augment(images[rows], draws)
        with torch.autocast(experiment.device.type, dtype=torch.bfloat16, enabled=half):
            logits = model(pixels)
            loss = functional.cross_entropy(logits, labels[rows], label_smoothing=0.2)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()

    return step


def measure(case: str, options: argparse.Namespace) -> dict[str, float]:
    """Images a second and peak memory in MiB, in this process."""
    torch.set_num_threads(options.threads)
    config = config_of(case, options)
    step = bare_step(config) if case == CASES[0] else trainer_step(config)
    on_gpu = options.device == "cuda"
    for _ in range(WARM_STEPS[options.device]):
        step()
    if on_gpu:
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
    began = time.perf_counter()
    for _ in range(options.steps):
        step()
    if on_gpu:
        torch.cuda.synchronize()
    seconds = time.perf_counter() - began
    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    peak = torch.cuda.max_memory_allocated() / 2**20 if on_gpu else resident
    return {
        "images_per_second": options.steps * config.training.batch_size / seconds,
        "peak_mib": peak,
    }


def in_fresh_process(case: str) -> dict[str, float]:
    """The same, measured in a process of its own."""
    command = [sys.executable, __file__, *sys.argv[1:], "--case", case]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def spread(values: list[float]) -> dict[str, float]:
    """Median, least and most."""
    return {
        "median": round(statistics.median(values), 1),
        "min": round(min(values), 1),
        "max": round(max(values), 1),
    }


def main() -> None:
    """Measure all cases in turns, or one in this process."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--device", choices=tuple(PRESET), default="cpu")
    parser.add_argument("--preset", help="another preset's settings")
    parser.add_argument("--data", action="store_true", help="use the preset's own images")
    parser.add_argument("--images", type=int, default=50_000)
    parser.add_argument("--batch", type=int)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--trials", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--case", choices=CASES, help="measure one case in this process")
    parser.add_argument("--write", action="store_true", help="keep the result")
    options = parser.parse_args()
    if options.case:
        print(json.dumps(measure(options.case, options)))
        return
    trials = [{case: in_fresh_process(case) for case in CASES} for _ in range(options.trials)]
    torch.set_num_threads(options.threads)
    config = config_of(CASES[2], options)
    cases = {
        case: {
            "images_per_second": spread([trial[case]["images_per_second"] for trial in trials]),
            "peak_mib": spread([trial[case]["peak_mib"] for trial in trials]),
        }
        for case in CASES
    }
    result = {
        "date": time.strftime("%Y-%m-%d"),
        "machine": machine(options.device),
        "network": config.model.name,
        "batch": config.training.batch_size,
        "precision": config.training.precision,
        "images": config.data.dataset,
        "steps": options.steps,
        "trials": options.trials,
        "cases": cases,
    }
    for case, found in cases.items():
        speed, peak = found["images_per_second"]["median"], found["peak_mib"]["median"]
        print(f"{case:20} {speed:10.0f} images/s {peak:10.0f} MiB")
    if options.write:
        place = RESULTS / f"training_speed_{options.device}.json"
        place.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
