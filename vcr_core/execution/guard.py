"""What becomes of runs whose workers die, fall silent, hang or take too long."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable

from vcr_core.execution.devices import process_is_dead
from vcr_core.execution.limits import Limits
from vcr_core.execution.queue import ACTIVE
from vcr_core.execution.workers import Worker
from vcr_core.store import CommandKind, RunState, RunSummary, SilenceWatch, Store

SILENCE_SECONDS = 4.0
"""A run of somebody else's worker, which beats every second, is given up after this."""
FRUITLESS_TRIES = 5
MANY = 1000
log = logging.getLogger("vcr_lab.dispatcher")


class Guard:
    """Watches the active runs of a store."""

    def __init__(self, store: Store, limits: Limits) -> None:
        self.store = store
        self.limits = limits
        self._pulse = SilenceWatch()
        self._progress = SilenceWatch()
        self._told: set[str] = set()
        self._tries: dict[str, tuple[int | None, int]] = {}

    def look(self, workers: Iterable[Worker]) -> int:
        """Once a second: find runs without life and those that may go on.

        Returns how many slots the workers of a former dispatcher still take.
        """
        ours = {worker.run_id: worker for worker in workers if worker.run_id is not None}
        orphans = 0
        for run in self.store.summaries(states=ACTIVE, limit=MANY):
            worker = ours.get(run.id)
            if worker is not None:
                self._check_ours(run, worker)
            elif worker_is_dead(run.worker):
                self._interrupt(run, "its worker died", "")
            elif self._pulse.silence(run.id, (run.heartbeat_at, run.attempt)) > SILENCE_SECONDS:
                self._interrupt(run, "its worker has fallen silent", "")
            else:
                orphans += bool(run.device)
        self._requeue()
        return orphans

    def _check_ours(self, run: RunSummary, worker: Worker) -> None:
        """Kill a worker that hangs, and ask a run to stop whose time is over."""
        silence = self._pulse.silence(run.id, (run.heartbeat_at, run.attempt))
        idle = self._progress.silence(run.id, (run.step, run.state, run.attempt))
        longest = self.limits.idle_minutes
        if silence > worker.patience:
            self._kill(run, worker, f"its worker had been silent for {silence:.0f} s")
        elif longest is not None and idle > 30 * longest and self._may_rest(run):
            self._progress.forget(run.id)
        elif longest is not None and idle > 60 * longest:
            self._kill(run, worker, f"it had not finished a step for {longest:g} minutes")
        minutes = self.limits.minutes
        if minutes is not None and run.training_seconds > 60 * minutes and run.id not in self._told:
            self._told.add(run.id)
            reason = {"reason": f"runs may train for {minutes:g} minutes on this server"}
            self.store.add_command(run.id, CommandKind.STOP, reason, token="limit:minutes")

    def _may_rest(self, run: RunSummary) -> bool:
        """Whether a run takes no steps because it is paused, or because its twin is behind it."""
        if run.state is RunState.PAUSED:
            return True
        twin_id = self.store.twin_of(run.id)
        mine, twin = (self.store.position(each) if each else None for each in (run.id, twin_id))
        return (
            mine is not None
            and twin is not None
            and twin.state is RunState.RUNNING
            and (twin.reached or 0) < (mine.reached or 0)
        )

    def _kill(self, run: RunSummary, worker: Worker, why: str) -> None:
        log.warning("run %s: %s", run.id, why)
        worker.kill()
        self._interrupt(run, f"{why} and was ended", worker.last_words())

    def interrupt(self, run_id: str, worker: Worker, why: str) -> None:
        """A worker is done with a run or dead: interrupt the run if it is still its and not over.

        A run that was deleted for good meanwhile needs nothing.
        """
        for run in self.store.summaries(states=ACTIVE, limit=MANY):
            if run.id == run_id and run.worker in ("", worker.name):
                self._interrupt(run, why, worker.last_words())
                self._requeue()

    def _interrupt(self, run: RunSummary, why: str, words: str) -> None:
        where = f"step {run.step} of {run.total_steps}" if run.total_steps else "its start"
        kept = (
            f"It goes on from step {run.checkpoint_step} when it is resumed."
            if run.checkpoint_step is not None
            else "It starts again when it is resumed."
        )
        error = f"The run was interrupted at {where}: {why}. Nothing it reported is lost. {kept}"
        error += f"\n\nThe end of its log:\n{words}" if words else ""
        self._pulse.forget(run.id)
        self._progress.forget(run.id)
        if self.store.move_run(run.id, before=run.state, after=RunState.INTERRUPTED, error=error):
            log.warning("run %s is interrupted: %s", run.id, why)

    def _requeue(self) -> None:
        """Queue interrupted runs that are to go on by themselves; not one that gets nowhere."""
        for run in self.store.summaries(states=[RunState.INTERRUPTED], limit=MANY):
            if not run.auto_resume:
                continue
            reached, tries = self._tries.get(run.id, (None, 0))
            tries = tries + 1 if reached == run.checkpoint_step else 1
            self._tries[run.id] = (run.checkpoint_step, tries)
            if tries > FRUITLESS_TRIES:
                error = f"{run.error or ''}\n\nResumed {FRUITLESS_TRIES} times, it got no further."
                self.store.update_run(run.id, auto_resume=False, error=error.strip())
            else:
                self.store.move_run(run.id, before=RunState.INTERRUPTED, after=RunState.QUEUED)

    def fail(self, run_id: str, why: str, words: str) -> None:
        """A waiting run that cannot be started."""
        error = f"The run could not be started: {why}."
        error += f"\n\nThe end of the log:\n{words}" if words else ""
        self.store.move_run(
            run_id,
            before=RunState.QUEUED,
            after=RunState.FAILED,
            finished_at=time.time(),
            error=error,
        )


def worker_is_dead(name: str) -> bool:
    """Whether a worker, ``machine:pid``, is known to be dead: one of this machine can be."""
    where, _, pid = name.rpartition(":")
    return pid.isdigit() and process_is_dead(where, int(pid))
