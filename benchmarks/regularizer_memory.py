"""Peak memory of training steps with the penalty on all blocks, divided by that without.

python benchmarks/regularizer_memory.py --out docs/results/regularizer_memory.json

Counted is every tensor that the steps make, from torch's own record of what was taken and given
back, so that two runs of this agree to the byte: activations, gradients, the optimiser's moments
and whatever the penalty needs beside them. The network's weights are there before.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from itertools import accumulate
from pathlib import Path

import torch
from regularizer import machine
from regularizer_step import NETWORKS, training_step
from torch.profiler import ProfilerActivity, profile

from vcr_core import models

STEPS = 3


def peak(step: Callable[[], object]) -> float:
    """MiB of the tensors that are alive at once, at most, over the first steps."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as record:
        for _ in range(STEPS):
            step()
    assert record.profiler is not None
    every = record.profiler.kineto_results.events()  # the public table adds them up by operation
    taken = [each for each in every if each.name() == "[memory]"]
    taken.sort(key=lambda each: each.start_ns())
    return max(accumulate(each.nbytes() for each in taken)) / 2**20


def compare(label: str, name: str, shape: tuple[int, ...], batch: int) -> dict[str, object]:
    """The peak with and without, as one row."""
    sizes = {}
    for key, weight in (("without", 0.0), ("with", 1.0)):
        model = models.build(name, in_shape=shape, num_classes=4, seed=0).train()
        sizes[key] = peak(training_step(model, (batch, *shape), weight))
    row = {
        "network": label,
        "batch": batch,
        "mebibytes": {key: round(value, 2) for key, value in sizes.items()},
        "ratio": round(sizes["with"] / sizes["without"], 4),
    }
    print(row, flush=True)
    return row


def main() -> None:
    """Measure all networks."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = [compare(*network) for network in NETWORKS]
    if options.out:
        result = {"machine": machine("cpu"), "steps": STEPS, "networks": rows}
        options.out.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
