"""The dispatcher: gives queued runs to warm workers and notices workers that die or hang.

One dispatcher serves a store: it holds a lease and renews it every second. Others wait, and take
over within seconds when it falls silent. It keeps two workers warm, has at most as many as there
are slots, and never imports torch itself. No clock of another process is trusted: a sign of life
is a change that this process saw.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import socket
import sys
import time
import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import psutil

from vcr_core.errors import ConfigError, StoreError, UnknownRunError, VcrLabError
from vcr_core.execution.desk import Desk
from vcr_core.execution.devices import Slot, machine
from vcr_core.execution.guard import Guard
from vcr_core.execution.launch import DISPATCHER_LEASE, LEASE_PATIENCE_SECONDS, holder_is_dead
from vcr_core.execution.limits import Limits, load_limits
from vcr_core.execution.queue import ACTIVE
from vcr_core.execution.ray_cluster import VARIABLE as RAY_VARIABLE
from vcr_core.execution.ray_cluster import RayCrew
from vcr_core.execution.workers import Crew, LocalCrew, Worker
from vcr_core.store import RunState, Store, open_store

ROUND_SECONDS = 0.05
REQUESTS_SECONDS = 0.2  # asked every round it would be twenty questions to the store a second
BEAT_SECONDS = 1.0
WARM_WORKERS = 2
IDLE_SECONDS = 60.0
HIRE_TRIES = 3
LONGEST_HIRE_PAUSE_SECONDS = 30.0
ABANDONED_SECONDS = 60.0
log = logging.getLogger("vcr_lab.dispatcher")


@dataclass
class Dispatcher:
    """Serves one store until its owner is gone and no run is left."""

    store: Store
    crew: Crew
    owner: psutil.Process | None
    limits: Limits = field(default_factory=Limits)
    holder: str = field(default_factory=lambda: uuid.uuid4().hex[:12])
    workers: list[Worker] = field(default_factory=list)
    serving: bool = False
    stopping: bool = False
    early_deaths: int = 0
    hire_after: float = 0.0

    def __post_init__(self) -> None:
        self.guard = Guard(self.store, self.limits)
        self.desk = Desk(self.store, self.crew)
        self._slots: Sequence[Slot] = ()
        self._orphans = 0
        self._waiting = 0
        self._needed_at = time.monotonic()
        self._requests_at = 0.0

    def serve(self) -> None:
        """Rounds until there is nothing to stay for. A store that fails for a while is waited for.

        The first word about such a failure goes to the log, and the one about its end. Where the
        owner is gone and the store does not come back, there is nothing to stay for either.
        """
        next_beat, trouble, fine_at = 0.0, "", time.monotonic()
        try:
            while not self.stopping:
                try:
                    if time.monotonic() >= next_beat:
                        next_beat = time.monotonic() + BEAT_SECONDS
                        self._beat()
                    if self.serving:
                        self._round()
                    if self._may_leave():
                        return
                    if trouble:
                        log.info("the store can be used again")
                    trouble, fine_at = "", time.monotonic()
                except StoreError as error:
                    if str(error) != trouble:
                        log.warning("%s", error)
                    trouble = str(error)
                    if self._is_alone() and time.monotonic() - fine_at > ABANDONED_SECONDS:
                        return
                    time.sleep(BEAT_SECONDS)
                self.crew.bell.wait(ROUND_SECONDS if self.serving else BEAT_SECONDS)
                self.crew.bell.clear()
        finally:
            self._close()

    # ------------------------------------------------------------- every second

    def _beat(self) -> None:
        """Hold the lease; see to the runs that nobody here hears of otherwise."""
        self._slots = self.crew.slots()
        serving = self._hold_lease()
        if serving is not self.serving:
            log.info("serves the store" if serving else "waits: another dispatcher serves it")
        if self.serving and not serving:
            self._dismiss_all()
        self.serving = serving
        if serving:
            self._orphans = self.guard.look(self.workers)
            self.desk.look(self.workers)
            self._let_go()

    def _hold_lease(self) -> bool:
        detail = {
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "machine": machine(),
            "slots": len(self._slots),
            "threads": self.crew.threads,
        }
        patience = -1.0 if self._holder_is_dead() else LEASE_PATIENCE_SECONDS
        return self.store.hold_lease(
            DISPATCHER_LEASE, self.holder, patience=patience, detail=detail
        )

    def _holder_is_dead(self) -> bool:
        """Whether the lease is held by a process of this machine that is no more."""
        lease = None if self.serving else self.store.lease(DISPATCHER_LEASE)
        return lease is not None and holder_is_dead(lease[2])

    def _let_go(self) -> None:
        """Keep two warm workers; dismiss more once nobody has waited for a minute."""
        if self._waiting:
            self._needed_at = time.monotonic()
        idle = [worker for worker in self.workers if worker.is_ready]
        if time.monotonic() - self._needed_at > IDLE_SECONDS:
            for worker in idle[WARM_WORKERS:]:
                worker.dismiss()
                self.workers.remove(worker)

    # -------------------------------------------------------------- every round

    def _round(self) -> None:
        """Bury the dead, free the finished, give out runs and requests, keep workers warm."""
        for worker in self.workers:
            self._settle(worker)
        self.workers = [worker for worker in self.workers if worker.is_alive]
        self._assign()
        if time.monotonic() >= self._requests_at:
            self._requests_at = time.monotonic() + REQUESTS_SECONDS
            self.desk.give_out(self.workers)
        self._hire()

    def _settle(self, worker: Worker) -> None:
        """Free a worker whose run is over; interrupt the run of a worker that died."""
        self.desk.settle(worker)
        if worker.run_id is None:
            if worker.was_ready:
                self.early_deaths = 0
            elif not worker.is_alive:
                self._mourn(worker)
        elif not worker.is_alive:
            self.guard.interrupt(worker.run_id, worker, worker.obituary())
            worker.free()
        elif worker.said_over:
            self.guard.interrupt(worker.run_id, worker, "its worker gave it up")
            worker.free()

    def _mourn(self, worker: Worker) -> None:
        """Hire more slowly while workers die before they get a run; give up on waiting runs."""
        self.early_deaths += 1
        pause = min(2.0**self.early_deaths, LONGEST_HIRE_PAUSE_SECONDS)
        self.hire_after = time.monotonic() + pause
        log.warning("%s before it got a run", worker.obituary())
        if self.early_deaths >= HIRE_TRIES:
            for run_id in self.store.queue():
                why = f"no worker could be started ({worker.obituary()})"
                self.guard.fail(run_id, why, worker.last_words())

    def _assign(self) -> None:
        """Give waiting runs to workers that are ready, as far as slots and limits allow."""
        ready = [worker for worker in self.workers if worker.is_ready]
        busy = sum(worker.run_id is not None for worker in self.workers)
        room = len(self._slots) - busy - self._orphans
        if room <= 0 or not (ready or len(self.workers) < len(self._slots)):
            return
        queue = self.store.queue()
        self._waiting = len(queue)
        running = self._running_per_owner() if queue else Counter[str]()
        for run_id in queue:
            if not ready or room <= 0:
                return
            if self._give(ready[0], run_id, running):
                ready.pop(0)
                room -= 1

    def _give(self, worker: Worker, run_id: str, running: Counter[str]) -> bool:
        """Claim one run for a worker and hand it over; says whether it got it."""
        most = self.limits.running_per_owner
        try:
            run = self.store.run(run_id)
            if most is not None and running[run.owner] >= most:
                return False
            self.limits.check(run.config)
        except UnknownRunError:  # deleted for good meanwhile
            return False
        except ConfigError as error:
            self.guard.fail(run_id, str(error), "")
            return False
        claimed = self.store.move_run(
            run_id,
            before=RunState.QUEUED,
            after=RunState.STARTING,
            heartbeat_at=time.time(),
            worker=worker.name,
            device=worker.slot.device,
            error=None,
        )
        if claimed:
            running[run.owner] += 1
            worker.give(run_id)
        return claimed

    def _running_per_owner(self) -> Counter[str]:
        if self.limits.running_per_owner is None:
            return Counter[str]()
        return Counter(run.owner for run in self.store.summaries(states=ACTIVE, limit=1000))

    def _hire(self) -> None:
        """Two warm workers, more where runs wait, never more than there are slots."""
        if time.monotonic() < self.hire_after:
            return
        idle = sum(not worker.has_work for worker in self.workers)
        wanted = max(WARM_WORKERS, self._waiting) - idle
        free = list(self._slots)
        for worker in self.workers:
            if worker.slot in free:
                free.remove(worker.slot)
        for slot in free[: max(0, wanted)]:
            self.workers.append(self.crew.hire(slot))

    # ------------------------------------------------------------------ the end

    def _may_leave(self) -> bool:
        if not self._is_alone():
            return False
        if not self.serving:
            return True
        busy = any(worker.run_id is not None for worker in self.workers)
        return not busy and not self.store.queue(limit=1)

    def _is_alone(self) -> bool:
        """Whether the owner is gone."""
        return self.owner is None or not self.owner.is_running()

    def _dismiss_all(self) -> None:
        """End idle workers; busy ones finish their run and find their standard input closed."""
        self.desk.close()
        for worker in self.workers:
            worker.dismiss()
        self.workers = []

    def _close(self) -> None:
        self._dismiss_all()
        self.crew.close()
        try:
            self.store.release_lease(DISPATCHER_LEASE, self.holder)
        except StoreError as error:
            log.warning("the lease was not given back: %s", error)


def find_owner(pid: int) -> psutil.Process | None:
    """The process whose end lets the dispatcher leave."""
    try:
        return psutil.Process(pid)
    except psutil.NoSuchProcess:
        return None


def make_crew(store_url: str, ray_address: str) -> Crew:
    """Workers on this machine, or on the Ray cluster at an address.

    Raises:
        ClusterError: the cluster cannot be reached, or Ray is not installed.
    """
    if not ray_address:
        return LocalCrew(store_url)
    return RayCrew(store_url, ray_address)


def serve_until_told(dispatcher: Dispatcher) -> None:
    """Serve a store; SIGTERM ends it in order."""

    def leave(_signal: int, _frame: object) -> None:
        dispatcher.stopping = True

    signal.signal(signal.SIGTERM, leave)
    dispatcher.serve()


def main(arguments: list[str] | None = None) -> None:
    """Serve the store of VCR_LAB_STORE: ``python -m vcr_core.execution.dispatcher --owner PID``."""
    parser = argparse.ArgumentParser(description="Gives queued runs to warm workers.")
    parser.add_argument("--store", help="address of the store, if not VCR_LAB_STORE")
    parser.add_argument("--owner", required=True, type=int, help="stay while this process lives")
    parser.add_argument("--delay", default=0.0, type=float, help="seconds before workers start")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    owner = find_owner(options.owner)
    try:
        store = open_store(options.store)
        crew = make_crew(store.url, os.environ.get(RAY_VARIABLE, ""))
        dispatcher = Dispatcher(store, crew, owner, limits=load_limits())
    except VcrLabError as error:
        sys.exit(f"vcr-lab: {error}")
    dispatcher.hire_after = time.monotonic() + options.delay
    serve_until_told(dispatcher)


if __name__ == "__main__":
    main()
