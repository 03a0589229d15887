"""Everything that is to be measured on a GPU, part by part, in nine minutes on one modern card.

    python benchmarks/gpu.py                       # writes docs/results/gpu/*.json
    python benchmarks/gpu.py --only speed memory   # some parts
    python benchmarks/gpu.py --device cpu --tiny --out FOLDER   # seconds: does it run at all?

    layers     one layer's penalty beside identity, the plain formulas and batch norm, by shape
    networks   a training step of ViT-B/32, ConvNeXt-T and ResNet-50 at 224 px
    memory     peak memory of a training step of each, with and without
    speed      training images a second of ResNet-18 at 32 px beside a bare loop
    presets    the small presets from beginning to end: seconds a pair, accuracy
    waits      what a profiler sees of a step between reports: copies to the host, and waiting

Every row is written as soon as it is known. What a file already holds is not measured again but
with ``--again``; a part that has used up its seconds leaves the rest of its rows for the next call.
"""

from __future__ import annotations

import argparse
import gc
import json
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import regularizer
import regularizer_networks as networks
import torch
import torchvision
import training_speed
from torch.profiler import ProfilerActivity, profile

from vcr_core.config import RunConfig, override
from vcr_core.presets import find_preset
from vcr_core.regularization.bench import CASES, Case
from vcr_core.training.experiment import prepare
from vcr_core.training.loop import Trainer, train
from vcr_core.training.recorder import Recorder

FOLDER = Path(__file__).parents[1] / "docs" / "results" / "gpu"
TINY_NETWORK = "ResNet-18"
MEMORY_VARIANTS = ("identity", "ours", "light")
PRESETS = ("digits-parity", "sprites-shape", "two-moons", "speed-small", "video-small")
WARM_STEPS, QUIET_STEPS = 5, 10

Row = Callable[[], Mapping[str, Any]]


@dataclass(frozen=True)
class Part:
    """Rows to be measured one after another, and the seconds they may take together."""

    rows: Mapping[str, Row]
    seconds: float
    settings: Mapping[str, Any] = field(default_factory=dict)


def parts(options: argparse.Namespace) -> dict[str, Part]:
    """All parts, cheapest first; their seconds come to nine minutes."""
    dtype = "float32" if options.tiny else "bfloat16"
    cases = (Case((16, 8, 4, 4)), Case((16, 8))) if options.tiny else CASES
    names = [TINY_NETWORK] if options.tiny else list(networks.NETWORKS)
    presets = PRESETS[:1] if options.tiny else PRESETS
    step = argparse.Namespace(
        device=options.device,
        dtype=dtype,
        batch=2 if options.tiny else 64,
        steps=1 if options.tiny else 4,
        trials=2 if options.tiny else 5,
        variants=list(networks.VARIANTS),
    )
    layer = argparse.Namespace(device=options.device, dtype=dtype, trials=2 if options.tiny else 21)
    speed = speed_options(options)
    return {
        "waits": Part({name: row(waits, name, options) for name in presets[:2]}, 40),
        "speed": Part(
            {case: row(speed_of, case, speed) for case in training_speed.CASES},
            100,
            {"steps": speed.steps},
        ),
        "layers": Part(
            {str(case): row(regularizer.measured, case, layer) for case in cases},
            80,
            {"dtype": dtype},
        ),
        "memory": Part(
            {
                f"{name}, {variant}": row(memory, name, variant, step)
                for name in names
                for variant in MEMORY_VARIANTS
            },
            60,
        ),
        "networks": Part({name: row(networks.measure, name, step) for name in names}, 140),
        "presets": Part({name: row(pair, name, options) for name in presets}, 120),
    }


def row(measure: Callable[..., Mapping[str, Any]], *arguments: Any) -> Row:
    """A measurement for later, which leaves the device's memory as it found it."""

    def measured() -> Mapping[str, Any]:
        try:
            return measure(*arguments)
        finally:
            gc.collect()
            if torch.cuda.is_available():
                torch.cuda.empty_cache()

    return measured


def speed_options(options: argparse.Namespace) -> argparse.Namespace:
    """What ``training_speed.py`` is asked for: batches of 1024 of CIFAR's shape."""
    return argparse.Namespace(
        device=options.device,
        preset=None,
        data=False,
        images=128 if options.tiny else 10_240,
        batch=64 if options.tiny else 1024,
        steps=1 if options.tiny else 100,
        threads=torch.get_num_threads(),
    )


def speed_of(case: str, options: argparse.Namespace) -> dict[str, Any]:
    """Images a second and peak memory of one case, and what they depend on."""
    config = training_speed.config_of(case, options)
    return {
        **{name: round(x, 1) for name, x in training_speed.measure(case, options).items()},
        "network": config.model.name,
        "batch": config.training.batch_size,
        "precision": config.training.precision,
        "channels_last": config.training.channels_last,
    }


