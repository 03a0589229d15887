"""The dispatcher's desk for requests: what pages need from torch, given to workers at leisure.

A request goes to a worker that has nothing to train; where all of them train, a helper beside the
slots is started. A worker that dies with a request is replaced once; one that takes longer than
the request's patience is ended. The clock is this process's own.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence

from vcr_core.execution.workers import Crew, Worker
from vcr_core.store import Request, RequestState, Store

MOST_TRIES = 2
HELPER_IDLE_SECONDS = 120.0
PURGE_SECONDS = 600.0
log = logging.getLogger("vcr_lab.dispatcher")


class Desk:
    """Gives the requests of a store to workers."""

    def __init__(self, store: Store, crew: Crew) -> None:
        self.store = store
        self.crew = crew
        self.helper: Worker | None = None
        self._subjects: dict[str, str] = {}
        self._since: dict[int, float] = {}
        self._used_at = time.monotonic()
        self._purge_at = 0.0

    def give_out(self, workers: Sequence[Worker]) -> None:
        """Hand waiting requests to workers that are ready."""
        self._settle_helper()
        for request in self.store.open_requests():
            if request.state is not RequestState.WAITING:
                continue
            ready = [each for each in self._all(workers) if each.is_ready]
            if not ready:
                self._call_helper(workers)
                return
            worker = min(ready, key=lambda each: self._subjects.get(each.name) != request.subject)
            if self.store.claim_request(request.id, worker=worker.name):
                self._subjects[worker.name] = request.subject
                self._used_at = self._since[request.id] = time.monotonic()
                worker.ask(request.id)

    def settle(self, worker: Worker) -> None:
        """Free a worker that has answered; see to the request of one that died."""
        if worker.request_id is None:
            return
        if not worker.is_alive:
            self._lost(worker.request_id, worker)
            worker.free()
        elif worker.said_over:
            self.store.fail_request(worker.request_id, "Its worker gave it up.")  # if unanswered
            worker.free()

    def look(self, workers: Sequence[Worker]) -> None:
        """Every second: end what takes too long, give out anew what nobody here has."""
        now = time.monotonic()
        ours = {each.request_id: each for each in self._all(workers)}
        found = self.store.open_requests()
        self._since = {request.id: self._since.get(request.id, now) for request in found}
        for request in found:
            if now - self._since[request.id] > request.patience:
                self._give_up(request, ours.get(request.id))
            elif request.state is RequestState.WORKING and request.id not in ours:
                self.store.return_request(request.id)  # of a dispatcher before this one
        self._let_helper_go(now)
        if now > self._purge_at:
            self._purge_at = now + PURGE_SECONDS
            self.store.purge_requests()

    def close(self) -> None:
        """No helper is wanted any more."""
        if self.helper is not None:
            self.helper.dismiss()
            self.helper = None

    def _all(self, workers: Sequence[Worker]) -> list[Worker]:
        return [*workers, *([self.helper] if self.helper is not None else [])]

    def _lost(self, request_id: int, worker: Worker) -> None:
        request = self.store.request(request_id)
        log.warning("request %s: %s", request_id, worker.obituary())
        if request is None or request.tries < MOST_TRIES:
            self.store.return_request(request_id)
        else:
            words = f"{worker.obituary()}, {request.tries} times"
            self.store.fail_request(request_id, f"This could not be computed: {words}.")

    def _give_up(self, request: Request, worker: Worker | None) -> None:
        """End what takes too long: nobody waits for it any more."""
        log.warning("request %s took longer than %g s", request.id, request.patience)
        what = "computed" if request.state is RequestState.WORKING else "begun"
        self.store.fail_request(
            request.id,
            f"This could not be {what} within {request.patience:g} s: try again in a moment.",
        )
        if worker is not None:
            worker.kill()

    def _settle_helper(self) -> None:
        if self.helper is None:
            return
        self.settle(self.helper)
        if not self.helper.is_alive:
            if not self.helper.was_ready:
                self._excuse(self.helper)
            self.helper = None

    def _excuse(self, helper: Worker) -> None:
        """A helper that dies at its start would die again: say so instead of trying for ever."""
        for request in self.store.open_requests():
            if request.state is RequestState.WAITING:
                words = f"This could not be computed: {helper.obituary()} at its start."
                self.store.fail_request(request.id, words)

    def _call_helper(self, workers: Sequence[Worker]) -> None:
        """Start a helper where all workers train; one that gets ready or answers is waited for."""
        if self.helper is None and workers and all(each.has_work for each in workers):
            self.helper = self.crew.hire_helper()
            self._used_at = time.monotonic()

    def _let_helper_go(self, now: float) -> None:
        if self.helper is None or not self.helper.is_ready:
            return
        if now - self._used_at > HELPER_IDLE_SECONDS:
            self.close()
