"""How far apart the twins of a pair are: while they train, and where both were paused or stopped.

    python benchmarks/lockstep.py [--pairs 3] [--tries 20] [--output docs/results/lockstep.json]

Everything is measured twice, through dispatcher and warm workers as under the page: with twins in
lock-step, and with ``VCR_LAB_LOCKSTEP=off``, where they train independently and are asked one after
the other, as it was before there was lock-step. Pairs of the two kinds take turns, so that what
else the machine does hits both.

*Ticks*: four times a second, the difference of the steps that the page would show, in the progress
line and at the end of the curves, while both twins of a sprites pair train. *Seconds*: from the
click to the end of the later twin. *Paused*, *stepped*, *stopped*: in how many tries both twins of
a digits pair did so at the same step, and by how much they differed. *Applied*: milliseconds from
turning the learning rate of both to the moment at which the store says that both follow.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
from latency import LOOK_SECONDS, end_dispatcher, summary, wait_until
from presets import machine

from vcr_core.config import override
from vcr_core.execution import ensure_dispatcher, submit_pair
from vcr_core.presets import find_preset
from vcr_core.store import CommandKind, RunState, Store, open_store

DEFAULT_OUTPUT = Path(__file__).parents[1] / "docs" / "results" / "lockstep.json"
TICK_SECONDS = 0.25
ENDLESS = {"training.epochs": 2000}
RATE = "optimizer.learning_rate"
Pair = tuple[str, str]


def main() -> None:
    """Measure and write the result file."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--tries", type=int, default=20)
    parser.add_argument("--only", choices=("apart", "lockstep"))
    parser.add_argument("--output", type=Path, default=DEFAULT_OUTPUT)
    options = parser.parse_args()
    kinds = [options.only] if options.only else ["apart", "lockstep"]
    load = psutil.getloadavg()[1]
    watched: dict[str, list[dict[str, Any]]] = {kind: [] for kind in kinds}
    for seed in range(options.pairs):
        for kind in kinds if seed % 2 == 0 else reversed(kinds):
            with serving(kind) as store:
                watched[kind].append(whole_pair(store, seed))
                print(kind, seed, watched[kind][-1]["seconds"], flush=True)
    measured: dict[str, Any] = {}
    for kind in kinds:
        with serving(kind) as store:
            asked = Asked(store, together=kind == "lockstep")
            measured[kind] = pairs_summary(watched[kind]) | asked.measure(options.tries)
        print(kind, json.dumps(measured[kind], indent=1), flush=True)
    result = {
        "made": datetime.now(tz=UTC).date().isoformat(),
        "machine": machine(),
        "load_average": [round(load, 1), round(psutil.getloadavg()[1], 1)],
        "pairs": options.pairs,
        "tries": options.tries,
        "tick_seconds": TICK_SECONDS,
        **measured,
    }
    options.output.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


@contextmanager
def serving(kind: str) -> Iterator[Store]:
    """An empty store with a dispatcher and two warm workers of its own."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        os.environ["VCR_LAB_HOME"] = home
        os.environ["VCR_LAB_LOCKSTEP"] = "off" if kind == "apart" else "on"
        store = open_store()
        ensure_dispatcher(store)
        try:
            finish(store, start(store, "digits-parity"))  # both workers are warm
            yield store
        finally:
            end_dispatcher(store)
            store.close()


def start(store: Store, preset: str, **changes: Any) -> Pair:
    """Queue a pair of a preset."""
    return submit_pair(store, override(find_preset(preset).config, changes), preset=preset)


def finish(store: Store, pair: Pair) -> None:
    """Wait until both are over."""
    wait_until(lambda: all(store.run(run_id).state.is_over for run_id in pair), look=0.1)


def whole_pair(store: Store, seed: int) -> dict[str, Any]:
    """One sprites pair from the click to its end, seen by somebody who looks at the page."""
    pair = start(store, "sprites-shape", seed=seed)
    progress: list[int] = []
    curves: list[int] = []
    while True:
        runs = [store.run(run_id) for run_id in pair]
        ends = [last_step(store, run_id) for run_id in pair]
        if all(run.state.is_over for run in runs):
            break
        if all(run.state is RunState.RUNNING and run.step for run in runs):
            progress.append(abs(runs[0].step - runs[1].step))
            curves.append(abs(ends[0] - ends[1]))
        time.sleep(TICK_SECONDS)
    return {
        "seconds": max(run.finished_at or 0 for run in runs) - min(r.created_at for r in runs),
        "training_seconds": [run.training_seconds for run in runs],
        "progress": progress,
        "curves": curves,
    }


def last_step(store: Store, run_id: str) -> int:
    """The step at which a run's loss curve ends."""
    return max((row.step for row in store.metrics(run_id, names=["loss/task"])), default=0)


