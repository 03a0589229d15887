"""A channel that remembers what it hears, and asks for things at the steps it was told."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from vcr_core.store import Command, CommandKind, Report, RunState


class Recorder:
    """Keeps the reports of a run, and plays a history of commands to it.

    ``history``   commands with the steps at which they are to be applied, in order
    ``until``     the step at which the run is to be cut off; None: it goes to its end

    Implements :class:`vcr_core.training.channel.Channel`.
    """

    def __init__(self, history: Iterable[Command] = (), *, until: int | None = None) -> None:
        played = list(history)
        self.reports: list[Report] = []
        self.environment: Mapping[str, Any] = {}
        self._left = deque(each for each in played if each.kind is not CommandKind.CADENCE)
        self._cadence = {
            each.applied_step: each for each in played if each.kind is CommandKind.CADENCE
        }
        self._until = until

    def started(self, *, total_steps: int, environment: Mapping[str, Any]) -> None:
        """Training is about to begin."""
        self.environment = environment

    def report(self, report: Report, *, seconds: float) -> None:
        """Keep a report."""
        self.reports.append(report)

    def state(self, state: RunState, *, step: int, seconds: float, total_steps: int) -> None:
        """Pauses leave no trace."""

    def commands(self, step: int) -> Sequence[Command]:
        """Those whose step has come."""
        due = []
        while self._left and (self._left[0].applied_step or 0) <= step:
            due.append(self._left.popleft())
        return due

    def holds(self, step: int, *, reported: bool) -> float:
        """Nobody is waited for."""
        return 0.0

    def settle(self, command: Command, *, step: int, reason: str | None = None) -> None:
        """Every command of a history was applied once."""

    def agree(self, payload: Mapping[str, Any], *, step: int) -> Command | None:
        """What was decided at this step."""
        return self._cadence.get(step)

    def is_interrupted(self, step: int) -> bool:
        """Whether the run was cut off here."""
        return self._until is not None and step >= self._until

    def flush(self) -> None:
        """Nothing is pending."""