def memory(name: str, variant: str, options: argparse.Namespace) -> dict[str, Any]:
    """MiB that a network's second training step needs at most, weights and moments included."""
    step = networks.training_step(networks.NETWORKS[name](), variant, options)
    step()
    return {"peak_mib": networks.peak_memory(step, options.device)}


def preset_config(name: str, options: argparse.Namespace) -> RunConfig:
    """A preset on this device; a tiny one learns for one epoch."""
    changes: dict[str, Any] = {"execution.device": options.device}
    if options.tiny:
        changes |= {"training.epochs": 1, "transfer.train_size": 100, "telemetry.reports": 2}
    return override(find_preset(name).config, changes)


def pair(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """A preset's two runs one after the other: their seconds and accuracies."""
    config = preset_config(name, options)
    began = time.perf_counter()
    found = {}
    for key, each in (("without", config.baseline()), ("with", config)):
        evaluation = train(prepare(each), Recorder(), at_leisure=False).evaluation
        assert evaluation is not None
        found[key] = {"source": evaluation.source_accuracy, "transfer": dict(evaluation.transfer)}
    return {"seconds": round(time.perf_counter() - began, 2), **found}


def waits(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """What a profiler counts in steps between reports, per step: all but pinned copies are to be 0.

    A copy to pinned memory is the finiteness check's, which nobody waits for.
    """
    config = override(
        preset_config(name, options),
        {"telemetry.reports": 2, "telemetry.snapshots": 1, "training.epochs": 4},
    )
    trainer = Trainer(prepare(config), Recorder())
    for _ in range(WARM_STEPS):
        trainer.train_step()
    kinds = [ProfilerActivity.CPU]
    kinds += [ProfilerActivity.CUDA] if options.device.startswith("cuda") else []
    with profile(activities=kinds) as record:
        for _ in range(QUIET_STEPS):
            trainer.train_step()
            assert trainer.step not in trainer.control.cadence.reports
    counts: Counter[str] = Counter()
    for event in record.events() or ():
        counts[event.name] += 1
    return {"steps": QUIET_STEPS, **per_step(counts, QUIET_STEPS)}


def per_step(counts: Mapping[str, int], steps: int) -> dict[str, float]:
    """Copies to the host and waiting among a profiler's events, per step."""
    pageable = sum(n for name, n in counts.items() if "DtoH" in name and "Pageable" in name)
    pinned = sum(n for name, n in counts.items() if "DtoH" in name and "Pinned" in name)
    synchronised = counts.get("cudaStreamSynchronize", 0) + counts.get("cudaEventSynchronize", 0)
    return {
        "copies_to_pageable_memory": pageable / steps,
        "copies_to_pinned_memory": pinned / steps,
        "waits_for_the_device": synchronised / steps,
    }


def measure_part(name: str, part: Part, options: argparse.Namespace) -> list[str]:
    """Measure what the part's file does not hold yet; returns the rows that are still missing."""
    path = options.out / f"{name}.json"
    known: dict[str, Any] = {}
    if path.is_file() and not options.again:
        known = json.loads(path.read_text(encoding="utf-8"))["rows"]
    began = time.monotonic()
    for label, measured in part.rows.items():
        if label in known or time.monotonic() - began > part.seconds * options.patience:
            continue
        known[label] = dict(measured())
        print(name, label, known[label], flush=True)
        result = {
            "date": time.strftime("%Y-%m-%d"),
            "machine": regularizer.machine(options.device),
            **part.settings,
            "rows": known,
        }
        path.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return [label for label in part.rows if label not in known]


def main(words: Sequence[str] | None = None) -> None:
    """Measure all parts, or some."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--only", nargs="*", help="parts to measure")
    parser.add_argument("--again", action="store_true", help="measure what is known as well")
    parser.add_argument("--tiny", action="store_true", help="as little as will run")
    parser.add_argument("--patience", type=float, default=1.0, help="of the parts' seconds")
    parser.add_argument("--out", type=Path, default=FOLDER)
    options = parser.parse_args(words)
    if options.tiny:
        networks.NETWORKS[TINY_NETWORK] = torchvision.models.resnet18
    options.out.mkdir(parents=True, exist_ok=True)
    for name, part in parts(options).items():
        if options.only and name not in options.only:
            continue
        missing = measure_part(name, part, options)
        if missing:
            print(f"{name}: out of time, still missing {', '.join(missing)}: call again")


if __name__ == "__main__":
    main()
