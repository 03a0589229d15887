"""What was planned or asked of a run, until its time comes; what both twins were, together."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence

from vcr_core.execution.lockstep import Lockstep, lasts
from vcr_core.store import Command, CommandKind


class Inbox:
    """Commands between the store and the training loop.

    ``again`` are those that an earlier attempt applied after the checkpoint, in that order: they
    come at the same steps. ``planned`` are those that a run was queued with, each for a step.
    ``cursor`` is the last command that was put in.
    """

    def __init__(
        self,
        again: Iterable[Command],
        lockstep: Lockstep | None,
        *,
        planned: Iterable[Command] = (),
    ) -> None:
        self.cursor = 0
        self._lockstep = lockstep
        self._again = deque(each for each in again if each.kind is not CommandKind.CADENCE)
        self._plan = deque(sorted(planned, key=lambda each: (each.applied_step or 0, each.id)))
        self._asked: deque[Command] = deque()
        self._later: list[tuple[int, Command]] = []

    @property
    def has_more_again(self) -> bool:
        """Whether there is something left that an earlier attempt did."""
        return bool(self._again)

    @property
    def waits(self) -> bool:
        """Whether something has to be decided before the next step."""
        return bool(self._asked)

    def again(self, step: int) -> list[Command]:
        """What an earlier attempt did at this boundary."""
        return _due_of(self._again, step)

    def planned(self, step: int) -> list[Command]:
        """What a run was queued with for this boundary."""
        return _due_of(self._plan, step)

    def add(self, new: Sequence[Command]) -> None:
        """Take what is new in the store; what the run asks itself comes another way."""
        if new:
            self.cursor = new[-1].id
        self._asked.extend(each for each in new if each.kind is not CommandKind.CADENCE)

    def ready(self, step: int, *, paused: bool) -> list[Command]:
        """What is to be done at this boundary; what both were asked, once the twin has heard too.

        That comes alone, because what is done before it may change what it means. What is meant
        for now does not wait for a step to which a paused run will not come.
        """
        if paused:
            self._later = [(due if lasts(each) else step, each) for due, each in self._later]
        ready = [command for due, command in self._later if due <= step]
        self._later = [each for each in self._later if each[0] > step]
        while self._asked and not (ready and self._is_joint(self._asked[0])):
            due = self._due(self._asked[0], step, paused=paused)
            if due is None:
                break
            command = self._asked.popleft()
            if due <= step:
                ready.append(command)
            else:
                self._later.append((due, command))
        return ready

    def _is_joint(self, command: Command) -> bool:
        return command.joint is not None and self._lockstep is not None

    def _due(self, command: Command, step: int, *, paused: bool) -> int | None:
        """The step at which to do something; None: the twin has yet to say where it stands."""
        if command.joint is None or self._lockstep is None:
            return step
        return self._lockstep.step_for(command, step, paused=paused)


def _due_of(waiting: deque[Command], step: int) -> list[Command]:
    """Take those out whose step has come."""
    due = []
    while waiting and (waiting[0].applied_step or 0) <= step:
        due.append(waiting.popleft())
    return due
