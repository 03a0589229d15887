"""Thirty people press Start at once: what becomes of their runs, and what the dispatcher costs.

    python benchmarks/queue_of_thirty.py [--runs 30] [--output docs/results/queue_of_thirty.json]

Thirty owners queue one small run each within a moment. A dispatcher with two slots serves them.
Counted are the runs by how they ended, runs that were executed more than once, and the processor
time of the dispatcher's process (its workers apart) from the first submission to the last end.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
from latency import end_dispatcher, first_row, wait_until
from presets import machine

from vcr_core.config import RunConfig, override
from vcr_core.execution import ensure_dispatcher, submit
from vcr_core.execution.launch import DISPATCHER_LEASE
from vcr_core.store import RunState, Store, open_store

DEFAULT_OUTPUT = Path(__file__).parents[1] / "docs" / "results" / "queue_of_thirty.json"
TINY = {
    "data.dataset": "digits",
    "data.source": "parity",
    "transfer.targets": ("digit",),
    "model.name": "mlp",
    "model.hidden": (64, 32),
    "training.epochs": 10,
    "transfer.probes": 2,
}


def main() -> None:
    """Measure and write the result file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=30)
    parser.add_argument("--output", type=Path, default=DEFAULT_OUTPUT)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        os.environ["VCR_LAB_HOME"] = home
        store = open_store()
        ensure_dispatcher(store)
        try:
            first_row(store, "digits-parity")
            result = {
                "made": datetime.now(tz=UTC).date().isoformat(),
                "machine": machine(),
                **measure(store, options.runs),
            }
        finally:
            end_dispatcher(store)
            store.close()
    options.output.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=1))


def measure(store: Store, count: int) -> dict[str, Any]:
    """Queue the runs and wait for the last one."""
    lease = store.lease(DISPATCHER_LEASE)
    assert lease is not None
    dispatcher = psutil.Process(int(lease[2]["pid"]))
    config = override(RunConfig(), TINY)
    spent, start = own_seconds(dispatcher), time.perf_counter()
    submitted = [submit(store, config, owner=f"owner {number}") for number in range(count)]
    asked = time.perf_counter() - start
    wait_until(lambda: (time.sleep(0.2), all(run.state.is_over for run in store.summaries()))[1])
    seconds = time.perf_counter() - start
    spent = own_seconds(dispatcher) - spent
    runs = [store.run(run_id) for run_id in submitted]
    return {
        "runs": count,
        "ended": dict(Counter(run.state.value for run in runs)),
        "executed_more_than_once": sum(run.attempt != 1 for run in runs),
        "lost": count - sum(run.state is RunState.FINISHED for run in runs),
        "seconds_to_submit_all": round(asked, 3),
        "seconds_to_finish_all": round(seconds, 2),
        "median_training_seconds": round(statistics.median(r.training_seconds for r in runs), 3),
        "dispatcher_cpu_seconds": round(spent, 3),
        "dispatcher_share_of_a_core": round(spent / seconds, 4),
    }


def own_seconds(process: psutil.Process) -> float:
    """Processor seconds of a process without its children."""
    times = process.cpu_times()
    return float(times.user + times.system)


if __name__ == "__main__":
    main()
