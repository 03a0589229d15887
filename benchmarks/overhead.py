"""What telemetry, checkpoints, commands and online probes cost a run of a preset.

    python benchmarks/overhead.py --write

Every step, boundary and evaluation of real runs against a real store is timed. The cost of
telemetry is what reporting steps take beyond plain steps, in the mean, so it contains the moments
of the features as well as the writing. Shares are of the time that all steps would take as plain
ones. Targets: telemetry, commands and checkpoints together 3 %, probes 25 %.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from vcr_core.config import override
from vcr_core.execution.channel import StoreChannel
from vcr_core.presets import DEFAULT_PRESET, find_preset
from vcr_core.store import RunState, open_store
from vcr_core.training.checkpoint import Folder
from vcr_core.training.environment import environment
from vcr_core.training.evaluation import Evaluation
from vcr_core.training.experiment import prepare
from vcr_core.training.keeper import Keeper
from vcr_core.training.loop import Trainer

RESULTS = Path(__file__).parents[1] / "docs" / "results" / "overhead.json"


class TimedTrainer(Trainer):
    """Notes how long everything takes, by kind."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.times: dict[str, list[float]] = {"plain": [], "reporting": [], "boundary": []}
        self.probes: list[float] = []

    def _ends(self) -> bool:
        began = time.perf_counter()
        over = super()._ends()
        self.times["boundary"].append(time.perf_counter() - began)
        return over

    def train_step(self) -> torch.Tensor:
        kind = "reporting" if self.step + 1 in self.control.cadence.reports else "plain"
        began = time.perf_counter()
        loss = super().train_step()
        self.times[kind].append(time.perf_counter() - began)
        return loss

    def evaluate(self) -> Evaluation:
        began = time.perf_counter()
        found = super().evaluate()
        self.probes.append(time.perf_counter() - began)
        return found


def measure(preset: str, epochs: int) -> dict[str, float]:
    """Shares of the plain steps' time, of one run in a store of its own."""
    changes = {"execution.threads": 1, "execution.device": "cpu", "training.epochs": epochs}
    config = override(find_preset(preset).config, changes)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as home:
        os.environ["VCR_LAB_HOME"] = home
        store = open_store()
        run = store.run(store.create_run(config, state=RunState.STARTING))
        channel = StoreChannel(store, run)
        with channel, Keeper(Folder.of(run), on_kept=channel.kept) as keeper:
            trainer = TimedTrainer(prepare(config), channel, keeper=keeper)
            trainer.run()
        kept = len(Folder.of(run).steps())
        store.close()
    step = statistics.fmean(trainer.times["plain"])
    steps = len(trainer.times["plain"]) + len(trainer.times["reporting"])
    telemetry = sum(seconds - step for seconds in trainer.times["reporting"])
    boundaries = sum(trainer.times["boundary"])
    return {
        "step_ms": 1e3 * step,
        "steps": steps,
        "telemetry": telemetry / (steps * step),
        "commands_and_checkpoints": boundaries / (steps * step),
        "telemetry_commands_and_checkpoints": (telemetry + boundaries) / (steps * step),
        "probes": sum(trainer.probes[1:]) / (steps * step),
        "probe_ms": 1e3 * statistics.median(trainer.probes),
        "checkpoints": kept,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--preset", default=DEFAULT_PRESET)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--trials", type=int, default=3)
    parser.add_argument("--write", action="store_true", help=f"write {RESULTS.name}")
    options = parser.parse_args()
    trials = [measure(options.preset, options.epochs) for _ in range(options.trials)]
    result = {
        "what": " ".join((__doc__ or "").split("\n\n")[2].split()),
        "date": time.strftime("%Y-%m-%d"),
        "preset": options.preset,
        "epochs": options.epochs,
        "trials": len(trials),
        "environment": environment(torch.device("cpu")) | {"threads": 1},
        "median": {name: statistics.median(trial[name] for trial in trials) for name in trials[0]},
        "largest": {name: max(trial[name] for trial in trials) for name in trials[0]},
    }
    text = json.dumps(result, indent=2)
    print(text)
    if options.write:
        RESULTS.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
