"""A warm worker: torch imported, small data prepared, waiting for runs on standard input.

Each line is the id of a run. The end of the input means that the dispatcher is gone: the worker
finishes what it does and leaves.
"""

from __future__ import annotations

import argparse
import logging
import sys

from vcr_core.errors import VcrLabError
from vcr_core.execution.runner import execute
from vcr_core.presets import DEFAULT_PRESET, PRESETS
from vcr_core.store import Store, open_store
from vcr_core.training.warmup import warm_up

log = logging.getLogger("vcr_lab.worker")


def serve(store: Store, threads: int) -> None:
    """Carry out runs until the input ends. A run that fails does not end the worker."""
    warm_up(PRESETS[DEFAULT_PRESET].config, threads=threads)
    log.info("ready")
    for line in sys.stdin:
        run_id = line.strip()
        try:
            outcome = execute(store, run_id)
        except VcrLabError as error:
            log.warning("run %s: %s", run_id, error)
        except RuntimeError:  # torch's: out of memory, a kernel that failed
            log.exception("run %s failed", run_id)
        else:
            log.info("run %s: %s after %.1f s", run_id, outcome.state, outcome.seconds)


def main(arguments: list[str] | None = None) -> None:
    """``python -m vcr_core.execution.worker --store URL --threads N``."""
    parser = argparse.ArgumentParser(description="Trains the runs whose ids come on its input.")
    parser.add_argument("--store", required=True, help="address of the store")
    parser.add_argument("--threads", required=True, type=int, help="CPU threads to use")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    serve(open_store(options.store), options.threads)


if __name__ == "__main__":
    main()
