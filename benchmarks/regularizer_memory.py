"""Peak memory of training steps with the penalty on all blocks, divided by that without.

python benchmarks/regularizer_memory.py --out docs/results/regularizer_memory.json

Every figure is the growth of the resident set of a fresh process from before the first step to its
peak over five steps. Large blocks are given back to the system at once, so the peak is that of
living tensors.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
from pathlib import Path

import torch
from regularizer import machine
from regularizer_step import NETWORKS, training_step

from vcr_core import models

STEPS = 5
KIBIBYTE = 1 if sys.platform == "linux" else 1 / 1024  # ru_maxrss: KiB on Linux, bytes on macOS
GIVE_BACK = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}


def growth(place: int, weight: float) -> float:
    """MiB that the resident set of this process grows to its peak during the steps."""
    torch.set_num_threads(1)
    _, name, shape, batch = NETWORKS[place]
    model = models.build(name, in_shape=shape, num_classes=4, seed=0).train()
    warm = models.build("mlp", in_shape=(1, 8, 8), num_classes=4, seed=0).train()
    training_step(warm, (8, 1, 8, 8), weight)()  # imports what a first step imports
    step = training_step(model, (batch, *shape), weight)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(STEPS):
        step()
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * KIBIBYTE / 1024


def in_fresh_process(place: int, weight: float) -> float:
    """The same, measured in a process of its own."""
    command = [sys.executable, __file__, "--place", str(place), "--weight", str(weight)]
    environment = {**os.environ, **GIVE_BACK}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return float(done.stdout)


def main() -> None:
    """Measure all networks, or one in this process."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--place", type=int, help="measure one network in this process")
    parser.add_argument("--weight", type=float, default=0.0)
    parser.add_argument("--trials", type=int, default=5)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    if options.place is not None:
        print(growth(options.place, options.weight))
        return
    rows = []
    for place, (label, _, _, batch) in enumerate(NETWORKS):
        sizes = {
            key: [in_fresh_process(place, weight) for _ in range(options.trials)]
            for key, weight in (("without", 0.0), ("with", 1.0))
        }
        middle = {key: statistics.median(values) for key, values in sizes.items()}
        rows.append(
            {
                "network": label,
                "batch": batch,
                "trials": options.trials,
                "mebibytes": {key: round(value, 2) for key, value in middle.items()},
                "range": {k: [round(min(v), 2), round(max(v), 2)] for k, v in sizes.items()},
                "ratio": round(middle["with"] / middle["without"], 3),
            }
        )
        print(rows[-1], flush=True)
    if options.out:
        result = {"machine": machine("cpu"), "steps": STEPS, "networks": rows}
        options.out.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
