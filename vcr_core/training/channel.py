"""How a training run and the world talk: reports go out, commands come in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from vcr_core.store import Command, Report, RunState


class Channel(Protocol):
    """What the training loop needs of the outside. The store's is in ``vcr_core.execution``."""

    def started(self, *, total_steps: int, environment: Mapping[str, Any]) -> None:
        """Training is about to begin."""

    def report(self, report: Report, *, seconds: float) -> None:
        """Numbers and arrays of one step, after ``seconds`` of training."""

    def state(self, state: RunState, *, step: int, seconds: float) -> None:
        """The run was paused or goes on."""

    def commands(self) -> Sequence[Command]:
        """What was asked since the last call, in order; called at every step boundary."""

    def settle(self, command: Command, *, step: int, reason: str | None = None) -> None:
        """Acknowledge a command: applied at ``step``, or refused with a reason."""
