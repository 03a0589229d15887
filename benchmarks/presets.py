"""What the presets give: pairs over several seeds, through the same queue and workers as the page.

    python benchmarks/presets.py [--preset NAME ...] [--seeds 5] [--output FILE]

Writes the accuracies of every run, their means, standard deviations and paired differences, the
seconds of every pair from the click to the end, hardware and versions.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil

from vcr_core.config import override
from vcr_core.execution import ensure_dispatcher, slots, submit_pair
from vcr_core.presets import MEASURED, PRESETS, find_preset
from vcr_core.store import Run, RunState, Store, open_store

DEFAULT_OUTPUT = Path(__file__).parents[1] / "docs" / "results" / "presets.json"
PACKAGES = ("torch", "torchvision", "numpy", "scikit-learn")


def main() -> None:
    """Run the pairs one after another and write the result file."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--preset", action="append", choices=list(PRESETS))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--output", type=Path, default=DEFAULT_OUTPUT)
    options = parser.parse_args()
    store = open_store()
    ensure_dispatcher(store)
    result = {"made": datetime.now(tz=UTC).date().isoformat(), "machine": machine(), "presets": {}}
    for name in options.preset or MEASURED:
        pairs = [run_pair(store, name, seed) for seed in range(options.seeds)]
        result["presets"][name] = {
            "config": find_preset(name).config.model_dump(mode="json"),
            "summary": summarise(pairs),
            "pairs": pairs,
        }
        print(name, json.dumps(result["presets"][name]["summary"], indent=2))
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def run_pair(store: Store, preset: str, seed: int) -> dict[str, Any]:
    """One pair, waited for; its numbers and the seconds from the click to the end."""
    config = override(find_preset(preset).config, {"seed": seed})
    clicked = time.time()
    ids = submit_pair(store, config, preset=preset)
    runs = [wait_for(store, run_id) for run_id in ids]
    first_point = min(run.started_at or clicked for run in runs) - clicked
    return {
        "seed": seed,
        "without": runs[0].result,
        "with": runs[1].result,
        "seconds_to_start": round(first_point, 2),
        "seconds": round(max(run.finished_at or clicked for run in runs) - clicked, 2),
        "environment": runs[0].environment,
    }


def wait_for(store: Store, run_id: str) -> Run:
    """The run once it is over."""
    while not (run := store.run(run_id)).state.is_over:
        time.sleep(0.1)
    if run.state is not RunState.FINISHED:
        raise RuntimeError(f"run {run_id} {run.state}: {run.error}")
    return run


def summarise(pairs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Mean and standard deviation over seeds, without, with, and of the paired difference."""
    targets = list(pairs[0]["with"]["transfer"])
    rows: dict[str, Any] = {"source": _row([_accuracies(pair, "source") for pair in pairs])}
    rows |= {target: _row([_accuracies(pair, target) for pair in pairs]) for target in targets}
    ranks = [(pair["without"]["effective_rank"], pair["with"]["effective_rank"]) for pair in pairs]
    rows["effective_rank"] = _row(ranks)
    return {
        "n": len(pairs),
        "rows": rows,
        "seconds_median": statistics.median(pair["seconds"] for pair in pairs),
        "seconds_max": max(pair["seconds"] for pair in pairs),
    }


def _accuracies(pair: dict[str, Any], task: str) -> tuple[float, float]:
    if task == "source":
        return pair["without"]["source_accuracy"], pair["with"]["source_accuracy"]
    return pair["without"]["transfer"][task], pair["with"]["transfer"][task]


def _row(values: Sequence[tuple[float, float]]) -> dict[str, dict[str, float]]:
    columns = {
        "without": [before for before, _ in values],
        "with": [after for _, after in values],
        "difference": [after - before for before, after in values],
    }
    return {
        name: {"mean": round(statistics.fmean(column), 4), "std": round(_std(column), 4)}
        for name, column in columns.items()
    }


def _std(column: Sequence[float]) -> float:
    return statistics.stdev(column) if len(column) > 1 else 0.0


def machine() -> dict[str, Any]:
    """Hardware and versions."""
    return {
        "cores": psutil.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30),
        "cpu": cpu_name(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "slots": slots(),
        **{package: version(package) for package in PACKAGES},
    }


def cpu_name() -> str:
    """The processor's name, where the system tells it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


if __name__ == "__main__":
    main()
