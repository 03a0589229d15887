"""The training loop's channel to the store: batched writes out, polled commands in, a heartbeat."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any

from vcr_core.store import Command, Report, RunState, Store

FLUSH_SECONDS = 0.25
POLL_SECONDS = 0.05
BEAT_SECONDS = 1.0

Progress = Callable[[int, int, Mapping[str, float]], None]


class StoreChannel:
    """One run's writer. Use as a context manager: it beats while open and flushes at the end.

    ``on_progress(step, total_steps, metrics)`` is called with every report, in the same thread.
    Implements :class:`vcr_core.training.channel.Channel`.
    """

    def __init__(self, store: Store, run_id: str, *, on_progress: Progress | None = None) -> None:
        self.store = store
        self.run_id = run_id
        self._on_progress = on_progress
        self._total_steps = 0
        self._pending: list[Report] = []
        self._flushed_at = 0.0
        self._polled_at = 0.0
        self._cursor = 0
        self._seconds = 0.0
        self._closed = threading.Event()
        self._heart = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

    def __enter__(self) -> StoreChannel:
        self._heart.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._closed.set()
        self._heart.join()
        self.flush()

    def _beat(self) -> None:
        while not self._closed.wait(BEAT_SECONDS):
            self.store.update_run(self.run_id, heartbeat_at=time.time())

    def started(self, *, total_steps: int, environment: Mapping[str, Any]) -> None:
        """Training is about to begin."""
        now = time.time()
        self._total_steps = total_steps
        self.store.update_run(
            self.run_id,
            state=RunState.RUNNING.value,
            started_at=now,
            heartbeat_at=now,
            total_steps=total_steps,
            environment=dict(environment),
        )

    def report(self, report: Report, *, seconds: float) -> None:
        """Keep a report; written together with its neighbours a few times a second."""
        self._pending.append(report)
        self._seconds = seconds
        if self._on_progress is not None:
            self._on_progress(report.step, self._total_steps, report.metrics)
        if time.monotonic() - self._flushed_at >= FLUSH_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Write what is pending, in one transaction."""
        if not self._pending:
            return
        progress = {
            "step": self._pending[-1].step,
            "training_seconds": self._seconds,
            "heartbeat_at": time.time(),
        }
        self.store.write_reports(self.run_id, self._pending, progress=progress)
        self._pending = []
        self._flushed_at = time.monotonic()

    def state(self, state: RunState, *, step: int, seconds: float) -> None:
        """The run was paused or goes on."""
        self.flush()
        self.store.update_run(self.run_id, state=state.value, step=step, training_seconds=seconds)

    def commands(self) -> Sequence[Command]:
        """What was asked since the last call; looks into the store every 50 ms at most."""
        if time.monotonic() - self._polled_at < POLL_SECONDS:
            return ()
        self._polled_at = time.monotonic()
        asked = self.store.commands(self.run_id, after=self._cursor, state="requested")
        if asked:
            self._cursor = asked[-1].id
        return asked

    def settle(self, command: Command, *, step: int, reason: str | None = None) -> None:
        """Acknowledge a command."""
        self.store.settle_command(
            command.id, applied_step=step if reason is None else None, reason=reason
        )
