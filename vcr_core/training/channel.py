"""How a training run and the world talk: reports go out, commands come in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from vcr_core.store import Command, Report, RunState


class Channel(Protocol):
    """What the training loop needs of the outside. The store's is in ``vcr_core.execution``."""

    def started(self, *, total_steps: int, environment: Mapping[str, Any]) -> None:
        """Training is about to begin, or to go on from a checkpoint."""

    def report(self, report: Report, *, seconds: float) -> None:
        """Numbers and arrays of one step, after ``seconds`` of training."""

    def state(self, state: RunState, *, step: int, seconds: float, total_steps: int) -> None:
        """The run was paused, goes on, or has become longer."""

    def commands(self, step: int) -> Sequence[Command]:
        """What was asked since the last call, in order; called at every step boundary.

        After ``step`` steps. A command that an earlier process applied after the checkpoint comes
        again at the step at which it was applied.
        """

    def holds(self, step: int, *, reported: bool) -> float:
        """Seconds after which to look again whether the run may go on; 0: it may.

        Called at every step boundary, after :meth:`commands`. It may not while its twin has to
        come as far (``reported``: something was reported at this step), or has to hear of what
        was asked of both.
        """

    def settle(self, command: Command, *, step: int, reason: str | None = None) -> None:
        """Acknowledge a command: applied at ``step``, or refused with a reason."""

    def agree(self, payload: Mapping[str, Any], *, step: int) -> Command | None:
        """A ``CADENCE`` command for this boundary, the same for both twins; None: nothing changes.

        The twin that comes to ``step`` first decides for both: ``payload`` is what this one would
        do.
        """

    def is_interrupted(self, step: int) -> bool:
        """Whether this process has to end: the run is to be kept, to go on later."""

    def flush(self) -> None:
        """See that all reports so far are where they should go."""
