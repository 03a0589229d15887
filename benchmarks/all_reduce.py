"""Whether one all-reduce for all layers would beat one for each: two processes on this machine.

python benchmarks/all_reduce.py --out docs/results/all_reduce.json

Messages are those of global statistics, D² + W (2D + 1) numbers a layer, at the widths of the
blocks of real networks. Two gloo processes on one machine have the smallest delay there is between
processes; a network between machines has more.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from regularizer import machine
from torch import Tensor, distributed, multiprocessing

RANKS = 2
WIDTHS: dict[str, tuple[int, ...]] = {
    "MLP of the digits preset": (128, 128, 128),
    "small ResNet of the sprites preset": (32, 64, 128),
    "ResNet-18": (64,) * 2 + (128,) * 2 + (256,) * 2 + (512,) * 2,
    "ViT-B/32": (768,) * 12,
}


def messages(widths: tuple[int, ...]) -> list[Tensor]:
    """One layer's message after another."""
    return [torch.randn(width**2 + RANKS * (2 * width + 1)) for width in widths]


def one_each(parts: list[Tensor]) -> None:
    """An all-reduce for every layer."""
    for part in parts:
        distributed.all_reduce(part)


def one_for_all(parts: list[Tensor]) -> None:
    """Messages joined, reduced, and taken apart, as a batched one has to."""
    joined = torch.cat(parts)
    distributed.all_reduce(joined)
    for part, reduced in zip(parts, joined.split([part.numel() for part in parts]), strict=True):
        part.copy_(reduced)


def rank_times(rank: int, meeting: str, trials: int, out: str) -> None:
    """What one process measures; the first writes it."""
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=meeting, rank=rank, world_size=RANKS)
    ways: dict[str, Callable[[list[Tensor]], None]] = {"each": one_each, "batched": one_for_all}
    found: dict[str, Any] = {}
    for name, widths in WIDTHS.items():
        times: dict[str, list[float]] = {way: [] for way in ways}
        for trial in range(trials + 2):
            for way, reduce in ways.items():
                parts = messages(widths)
                distributed.barrier()
                start = time.perf_counter()
                reduce(parts)
                if trial >= 2:
                    times[way].append(1e3 * (time.perf_counter() - start))
        found[name] = {"layers": len(widths), "milliseconds": _medians(times), "trials": trials}
    if rank == 0:
        Path(out).write_text(json.dumps(found))
    distributed.destroy_process_group()


def _medians(times: dict[str, list[float]]) -> dict[str, dict[str, float]]:
    spread = {way: statistics.quantiles(values, n=4) for way, values in times.items()}
    return {
        way: {"low": round(low, 3), "median": round(middle, 3), "high": round(high, 3)}
        for way, (low, middle, high) in spread.items()
    }


def main() -> None:
    """Two processes, then the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=101)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found_at = Path(folder) / "found.json"
        meeting = (Path(folder) / "meeting").as_uri()
        multiprocessing.spawn(
            rank_times, args=(meeting, options.trials, str(found_at)), nprocs=RANKS
        )
        found = json.loads(found_at.read_text())
    for name, row in found.items():
        print(f"{name:>36}", row["milliseconds"])
    if options.out:
        result = {"machine": machine("cpu"), "ranks": RANKS, "networks": found}
        options.out.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
