"""The dispatcher: gives queued runs to warm workers and notices workers that die.

One dispatcher acts per store: it holds a lease and renews it at every round. It keeps ``slots``
worker processes, each with torch imported, waiting on its standard input for the id of a run.
It never imports torch itself.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from vcr_core import paths
from vcr_core.execution.launch import (
    DISPATCHER_LEASE,
    LEASE_PATIENCE_SECONDS,
    slots,
    start_detached,
    threads_per_worker,
)
from vcr_core.store import Run, RunState, Store, open_store

ROUND_SECONDS = 0.1
BEAT_SECONDS = 1.0
SILENCE_SECONDS = 8.0
LOG_LINES = 30
HIRE_TRIES = 3
LONGEST_HIRE_PAUSE_SECONDS = 30.0
ACTIVE = (RunState.STARTING, RunState.RUNNING, RunState.PAUSED)


@dataclass
class Worker:
    """A warm process, and the run it was given, if any."""

    process: subprocess.Popen[bytes]
    log: Path
    run_id: str | None = None
    log_start: int = 0

    @property
    def is_alive(self) -> bool:
        return self.process.poll() is None

    def give(self, run_id: str) -> None:
        """Hand over a run; the worker reads its id from standard input."""
        self.run_id = run_id
        self.log_start = self.log.stat().st_size
        if self.process.stdin is not None:
            self.process.stdin.write(f"{run_id}\n".encode())
            self.process.stdin.flush()

    def last_words(self) -> str:
        """The end of what the worker wrote since it got its run."""
        with self.log.open("rb") as log:
            log.seek(self.log_start)
            text = log.read().decode(errors="replace")
        return "\n".join(text.splitlines()[-LOG_LINES:])


@dataclass
class Dispatcher:
    """Serves one store until its owner is gone and no run is left."""

    store: Store
    owner: psutil.Process | None
    holder: str = field(default_factory=lambda: uuid.uuid4().hex[:12])
    workers: list[Worker] = field(default_factory=list)
    stopping: bool = False
    early_deaths: int = 0
    hire_after: float = 0.0

    def serve(self) -> None:
        """Rounds until there is nothing to stay for, or somebody else has the lease."""
        next_beat = 0.0
        if not self._wait_for_lease():
            return
        try:
            while not self.stopping:
                if time.monotonic() >= next_beat:
                    next_beat = time.monotonic() + BEAT_SECONDS
                    if not self._beat():
                        return
                    self._fail_silent_runs()
                self._round()
                if self._may_leave():
                    return
                time.sleep(ROUND_SECONDS)
        finally:
            self._dismiss()
            self.store.release_lease(DISPATCHER_LEASE, self.holder)

    def _wait_for_lease(self) -> bool:
        """Take the lease; another holder has to be silent for a while before it is ours."""
        deadline = time.monotonic() + LEASE_PATIENCE_SECONDS + BEAT_SECONDS
        while not self._beat():
            if self.stopping or time.monotonic() > deadline:
                return False
            time.sleep(ROUND_SECONDS)
        return True

    def _beat(self) -> bool:
        return self.store.hold_lease(
            DISPATCHER_LEASE,
            self.holder,
            patience=LEASE_PATIENCE_SECONDS,
            detail={"pid": os.getpid(), "slots": slots(), "threads": threads_per_worker()},
        )

    def _round(self) -> None:
        """Bury the dead, free the finished, keep workers warm, give out queued runs."""
        for worker in self.workers:
            self._mourn(worker)
            self._settle(worker)
        self.workers = [worker for worker in self.workers if worker.is_alive]
        while len(self.workers) < slots() and time.monotonic() >= self.hire_after:
            self.workers.append(self._hire())
        idle = [worker for worker in self.workers if worker.run_id is None]
        if not idle:
            return
        queued = self.store.runs(states=[RunState.QUEUED])
        for worker, run in zip(idle, reversed(queued), strict=False):
            now = time.time()
            if self.store.move_run(
                run.id, before=RunState.QUEUED, after=RunState.STARTING, heartbeat_at=now
            ):
                worker.give(run.id)

    def _mourn(self, worker: Worker) -> None:
        """Hire more slowly while workers die before they get a run; give up on waiting runs."""
        if worker.is_alive or worker.run_id is not None:
            return
        self.early_deaths += 1
        pause = min(2.0**self.early_deaths, LONGEST_HIRE_PAUSE_SECONDS)
        self.hire_after = time.monotonic() + pause
        if self.early_deaths >= HIRE_TRIES:
            for run in self.store.runs(states=[RunState.QUEUED]):
                code = exit_words(worker.process.returncode)
                self._fail(run, f"no worker could be started ({code})", worker.last_words())

    def _settle(self, worker: Worker) -> None:
        """Free a worker whose run is over; fail the run of a worker that died."""
        if worker.run_id is None:
            return
        alive = worker.is_alive
        run = self.store.run(worker.run_id)
        if not run.state.is_over and not alive:
            code = worker.process.returncode
            self._fail(run, f"the worker process died ({exit_words(code)})", worker.last_words())
        if run.state.is_over or not alive:
            worker.run_id = None
            self.early_deaths = 0

    def _fail_silent_runs(self) -> None:
        """Fail runs of another dispatcher's workers that have not beaten for a while."""
        ours = {worker.run_id for worker in self.workers}
        for run in self.store.runs(states=ACTIVE):
            silent = time.time() - (run.heartbeat_at or run.created_at)
            if run.id not in ours and silent > SILENCE_SECONDS:
                self._fail(run, f"its worker process has been silent for {silent:.0f} s", "")

    def _fail(self, run: Run, why: str, log: str) -> None:
        where = f"step {run.step} of {run.total_steps}" if run.total_steps else "its start"
        error = f"The run ended at {where}: {why}. What it had reported until then is kept."
        error += f"\n\nThe end of its log:\n{log}" if log else ""
        self.store.move_run(
            run.id,
            before=run.state,
            after=RunState.FAILED,
            finished_at=time.time(),
            error=error,
        )

    def _hire(self) -> Worker:
        log = paths.log_folder() / f"worker-{uuid.uuid4().hex[:8]}.log"
        with log.open("ab") as stream:
            process = start_detached(
                "vcr_core.execution.worker",
                ["--store", self.store.url, "--threads", str(threads_per_worker())],
                log=stream,
                stdin=subprocess.PIPE,
            )
        return Worker(process, log)

    def _may_leave(self) -> bool:
        if self.owner is not None and self.owner.is_running():
            return False
        waiting = self.store.runs(states=[RunState.QUEUED], limit=1)
        return not waiting and all(worker.run_id is None for worker in self.workers)

    def _dismiss(self) -> None:
        """End idle workers; busy ones finish their run and find their standard input closed."""
        for worker in self.workers:
            if worker.run_id is None:
                worker.process.terminate()
            if worker.process.stdin is not None:
                worker.process.stdin.close()


