"""The training loop's channel to the store: batched writes out, polled commands in, a heartbeat."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Any, TypeVar

from vcr_core.errors import RunTakenError, StoreError, UnknownRunError
from vcr_core.execution.inbox import Inbox
from vcr_core.execution.lockstep import lockstep_of
from vcr_core.store import Command, CommandKind, CommandSource, Report, Run, RunState, Store

FLUSH_SECONDS = 0.4
POLL_SECONDS = 0.1
FIRST_PAUSE_SECONDS = 0.05
BEAT_SECONDS = 1.0
#: So long a run waits for a store that does not answer, before it gives up.
PATIENCE_SECONDS = 60.0

Progress = Callable[[int, int, Mapping[str, float]], None]
Answer = TypeVar("Answer")


class StoreChannel:
    """One run's writer. Use as a context manager: it beats while open and flushes at the end.

    It writes only while the run's attempt is still the one that it was made for. Where a run goes
    on from a checkpoint (``from_step``, ``after`` the last command before it), what was reported
    or applied after that point in an earlier attempt is not written again, and commands come
    again at the step at which they were applied.

    A run with a twin keeps step with it, see :mod:`vcr_core.execution.lockstep`.

    ``on_progress(step, total_steps, metrics)`` is called with every report, in the same thread.
    ``interruption`` is set when this process has to end.
    Implements :class:`vcr_core.training.channel.Channel`.
    """

    def __init__(
        self,
        store: Store,
        run: Run,
        *,
        from_step: int = 0,
        after: int = 0,
        on_progress: Progress | None = None,
        interruption: threading.Event | None = None,
    ) -> None:
        self.store = store
        self.run = run
        self._on_progress = on_progress
        self._interruption = interruption or threading.Event()
        self._total_steps = 0
        self._pending: list[Report] = []
        self._flushed_at = 0.0
        self._polled_at = 0.0
        self._seconds = 0.0
        self._step = from_step
        self._paused = False
        self._lockstep = lockstep_of(store, run, self._insist)
        again = (each for each in store.history(run.id) if each.is_after(from_step, after))
        planned = store.commands(run.id, state="planned")
        self._inbox = Inbox(again, self._lockstep, planned=planned)
        self._numbers, self._arrays = store.written_from(run.id, from_step)
        self._written_to = max((step for step, _ in self._numbers), default=0)
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
        if not isinstance(error, (RunTakenError, StoreError)):
            self.flush()

    def _beat(self) -> None:
        while not self._closed.wait(BEAT_SECONDS):
            try:
                now = {"heartbeat_at": time.time()}
                if self._total_steps and time.monotonic() - self._flushed_at > BEAT_SECONDS:
                    now["step"] = self._step  # reports of a long run are far apart
                self.store.update_run(self.run.id, attempt=self.run.attempt, **now)
            except StoreError:  # the store does not answer now: the next beat may reach it
                continue
            except (RunTakenError, UnknownRunError):  # the training thread will find out itself
                return

    def started(self, *, total_steps: int, environment: Mapping[str, Any]) -> None:
        """Training is about to begin, or to go on from a checkpoint.

        Raises:
            RunTakenError: another worker has begun with it.
        """
        now = time.time()
        self._total_steps = total_steps
        if self._lockstep is not None:
            self._lockstep.begin(self._step, hears=not self._catches_up(self._step))
        begun = self._insist(
            lambda: self.store.move_run(
                self.run.id,
                before=RunState.STARTING,
                after=RunState.RUNNING,
                started_at=self.run.started_at or now,
                heartbeat_at=now,
                total_steps=total_steps,
                environment=dict(environment),
                error=None,
            )
        )
        if not begun:
            raise RunTakenError(
                f"expected run {self.run.id} to be waiting for its worker, but it is "
                f"{self.store.run(self.run.id).state.value}: nothing was trained"
            )

    def report(self, report: Report, *, seconds: float) -> None:
        """Keep a report; written together with its neighbours about twice a second.

        A run with a twin writes at boundaries at which its twin does so too, but for the first.
        """
        self._seconds, self._step = seconds, report.step
        if self._on_progress is not None:
            self._on_progress(report.step, self._total_steps, report.metrics)
        self._pending.append(self._new_part(report))
        if self._lockstep is not None:
            self._lockstep.reported(report.step, seconds)
        if self._is_due and (self._lockstep is None or not self._flushed_at):
            self.flush()

    @property
    def _is_due(self) -> bool:
        """Whether it is time to write."""
        return time.monotonic() - self._flushed_at >= FLUSH_SECONDS

    def _new_part(self, report: Report) -> Report:
        """What of a report no earlier attempt has written."""
        if not self._numbers and not self._arrays:
            return report
        step = report.step
        numbers = {k: v for k, v in report.metrics.items() if (step, k) not in self._numbers}
        arrays = {k: v for k, v in report.arrays.items() if (step, *k) not in self._arrays}
        return replace(report, metrics=numbers, arrays=arrays)

    def flush(self) -> None:
        """Write what is pending, in one transaction."""
        if not self._pending:
            return
        progress = {
            "step": self._step,
            "training_seconds": self._seconds,
            "heartbeat_at": time.time(),
        }
        self._insist(
            lambda: self.store.write_reports(
                self.run.id, self._pending, progress=progress, attempt=self.run.attempt
            )
        )
        self._pending = []
        self._flushed_at = time.monotonic()

    def state(self, state: RunState, *, step: int, seconds: float, total_steps: int) -> None:
        """The run was paused, goes on, or has become longer."""
        self._total_steps = total_steps
        self._paused = state is RunState.PAUSED
        self.flush()
        self._update(
            state=state.value, step=step, training_seconds=seconds, total_steps=total_steps
        )

    def commands(self, step: int) -> Sequence[Command]:
        """What was planned for now, and what was asked since the last call.

        Looks into the store ten times a second at most. New commands wait until all is done again
        that an earlier attempt applied or reported.
        """
        return [*self._inbox.planned(step), *self._asked(step)]

    def _asked(self, step: int) -> Sequence[Command]:
        self._step = step
        again = self._inbox.again(step)
        if again or self._catches_up(step):
            return again
        if time.monotonic() - self._polled_at >= POLL_SECONDS:
            self._polled_at = time.monotonic()
            cursor = self._inbox.cursor
            self._inbox.add(
                self._insist(
                    lambda: self.store.commands(self.run.id, after=cursor, state="requested")
                )
            )
        return self._inbox.ready(step, paused=self._paused)

    def _catches_up(self, step: int) -> bool:
        return self._inbox.has_more_again or step < self._written_to

    def holds(self, step: int, *, reported: bool) -> float:
        """Seconds after which to look again whether this boundary can be left; 0: it can.

        After a report the twin has to come as far; what was asked of both, it has to have heard.
        """
        if self._lockstep is None:
            return 0.0
        if self._inbox.waits:
            return self._lockstep.next_look()
        if self._paused:
            return 0.0
        hears = not self._catches_up(step)
        if not reported:
            return self._lockstep.keep_close(step, hears=hears)
        pause = self._lockstep.meet(step, hears=hears, due=self._is_due)
        if self._lockstep.shows(step):
            self.flush()
        return pause

    def settle(self, command: Command, *, step: int, reason: str | None = None) -> None:
        """Acknowledge a command; one that comes again was acknowledged before."""
        if command.state == "applied":
            return
        self._insist(
            lambda: self.store.settle_command(
                command.id,
                applied_step=step if reason is None else None,
                reason=reason,
                attempt=self.run.attempt,
            )
        )

    def agree(self, payload: Mapping[str, Any], *, step: int) -> Command | None:
        """The cadence from ``step`` on: of twins, the one that comes first decides for both.

        Both ask for it on the same one of their two runs, where the token lets only the first
        through.
        """
        token = f"cadence:{step}"
        twins = self.store.summaries(pair_id=self.run.pair_id) if self.run.pair_id else []
        first = min([self.run.id, *(twin.id for twin in twins)])
        decided = self._ask_once(first, payload, token)
        if first == self.run.id:
            return decided
        return self._ask_once(self.run.id, decided.payload, token)

    def _ask_once(self, run_id: str, payload: Mapping[str, Any], token: str) -> Command:
        kind, source = CommandKind.CADENCE, CommandSource.RUN
        found = self._insist(
            lambda: self.store.add_command(run_id, kind, payload, token=token, source=source)
        )
        return self.store.commands(run_id, after=found - 1)[0]

    def is_interrupted(self, step: int) -> bool:
        """Whether this process has to end."""
        return self._interruption.is_set()

    def kept(self, step: int, address: str) -> None:
        """A checkpoint is safe."""
        self._update(checkpoint=address, checkpoint_step=step)

    def end(self, state: RunState, step: int, seconds: float, **changes: Any) -> None:
        """The run is over, or interrupted."""
        self._insist(
            lambda: self.store.end_run(
                self.run.id,
                state,
                attempt=self.run.attempt,
                step=step,
                training_seconds=seconds,
                **changes,
            )
        )

    def _update(self, **changes: Any) -> None:
        self._insist(
            lambda: self.store.update_run(self.run.id, attempt=self.run.attempt, **changes)
        )

    def _insist(self, action: Callable[[], Answer]) -> Answer:
        """Ask a store that does not answer again and again: the run waits, nothing is lost.

        Raises:
            StoreError: it did not answer for a minute.
            RunTakenError: another worker has the run.
        """
        give_up = time.monotonic() + PATIENCE_SECONDS
        pause = FIRST_PAUSE_SECONDS
        while True:
            try:
                return action()
            except StoreError:
                if time.monotonic() >= give_up:
                    raise
            time.sleep(pause)
            pause = min(2 * pause, 1.0)
