"""A warm worker: torch imported, small data prepared, waiting for work on standard input.

Each line is the id of a run, or ``request`` and the id of a request. The end of the input means
that the dispatcher is gone: the worker finishes what it does and leaves. On SIGTERM it keeps a
checkpoint of its run, marks it as interrupted and leaves. Standard output is for the dispatcher
alone, see ``workers``.
"""

from __future__ import annotations

import argparse
import logging
import os
import queue
import signal
import sys
import threading
from collections.abc import Iterable
from contextlib import suppress
from typing import TextIO

import torch

from vcr_core.errors import VcrLabError
from vcr_core.execution.answers import answer
from vcr_core.execution.runner import execute
from vcr_core.execution.workers import OVER, READY, REQUEST
from vcr_core.presets import DEFAULT_PRESET, PRESETS
from vcr_core.store import Store, open_store
from vcr_core.training.warmup import warm_up

log = logging.getLogger("vcr_lab.worker")


Waiting = queue.SimpleQueue[str | None]  # may be put into by a signal's handler


def serve(store: Store, threads: int, dispatcher: TextIO, *, answers_only: bool = False) -> None:
    """Carry out runs and answer until the input ends. A run that fails does not end the worker.

    With ``answers_only`` it gets ready without taking a training step, which is sooner.
    """
    if answers_only:
        torch.set_num_threads(threads)
    else:
        warm_up(PRESETS[DEFAULT_PRESET].config, threads=threads)
    log.info("ready")
    waiting = work_from(sys.stdin)
    interruption = leave_on_signal(waiting)
    say(READY, dispatcher)
    while True:
        work = waiting.get()
        if work is None or interruption.is_set():
            return
        if work.startswith(REQUEST):
            answer(store, int(work.removeprefix(REQUEST)))
        else:
            carry_out(store, work, interruption)
        say(OVER, dispatcher)


def say(word: str, dispatcher: TextIO) -> None:
    """Tell the dispatcher, if it still lives: a worker goes on without one."""
    with suppress(OSError):
        dispatcher.write(f"{word}\n")
        dispatcher.flush()


def private_output() -> TextIO:
    """Standard output for the dispatcher alone; what libraries print goes to the log."""
    talk = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return talk


def work_from(lines: Iterable[str]) -> Waiting:
    """A queue of what comes in, line by line; None stands for the end."""
    waiting: Waiting = queue.SimpleQueue()

    def read() -> None:
        for line in lines:
            waiting.put(line.strip())
        waiting.put(None)

    threading.Thread(target=read, name="work", daemon=True).start()
    return waiting


def leave_on_signal(waiting: Waiting) -> threading.Event:
    """What SIGTERM sets, to end the run in work at its next step; an idle worker leaves at once."""
    interruption = threading.Event()

    def leave(_signal: int, _frame: object) -> None:
        interruption.set()
        waiting.put(None)

    signal.signal(signal.SIGTERM, leave)
    return interruption


def carry_out(store: Store, run_id: str, interruption: threading.Event) -> None:
    """One run; what goes wrong with it is logged and already stands in its row."""
    log.info("run %s: starts", run_id)
    try:
        outcome = execute(store, run_id, interruption=interruption)
    except VcrLabError as error:
        log.warning("run %s: %s", run_id, error)
    except RuntimeError:  # torch's: out of memory, a kernel that failed
        log.exception("run %s failed", run_id)
    else:
        log.info("run %s: %s after %.1f s", run_id, outcome.state, outcome.seconds)


def main(arguments: list[str] | None = None) -> None:
    """Serve the store of VCR_LAB_STORE: ``python -m vcr_core.execution.worker --threads N``."""
    parser = argparse.ArgumentParser(description="Trains runs and answers requests.")
    parser.add_argument("--store", help="address of the store, if not VCR_LAB_STORE")
    parser.add_argument("--threads", required=True, type=int, help="CPU threads to use")
    parser.add_argument("--answers-only", action="store_true", help="train nothing")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    serve(
        open_store(options.store),
        options.threads,
        private_output(),
        answers_only=options.answers_only,
    )


if __name__ == "__main__":
    main()
