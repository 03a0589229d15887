"""How long a person waits: from the click to the first numbers, and from a knob to its effect.

    python benchmarks/latency.py [--trials 20] [--output docs/results/latency.json]

A dispatcher and its two warm workers serve a store of their own, as under the page. *First row*:
from the call that queues a run to the moment at which another process can read the run's first
number; the run is stopped then. It is taken with a seed whose images lie ready, and with seeds
that no run had before, whose images are drawn or split first. *Applied*: from the call that asks
for another weight to the moment at which the store says at which step it was applied, while a
pair of the preset trains. Both look into the store every 2 ms.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import psutil
from presets import machine

from vcr_core.config import override
from vcr_core.execution import ensure_dispatcher, submit, submit_pair
from vcr_core.execution.launch import DISPATCHER_LEASE
from vcr_core.presets import find_preset
from vcr_core.store import CommandKind, Store, open_store

DEFAULT_OUTPUT = Path(__file__).parents[1] / "docs" / "results" / "latency.json"
PRESETS = ("sprites-shape", "digits-parity")
LOOK_SECONDS = 0.002
PATIENCE_SECONDS = 120.0


def main() -> None:
    """Measure and write the result file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--output", type=Path, default=DEFAULT_OUTPUT)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        os.environ["VCR_LAB_HOME"] = home
        store = open_store()
        ensure_dispatcher(store)
        try:
            measured = {name: measure(store, name, options.trials) for name in PRESETS}
        finally:
            end_dispatcher(store)
            store.close()
    result = {
        "made": datetime.now(tz=UTC).date().isoformat(),
        "machine": machine(),
        "trials": options.trials,
        "milliseconds": measured,
    }
    options.output.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(measured, indent=1))


def measure(store: Store, preset: str, trials: int) -> dict[str, dict[str, float]]:
    """Both waits for one preset, after two runs that nobody counts."""
    for _ in range(2):
        first_row(store, preset)
    rows = [first_row(store, preset) for _ in range(trials)]
    unseen = [first_row(store, preset, seed=1 + trial) for trial in range(trials)]
    return {
        "first_row": summary(rows),
        "first_row_unseen_seed": summary(unseen),
        "applied": summary(applied(store, preset, trials)),
    }


def first_row(store: Store, preset: str, *, seed: int = 0) -> float:
    """Milliseconds from queueing a run to its first number."""
    config = override(find_preset(preset).config, {"seed": seed})
    start = time.perf_counter()
    run_id = submit(store, config, preset=preset)
    wait_until(lambda: store.metrics(run_id))
    spent = 1000 * (time.perf_counter() - start)
    store.add_command(run_id, CommandKind.STOP)
    wait_until(lambda: store.run(run_id).state.is_over)
    time.sleep(0.2)
    return spent


def applied(store: Store, preset: str, trials: int) -> list[float]:
    """Milliseconds from asking for another weight to the acknowledgement."""
    config = override(find_preset(preset).config, {"training.epochs": 2000})
    pair = submit_pair(store, config, preset=preset)
    for run_id in pair:
        wait_until(lambda run_id=run_id: store.run(run_id).step > 20)
    spent = []
    for trial in range(trials):
        payload = {"field": "regularizer.variance_weight", "value": 1.0 + trial / 100}
        start = time.perf_counter()
        command = store.add_command(pair[1], CommandKind.SET, payload)
        wait_until(
            lambda command=command: (
                store.commands(pair[1], after=command - 1)[0].applied_step is not None
            )
        )
        spent.append(1000 * (time.perf_counter() - start))
        time.sleep(0.05 + 0.013 * (trial % 7))
    for run_id in pair:
        store.add_command(run_id, CommandKind.STOP)
    wait_until(lambda: all(store.run(run_id).state.is_over for run_id in pair))
    return spent


def wait_until(condition: Callable[[], object], *, look: float = LOOK_SECONDS) -> None:
    """Look every ``look`` seconds until something is true.

    Raises:
        TimeoutError: it took two minutes.
    """
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(
                f"waited {PATIENCE_SECONDS:g} s: see the logs of dispatcher, workers"
            )
        time.sleep(look)


def summary(milliseconds: Sequence[float]) -> dict[str, float]:
    """Median, 95th percentile, smallest and largest."""
    ordered = sorted(milliseconds)
    return {
        "median": round(statistics.median(ordered), 1),
        "p95": round(ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))], 1),
        "min": round(ordered[0], 1),
        "max": round(ordered[-1], 1),
    }


def end_dispatcher(store: Store) -> None:
    """End the dispatcher and its workers."""
    lease = store.lease(DISPATCHER_LEASE)
    if lease is None:
        return
    process = psutil.Process(int(lease[2]["pid"]))
    family = [*process.children(recursive=True), process]
    for member in family:
        member.kill()
    psutil.wait_procs(family, timeout=10)


if __name__ == "__main__":
    main()
