"""A channel that a test can hold, and a way to train with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from vcr_core.config import RunConfig
from vcr_core.store import Command, CommandKind, Report, RunState
from vcr_core.training.experiment import prepare
from vcr_core.training.loop import Outcome, train


class Listener:
    """A channel that keeps what it hears, and asks for things once a step is reached."""

    def __init__(
        self, requests: Mapping[int, Sequence[tuple[CommandKind, dict[str, Any]]]]
    ) -> None:
        self.reports: list[Report] = []
        self.states: list[RunState] = []
        self.settled: list[tuple[Command, int, str | None]] = []
        self.total_steps = 0
        self._requests = dict(requests)
        self._boundary = -1
        self._asked = 0

    def started(self, *, total_steps: int, environment: Mapping[str, Any]) -> None:
        self.total_steps = total_steps

    def report(self, report: Report, *, seconds: float) -> None:
        self.reports.append(report)

    def state(self, state: RunState, *, step: int, seconds: float, total_steps: int) -> None:
        self.states.append(state)

    def commands(self, step: int) -> Sequence[Command]:
        """Called at every boundary (and again and again while paused)."""
        self._boundary += 1
        asked = self._requests.pop(self._boundary, ())
        made = []
        for kind, payload in asked:
            self._asked += 1
            made.append(Command(self._asked, "run", kind, payload, 0.0, "requested", None, None))
        return made

    def holds(self, step: int, *, reported: bool) -> float:
        return 0.0

    def settle(self, command: Command, *, step: int, reason: str | None = None) -> None:
        self.settled.append((command, step, reason))

    def agree(self, payload: Mapping[str, Any], *, step: int) -> Command | None:
        return None

    def is_interrupted(self, step: int) -> bool:
        return False

    def flush(self) -> None:
        pass

    def numbers(self, name: str) -> dict[int, float]:
        return {
            report.step: report.metrics[name] for report in self.reports if name in report.metrics
        }


def carry_out(
    config: RunConfig,
    requests: Mapping[int, Sequence[tuple[CommandKind, dict[str, Any]]]] | None = None,
) -> tuple[Outcome, Listener]:
    """Train a configuration, asking for things at given boundaries (steps done so far)."""
    listener = Listener(requests or {})
    return train(prepare(config), listener), listener
