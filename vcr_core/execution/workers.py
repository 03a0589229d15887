"""Warm workers as the dispatcher sees them: where they come from and what they say.

A worker process gets the ids of runs on standard input, a line each, and of requests as
``request 17``. On standard output it says ``ready`` once it has torch imported and a step taken,
and ``over`` when a run or request has left its hands; the end of its output means that it died.
So the dispatcher hears of both at once, and looks into the store only for what comes from
elsewhere. Its log goes to a file.
"""

from __future__ import annotations

import signal
import threading
import uuid
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import psutil

from vcr_core import paths
from vcr_core.execution.devices import CPU, Slot, local_slots, machine, threads_per_worker
from vcr_core.execution.launch import start_detached

READY, OVER = "ready", "over"
REQUEST = "request "
SILENCE_SECONDS = 15.0
"""A process of ours that lives may be held up by a busy machine for a while."""
LOG_LINES = 30


class Worker(Protocol):
    """One worker, wherever it is: ``run_id`` is what it trains, ``request_id`` what it answers."""

    slot: Slot
    run_id: str | None
    request_id: int | None
    patience: float
    """After so many seconds without a beat it hangs, or its machine is gone."""

    @property
    def name(self) -> str:
        """``machine:pid``, as it stands in the run's row; "" until that is known."""

    @property
    def was_ready(self) -> bool:
        """It got as far as to take runs."""

    @property
    def has_work(self) -> bool:
        """Whether it has a run or a request."""

    @property
    def is_ready(self) -> bool:
        """It waits for a run or a request."""

    @property
    def said_over(self) -> bool:
        """Its run or request has left its hands."""

    @property
    def is_alive(self) -> bool:
        """It has not died, as far as is known here."""

    def give(self, run_id: str) -> None:
        """Hand over a run."""

    def ask(self, request_id: int) -> None:
        """Hand over a request."""

    def free(self) -> None:
        """Its run or request is over, or not its any more."""

    def kill(self) -> None:
        """End it at once: it hangs."""

    def dismiss(self) -> None:
        """Let it go: at once if it is idle, else when its run is over."""

    def obituary(self) -> str:
        """How it died, in words."""

    def last_words(self) -> str:
        """The end of its log since it got its run."""


class Crew(Protocol):
    """Where workers come from. ``bell`` rings when one of them has something to say."""

    bell: threading.Event
    threads: int

    def slots(self) -> Sequence[Slot]:
        """Every slot there is now."""

    def hire(self, slot: Slot) -> Worker:
        """A new worker, which gets ready by itself."""

    def hire_helper(self) -> Worker | None:
        """A new worker beside the slots that only answers; None where there is no room for one."""

    def close(self) -> None:
        """No worker is wanted any more."""


class LocalCrew:
    """Worker processes on this machine."""

    def __init__(self, store_url: str) -> None:
        self.store_url = store_url
        self.bell = threading.Event()
        self.threads = threads_per_worker()

    def slots(self) -> Sequence[Slot]:
        """One for each run that this machine trains at a time."""
        return local_slots()

    def hire(self, slot: Slot) -> LocalWorker:
        """Start a process."""
        return LocalWorker(self.store_url, slot, self.threads, self.bell)

    def hire_helper(self) -> LocalWorker:
        """Start a process that leaves GPUs to those who train."""
        slot = Slot(CPU, {"CUDA_VISIBLE_DEVICES": ""})
        return LocalWorker(self.store_url, slot, self.threads, self.bell, ["--answers-only"])

    def close(self) -> None:
        """Workers that still train are left to finish."""


class LocalWorker:
    """A worker process, and a thread here that listens to it."""

    patience = SILENCE_SECONDS

    def __init__(
        self,
        store_url: str,
        slot: Slot,
        threads: int,
        bell: threading.Event,
        options: Sequence[str] = (),
    ) -> None:
        self.slot = slot
        self.run_id: str | None = None
        self.request_id: int | None = None
        self.was_ready = False
        self._bell = bell
        self._ready = threading.Event()
        self._log = paths.log_folder() / f"worker-{uuid.uuid4().hex[:8]}.log"
        self._log_start = 0
        with self._log.open("ab") as log:
            self._process = start_detached(
                "vcr_core.execution.worker",
                ["--threads", str(threads), *options],
                log=log,
                environment={**slot.environment, "VCR_LAB_STORE": store_url},
                talks=True,
            )
        self.name = f"{machine()}:{self._process.pid}"
        threading.Thread(target=self._listen, name=f"listen to {self.name}", daemon=True).start()

    def _listen(self) -> None:
        for line in self._process.stdout or ():
            if line.strip().decode(errors="replace") in (READY, OVER):
                self.was_ready = True
                self._ready.set()
                self._bell.set()
        self._process.wait()
        self._bell.set()

    @property
    def is_ready(self) -> bool:
        return not self.has_work and self._ready.is_set()

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    @property
    def said_over(self) -> bool:
        """Its run or request has left its hands."""
        return self.has_work and self._ready.is_set()

    @property
    def has_work(self) -> bool:
        return self.run_id is not None or self.request_id is not None

    def give(self, run_id: str) -> None:
        self.run_id = run_id
        self._tell(run_id)

    def ask(self, request_id: int) -> None:
        self.request_id = request_id
        self._tell(f"{REQUEST}{request_id}")

    def _tell(self, line: str) -> None:
        self._ready.clear()
        self._log_start = self._log.stat().st_size
        if self._process.stdin is not None:
            try:
                self._process.stdin.write(f"{line}\n".encode())
                self._process.stdin.flush()
            except OSError:  # it just died: the next round sees that
                self._bell.set()

    def free(self) -> None:
        self.run_id = self.request_id = None

    def kill(self) -> None:
        try:
            family = psutil.Process(self._process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            family = []
        self._process.kill()
        for child in family:
            with suppress(psutil.NoSuchProcess):
                child.kill()

    def dismiss(self) -> None:
        if self.run_id is None:
            self._process.terminate()
        if self._process.stdin is not None:
            self._process.stdin.close()

    def obituary(self) -> str:
        return f"the worker process died ({exit_words(self._process.returncode)})"

    def last_words(self) -> str:
        return tail(self._log, self._log_start)


def tail(log: Path, start: int) -> str:
    """The last lines of a log file after a position."""
    with log.open("rb") as stream:
        stream.seek(start)
        text = stream.read().decode(errors="replace")
    return "\n".join(text.splitlines()[-LOG_LINES:])


def exit_words(code: int | None) -> str:
    """An exit code in words: ``killed by SIGKILL`` or ``exit code 1``."""
    if code is not None and code < 0:
        try:
            return f"killed by {signal.Signals(-code).name}"
        except ValueError:
            return f"killed by signal {-code}"
    return f"exit code {code}"
