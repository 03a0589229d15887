"""What was asked of a run so far, and what follows from it for the next step.

Commands are applied in order, at a step boundary. One that cannot be done is refused with a
reason and changes nothing. All that they change stands here, so that a checkpoint can keep it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from vcr_core.config import RunConfig, live_fields, override, split_name, validate
from vcr_core.errors import ConfigError
from vcr_core.store import Command, CommandKind
from vcr_core.training.cadence import Cadence, cadence
from vcr_core.training.experiment import Experiment
from vcr_core.training.knobs import turn, turn_all

MOST_STEPS = 1_000_000
SLOWEST_SECONDS = 60.0


@dataclass
class Knobs:
    """What commands change, as plain data.

    ``steps_left``   steps until the run pauses again by itself; None: it does not
    ``slow``         seconds to wait before every step
    ``show``         the next step keeps matrices, whatever the cadence says
    """

    totals: tuple[int, ...]
    thinned: tuple[tuple[int, int], ...] = ()
    paused: bool = False
    steps_left: int | None = None
    slow: float = 0.0
    show: bool = False
    ending: str = ""


class Control:
    """Applies commands to an experiment; says what they leave to be done."""

    def __init__(self, experiment: Experiment) -> None:
        self.experiment = experiment
        self.live: RunConfig = experiment.config
        self.cadence: Cadence = experiment.cadence
        self.knobs = Knobs(totals=experiment.cadence.totals)
        self.checkpoint_wanted = False

    # ------------------------------------------------------------------ commands

    def apply(self, command: Command, *, step: int) -> str | None:
        """Do what a command asks after ``step`` steps; returns why not, where that is so."""
        handlers: Mapping[CommandKind, Callable[[Mapping[str, Any], int], None]] = {
            CommandKind.SET: self._set,
            CommandKind.PAUSE: self._pause,
            CommandKind.RESUME: self._resume,
            CommandKind.STEP: self._step,
            CommandKind.SLOW: self._slow,
            CommandKind.EXTEND: self._extend,
            CommandKind.SNAPSHOT: self._snapshot,
            CommandKind.CADENCE: self._thin,
            CommandKind.STOP: self._stop,
            CommandKind.ABORT: self._abort,
        }
        if self.knobs.ending:
            return f"the run was asked to {self.knobs.ending} before"
        try:
            handlers[command.kind](command.payload, step)
        except ConfigError as error:
            return str(error)
        return None

    def _set(self, payload: Mapping[str, Any], _step: int) -> None:
        field = str(payload.get("field"))
        if split_name(field)[0] not in live_fields():
            raise ConfigError(
                f"'{field}' cannot change while a run trains; {', '.join(live_fields())} can"
            )
        changed = override(self.live, {field: payload.get("value")})
        turn(self.experiment, changed, field)
        self.live = changed

    def _pause(self, _payload: Mapping[str, Any], _step: int) -> None:
        self.knobs.paused, self.knobs.steps_left = True, None

    def _resume(self, _payload: Mapping[str, Any], _step: int) -> None:
        self.knobs.paused, self.knobs.steps_left = False, None

    def _step(self, payload: Mapping[str, Any], _step: int) -> None:
        more = int(_number(payload, "n", default=1, least=1, most=MOST_STEPS))
        self.knobs.steps_left = (self.knobs.steps_left or 0) + more
        self.knobs.paused = False

    def _slow(self, payload: Mapping[str, Any], _step: int) -> None:
        self.knobs.slow = _number(payload, "seconds", default=0.0, least=0.0, most=SLOWEST_SECONDS)

    def _extend(self, payload: Mapping[str, Any], step: int) -> None:
        epochs = int(_number(payload, "epochs", default=1, least=1, most=10_000))
        self.extend_to(self.live.training.epochs + epochs, step=step)

    def extend_to(self, epochs: int, *, step: int) -> None:
        """Make the run ``epochs`` long in all.

        Raises:
            ConfigError: more than a run may have, or no more than there are.
        """
        total = epochs * self.cadence.steps_per_epoch
        if total <= max(step, self.cadence.total_steps):
            raise ConfigError(
                f"expected more than the {self.live.training.epochs} epochs there are, got "
                f"{epochs}",
                field="training.epochs",
            )
        self.live = override(self.live, {"training.epochs": epochs})
        self.knobs.totals = (*self.knobs.totals, total)
        self._plan()

    def _snapshot(self, _payload: Mapping[str, Any], _step: int) -> None:
        self.knobs.show = True
        self.checkpoint_wanted = True

    def _thin(self, payload: Mapping[str, Any], step: int) -> None:
        every = int(_number(payload, "probes_every", default=1, least=1, most=MOST_STEPS))
        if every == (self.knobs.thinned[-1][1] if self.knobs.thinned else 1):
            return
        self.knobs.thinned = (*self.knobs.thinned, (step, every))
        self._plan()

    def _stop(self, _payload: Mapping[str, Any], _step: int) -> None:
        self.knobs.ending, self.knobs.paused = "stop", False

    def _abort(self, _payload: Mapping[str, Any], _step: int) -> None:
        self.knobs.ending, self.knobs.paused = "abort", False

    # ------------------------------------------------------------------ consequences

    def begin_step(self, step: int) -> tuple[bool, bool]:
        """Whether ``step`` (from 1) reports, and whether it keeps matrices too.

        The last of a number of single steps, and every step in slow motion, shows everything.
        """
        knobs = self.knobs
        shown = knobs.show or knobs.slow > 0 or knobs.steps_left == 1
        knobs.show = False
        if knobs.steps_left is not None:
            knobs.steps_left -= 1
            if knobs.steps_left == 0:
                knobs.steps_left, knobs.paused = None, True
        return shown or step in self.cadence.reports, shown or step in self.cadence.snapshots

    def _plan(self) -> None:
        self.cadence = cadence(
            self.experiment.config,
            train_size=len(self.experiment.train_images),
            totals=self.knobs.totals,
            thinned=self.knobs.thinned,
        )

    # ------------------------------------------------------------------ checkpoints

    def state(self) -> dict[str, Any]:
        """Everything here as plain data."""
        return {"live": self.live.model_dump(mode="json"), "knobs": asdict(self.knobs)}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from :meth:`state` of an earlier process."""
        knobs = Knobs(**state["knobs"])
        thinned = tuple((int(step), int(every)) for step, every in knobs.thinned)
        self.knobs = replace(knobs, totals=tuple(knobs.totals), thinned=thinned)
        self.live = validate(state["live"])
        turn_all(self.experiment, self.live)
        self._plan()


def _number(
    payload: Mapping[str, Any], key: str, *, default: float, least: float, most: float
) -> float:
    """A finite number of a payload between limits.

    Raises:
        ConfigError: it is none.
    """
    value = payload.get(key, default)
    good = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not good or not math.isfinite(value) or not least <= value <= most:
        raise ConfigError(f"expected {key} from {least:g} to {most:g}, got {value!r}")
    return float(value)