def pairs_summary(pairs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Seconds of every pair, and how far apart its twins were seen."""
    shown = {
        name: differences([each for pair in pairs for each in pair[name]])
        for name in ("progress", "curves")
    }
    return {
        "sprites_pair_seconds": [round(pair["seconds"], 2) for pair in pairs],
        "sprites_training_seconds": [
            [round(seconds, 2) for seconds in pair["training_seconds"]] for pair in pairs
        ],
        "steps_apart_at_ticks": shown,
    }


def differences(steps: Sequence[int]) -> dict[str, float]:
    """How often two steps were the same, and how far apart they were."""
    ordered = sorted(steps)
    return {
        "n": len(ordered),
        "same": round(sum(step == 0 for step in ordered) / len(ordered), 3),
        "mean": round(statistics.fmean(ordered), 2),
        "p95": ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))],
        "max": ordered[-1],
    }


class Asked:
    """What comes of asking both twins of a pair for the same."""

    def __init__(self, store: Store, *, together: bool) -> None:
        self.store = store
        self._together = together
        self._chance = random.Random(0)

    def measure(self, tries: int) -> dict[str, Any]:
        """All that can be asked of both."""
        paused, stepped = self.paused(tries)
        return {
            "paused": differences(paused),
            "stepped": differences(stepped),
            "stopped": differences([self.stopped() for _ in range(tries)]),
            "applied_milliseconds": {
                preset: self.applied(preset, tries) for preset in ("sprites-shape", "digits-parity")
            },
        }

    def ask(self, pair: Pair, kind: CommandKind, **payload: Any) -> list[int]:
        """Ask both; returns the ids of the two commands."""
        if self._together:
            return list(self.store.ask_both(pair, kind, payload).values())
        return [self.store.add_command(run_id, kind, payload) for run_id in pair]

    def paused(self, tries: int) -> tuple[list[int], list[int]]:
        """Steps between twins after a pause, and after single steps that followed it."""
        pair = self._training("digits-parity")
        paused, stepped = [], []
        for _ in range(tries):
            time.sleep(self._chance.uniform(0.1, 0.6))
            self.ask(pair, CommandKind.PAUSE)
            paused.append(self._apart_when_paused(pair))
            for _ in range(3):  # as fast as a finger
                step = self.ask(pair, CommandKind.STEP, n=1)
                time.sleep(0.1)
            self._wait_for_applied(pair, step)
            stepped.append(self._apart_when_paused(pair))
            self._wait_for_applied(pair, self.ask(pair, CommandKind.RESUME))
        self.ask(pair, CommandKind.ABORT)
        finish(self.store, pair)
        return paused, stepped

    def stopped(self) -> int:
        """Steps between twins that were asked to stop while they trained."""
        pair = self._training("digits-parity")
        time.sleep(self._chance.uniform(0.1, 0.6))
        self.ask(pair, CommandKind.STOP)
        finish(self.store, pair)
        return self._apart(pair)

    def applied(self, preset: str, tries: int) -> dict[str, float]:
        """Milliseconds until both follow a turned learning rate; and whether at the same step."""
        pair = self._training(preset)
        spent, apart = [], []
        for trial in range(tries):
            time.sleep(self._chance.uniform(0.05, 0.3))
            began = time.perf_counter()
            asked = self.ask(pair, CommandKind.SET, field=RATE, value=1e-3 + 1e-6 * trial)
            steps = self._wait_for_applied(pair, asked)
            spent.append(1000 * (time.perf_counter() - began))
            apart.append(abs(steps[0] - steps[1]))
        self.ask(pair, CommandKind.ABORT)
        finish(self.store, pair)
        return summary(spent) | {"same_step": round(sum(a == 0 for a in apart) / tries, 3)}

    def _training(self, preset: str) -> Pair:
        pair = start(self.store, preset, **ENDLESS)
        wait_until(lambda: all(self.store.run(run_id).step > 5 for run_id in pair))
        return pair

    def _wait_for_applied(self, pair: Pair, asked: Sequence[int]) -> list[int]:
        def steps() -> list[int]:
            found = [
                self.store.commands(run_id, after=command - 1)[0].applied_step
                for run_id, command in zip(pair, asked, strict=True)
            ]
            return [step for step in found if step is not None]

        wait_until(lambda: len(steps()) == len(pair), look=LOOK_SECONDS)
        return steps()

    def _apart_when_paused(self, pair: Pair) -> int:
        def both_paused() -> bool:
            return all(self.store.run(run_id).state is RunState.PAUSED for run_id in pair)

        wait_until(both_paused, look=0.02)
        time.sleep(0.3)  # a twin that was released once more would have moved by now
        wait_until(both_paused, look=0.02)
        return self._apart(pair)

    def _apart(self, pair: Pair) -> int:
        steps = [self.store.run(run_id).step for run_id in pair]
        return abs(steps[0] - steps[1])


if __name__ == "__main__":
    main()