def exit_words(code: int | None) -> str:
    """An exit code in words: ``killed by SIGKILL`` or ``exit code 1``."""
    if code is not None and code < 0:
        try:
            return f"killed by {signal.Signals(-code).name}"
        except ValueError:
            return f"killed by signal {-code}"
    return f"exit code {code}"


def find_owner(pid: int) -> psutil.Process | None:
    """The process whose end lets the dispatcher leave."""
    try:
        return psutil.Process(pid)
    except psutil.NoSuchProcess:
        return None


def main(arguments: list[str] | None = None) -> None:
    """Serve a store: ``python -m vcr_core.execution.dispatcher --store URL --owner PID``."""
    parser = argparse.ArgumentParser(description="Gives queued runs to warm workers.")
    parser.add_argument("--store", required=True, help="address of the store")
    parser.add_argument("--owner", required=True, type=int, help="stay while this process lives")
    parser.add_argument("--delay", default=0.0, type=float, help="seconds before workers start")
    options = parser.parse_args(arguments)
    dispatcher = Dispatcher(open_store(options.store), find_owner(options.owner))
    dispatcher.hire_after = time.monotonic() + options.delay

    def leave(_signal: int, _frame: object) -> None:
        dispatcher.stopping = True

    signal.signal(signal.SIGTERM, leave)
    dispatcher.serve()


if __name__ == "__main__":
    main()
