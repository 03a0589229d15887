"""Twins in lock-step: what one run of a pair has to know of the other, and when it waits for it.

Both runs write how far they are and read it of each other, through the store alone.

*Reports.* A run that has reported stays at that boundary until its twin has come as far. So
neither is more than one report interval ahead, and both write their reports at the same ones.
Between reports that are far apart it stays where it is ``LEAD_SECONDS`` ahead. The run that is
behind never waits for the other: no two runs can wait for each other.

*What is asked of both.* A run that hears of it says at which step it is and waits until its twin
has said the same; both do it at the larger of the two steps, which the other may have to come to
first. A twin that hears of it later, because it waited in the queue, say, does it at the step at
which the other one did. Settings and epochs are taken up at that step however far away it is;
pausing, stopping and the like happen now where it is out of reach or too far away.

*Who is not waited for*: a twin that is queued, paused, interrupted, over or deleted; one that has
not beaten for ``SILENCE_SECONDS``, has been starting for ``START_SECONDS`` or has not finished a
step for ``STUCK_SECONDS`` and ten times the longest that this run ever took from report to report;
one that is behind by more than a report interval and by more than ``CATCH_UP_SECONDS`` of
training. They meet again as soon as this is no longer so.

Waiting is no training: it changes no number, and the loop stops its clock.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

from vcr_core.store import Command, CommandKind, Position, Run, RunState, SilenceWatch, Store

VARIABLE = "VCR_LAB_LOCKSTEP"
OFF = {"0", "off", "no", "false"}
SILENCE_SECONDS = 10.0
START_SECONDS = 10.0
CATCH_UP_SECONDS = 30.0
STUCK_SECONDS = 60.0
STUCK_TIMES = 10
LEAD_SECONDS = 0.15
TELL_SECONDS = 0.1
ANSWER_SECONDS = 5.0
"""So long a paused twin may take to say at which step it is."""
FIRST_LOOK_SECONDS = 0.001
SLOWEST_LOOK_SECONDS = 0.02
LOOK_GROWTH = 1.4

Insist = Callable[[Callable[[], Any]], Any]


class Lockstep:
    """One run's side of its pair. Made by :func:`lockstep_of`."""

    def __init__(self, store: Store, run: Run, twin_id: str, insist: Insist) -> None:
        self._store = store
        self._run = run
        self._twin_id = twin_id
        self._insist = insist
        self._is_over = self._apart = self._leads = False
        self._watch = SilenceWatch()
        self._look_after = FIRST_LOOK_SECONDS
        self._boundary = self._shown = self._passed = self._left = -1
        self._interval = self._lead = 1
        self._told_at = time.monotonic()
        self._longest = 0.0
        self._first: tuple[int, float] | None = None
        self._seconds = 0.0
        self._pace = 0.0
        self._offers: dict[int, int] = {}

    # --------------------------------------------------------------- boundaries

    def begin(self, step: int, *, hears: bool) -> None:
        """Training is about to begin, or to go on, after ``step`` steps."""
        self._left = self._boundary = self._shown = step - 1
        self._pace = self._pace_so_far()
        self._insist(
            lambda: self._store.begin_position(
                self._run.id, attempt=self._run.attempt, reached=step - 1, hears=hears
            )
        )

    def reported(self, step: int, seconds: float) -> None:
        """A report was made after ``seconds`` of training in all."""
        if self._first is None:
            self._first = step, seconds
        else:
            self._longest = max(self._longest, seconds - self._seconds)
        self._seconds = seconds
        if step > self._first[0]:
            self._pace = (seconds - self._first[1]) / (step - self._first[0])

    def _pace_so_far(self) -> float:
        """Seconds that a step of this run took before, or else one of its twin's."""
        twin = self._insist(lambda: self._store.position(self._twin_id))
        for run in (self._run, twin):
            if run is not None and run.step:
                return float(run.training_seconds / run.step)
        return 0.0

    def meet(self, step: int, *, hears: bool, due: bool) -> float:
        """Seconds after which to look whether the twin has come here; 0: this boundary can be left.

        ``due`` says that it is time to write reports; see :meth:`shows`.
        """
        if step == self._passed:
            return 0.0
        if step != self._boundary:
            self._interval = max(1, step - self._boundary)
            self._boundary = step
            self._shown = step if due else self._shown
            self._tell(step, hears=hears)
        twin = self._training_twin()
        behind = 0 if twin is None else _steps_behind(twin, step)
        self._apart = behind > self._interval
        if behind > 0 and not self._is_far(behind):
            return self.next_look()
        if twin is not None and twin.shown > self._shown:
            self._shown = step
        self._passed = step
        return self._go_on(step)

    def shows(self, step: int) -> bool:
        """Whether reports are written at this boundary: both twins do so at the same ones.

        One that waits for another that is far behind need not keep its own back.
        """
        return self._apart or self._shown == step == self._passed

    def keep_close(self, step: int, *, hears: bool) -> float:
        """Between reports: seconds after which to look again; 0: the twin is close enough."""
        if not self._leads:
            spent = time.monotonic() - self._told_at
            if spent < TELL_SECONDS:
                return 0.0
            self._lead = max(1, round(LEAD_SECONDS / spent * (step - self._left)))
            self._tell(step, hears=hears)
        twin = self._training_twin()
        behind = 0 if twin is None else _steps_behind(twin, step)
        self._leads = behind > self._lead and not self._is_far(behind)
        return self.next_look() if self._leads else self._go_on(step)

    def next_look(self) -> float:
        """Seconds until the next look at the twin: soon at first, then more rarely."""
        now = self._look_after
        self._look_after = min(LOOK_GROWTH * now, SLOWEST_LOOK_SECONDS)
        return now

    def _go_on(self, step: int) -> float:
        self._left, self._told_at = step, time.monotonic()
        self._look_after, self._leads = FIRST_LOOK_SECONDS, False
        return 0.0

    def _tell(self, step: int, *, hears: bool) -> None:
        if not self._is_over:
            self._insist(
                lambda: self._store.write_position(
                    self._run.id,
                    attempt=self._run.attempt,
                    reached=step,
                    shown=self._shown,
                    hears=hears,
                )
            )

    def _is_far(self, steps: int) -> bool:
        """Whether nobody should wait until a twin has trained so many steps."""
        return steps > self._interval and steps * self._pace > CATCH_UP_SECONDS

    # ----------------------------------------------------------------- the twin

    def _look(self) -> Position | None:
        """The twin, unless it is over, deleted or silent."""
        if self._is_over:
            return None
        twin: Position | None = self._insist(lambda: self._store.position(self._twin_id))
        if twin is None or twin.state.is_over:
            self._is_over = True
            return None
        beat = (twin.attempt, twin.heartbeat_at, twin.step, twin.reached)
        if twin.deleted or self._watch.silence("beat", beat) > SILENCE_SECONDS:
            return None
        return twin

    def _training_twin(self) -> Position | None:
        """The twin if it trains, or is about to."""
        twin = self._look()
        if twin is None or twin.state not in {RunState.STARTING, RunState.RUNNING}:
            return None
        starting = twin.state is RunState.STARTING
        stuck = max(STUCK_SECONDS, STUCK_TIMES * self._longest)
        sign = (twin.attempt, twin.state, twin.step, twin.reached)
        if self._watch.silence("step", sign) > (START_SECONDS if starting else stuck):
            return None
        return twin

    def _will_answer(self, command: Command) -> bool:
        """Whether the twin will say soon at which step it heard of this command of its."""
        twin = self._look()
        if twin is None or not twin.hears:
            return False
        if twin.state is RunState.PAUSED:
            name = f"answer {command.id}"
            return self._watch.silence(name, command.id) <= ANSWER_SECONDS
        return twin.state is RunState.RUNNING and self._training_twin() is not None

    # --------------------------------------------------------- asked of both

    def step_for(self, command: Command, step: int, *, paused: bool) -> int | None:
        """The step at which to do what was asked of both; None: the twin has yet to answer."""
        if command.kind is CommandKind.ABORT:
            return step
        mine = self._offer(command, step)
        twins = self._insist(lambda: self._store.joint_command(self._twin_id, str(command.joint)))
        theirs = None if twins is None else _step_of(twins)
        if theirs is None:
            waits = twins is not None and twins.state == "requested" and self._will_answer(twins)
            return None if waits else step
        self._look_after = FIRST_LOOK_SECONDS
        target = max(mine, theirs)
        if target <= step or lasts(command):
            return target
        return step if paused or self._is_far(target - step) else target

    def _offer(self, command: Command, step: int) -> int:
        """Say once at which step this run is; an earlier attempt may have said it before."""
        if command.offered_step is not None:
            return command.offered_step
        if command.id not in self._offers:
            self._insist(lambda: self._store.offer_step(command.id, step))
            self._offers[command.id] = step
        return self._offers[command.id]


def lasts(command: Command) -> bool:
    """Whether something belongs to a step, however far away; all else is meant for now."""
    return command.kind.lasts


def _steps_behind(twin: Position, step: int) -> int:
    """How far a twin is from having come to a boundary; 0 for one that keeps no step with us."""
    if twin.state is RunState.STARTING:  # it will come to the boundary at which it stopped
        return step - twin.step + 1
    return 0 if twin.reached is None else step - twin.reached


def _step_of(command: Command) -> int | None:
    """The step at which a twin did something or heard of it."""
    return command.offered_step if command.applied_step is None else command.applied_step


def lockstep_of(store: Store, run: Run, insist: Insist) -> Lockstep | None:
    """The lock-step of a run with its twin; None where it has none or ``VCR_LAB_LOCKSTEP=off``."""
    if run.pair_id is None or os.environ.get(VARIABLE, "").strip().lower() in OFF:
        return None
    twin_id = insist(lambda: store.twin_of(run.id))
    return None if twin_id is None else Lockstep(store, run, twin_id, insist)
