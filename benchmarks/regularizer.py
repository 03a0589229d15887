"""Time of the penalty beside its two matrix products, naive autograd, batch norm, and lightly.

    python benchmarks/regularizer.py --out docs/results/regularizer.json
    python benchmarks/regularizer.py --device cuda --dtype bfloat16 --out …

Writes medians over paired trials with the machine and the versions they were measured on.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import torch
from lightly.loss.vicreg_loss import covariance_loss, variance_loss
from torch import Tensor

from vcr_core.regularization.bench import CASES, Case, Timing, measure_case
from vcr_core.regularization.samples import to_rows

QUICK_TRIALS = 21


def lightly_terms(z: Tensor, gradient: Tensor) -> Callable[[], object]:
    """lightly's variance and covariance losses on the same features, by autograd."""

    def run() -> object:
        rows = to_rows(z)
        value = variance_loss(rows) + covariance_loss(rows)
        return torch.autograd.grad((z.view_as(z), value), z, (gradient, torch.ones_like(value)))

    return run


def machine(device: str) -> dict[str, object]:
    """What the numbers depend on."""
    name = torch.cuda.get_device_name() if device.startswith("cuda") else processor()
    return {
        "device": name,
        "cores": os.cpu_count(),
        "torch_threads": torch.get_num_threads(),
        "system": platform.system(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "lightly": version("lightly"),
    }


def processor() -> str:
    """The processor's name, where the system tells it."""
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def row(timing: Timing) -> dict[str, object]:
    """A timing as plain numbers, rounded to what they are worth."""
    return {
        "shape": list(timing.case.shape),
        "layout": timing.case.layout,
        "samples": timing.samples,
        "features": timing.features,
        "trials": timing.trials,
        "milliseconds": {name: round(ms, 3) for name, ms in timing.milliseconds.items()},
        "interquartile_range": {name: round(ms, 3) for name, ms in timing.spread.items()},
        "ours_over_two_products": round(timing.ours_over_floor, 2),
        "naive_over_ours": round(timing.naive_over_ours, 2),
    }


def printed(timing: Timing) -> str:
    """One line of the table on the terminal."""
    ms = timing.milliseconds
    return (
        f"{timing.case.shape!s:>20} {timing.case.layout:>13}  two products {ms['floor']:8.2f} ms"
        f"  ours {ms['ours']:8.2f}  naive {ms['naive']:8.2f}  lightly {ms['lightly']:8.2f}"
        f"  batch norm {ms['batch_norm']:8.2f}  ours/products {timing.ours_over_floor:.2f}"
        f"  naive/ours {timing.naive_over_ours:.2f}"
    )


def measured(case: Case, arguments: argparse.Namespace) -> dict[str, object]:
    """Time one case, print it, and return its row."""
    timing = measure_case(
        case,
        trials=arguments.trials,
        device=arguments.device,
        dtype=getattr(torch, arguments.dtype),
        peers={"lightly": lightly_terms},
    )
    print(printed(timing), flush=True)
    return row(timing)


def main() -> None:
    """Parse, measure, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=QUICK_TRIALS)
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--only", type=int, nargs="*", help="places in the list of cases")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    cases = CASES if arguments.only is None else [CASES[place] for place in arguments.only]
    rows = [measured(case, arguments) for case in cases]
    if arguments.out:
        result = {"machine": machine(arguments.device), "dtype": arguments.dtype, "cases": rows}
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
