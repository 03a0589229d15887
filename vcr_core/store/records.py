"""What the store hands out: plain, frozen records without a connection behind them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vcr_core.config import RunConfig, validate


class RunState(StrEnum):
    """The life of a run."""

    QUEUED = "queued"
    STARTING = "starting"
    RUNNING = "running"
    PAUSED = "paused"
    INTERRUPTED = "interrupted"  # its worker is gone; it can be resumed from its checkpoint
    FINISHED = "finished"
    STOPPED = "stopped"
    FAILED = "failed"

    @property
    def is_over(self) -> bool:
        """Nothing more will come of the run."""
        return self in {RunState.FINISHED, RunState.STOPPED, RunState.FAILED}

    @property
    def is_active(self) -> bool:
        """A worker has the run, or is about to."""
        return self in {RunState.STARTING, RunState.RUNNING, RunState.PAUSED}


class Role(StrEnum):
    """Which half of a pair a run is."""

    SINGLE = "single"
    REGULARIZED = "regularized"
    BASELINE = "baseline"


class CommandKind(StrEnum):
    """What can be asked of a run while it trains, and what a command carries with it.

    SET       ``field`` and ``value`` of a live setting
    PAUSE     wait at the next step boundary, keeping everything
    RESUME    go on
    STEP      do ``n`` steps (default 1) more, show everything at the last, then pause
    SLOW      wait ``seconds`` before every step and show everything; 0 is full speed
    EXTEND    train ``epochs`` more
    SNAPSHOT  keep a checkpoint now, and the matrices of the next step
    CADENCE   of the planned probes make every ``probes_every``-th (asked by the run itself)
    STOP      end now, measure once more and keep the results
    ABORT     end now, as it is
    """

    SET = "set"
    PAUSE = "pause"
    RESUME = "resume"
    STEP = "step"
    SLOW = "slow"
    EXTEND = "extend"
    SNAPSHOT = "snapshot"
    CADENCE = "cadence"
    STOP = "stop"
    ABORT = "abort"

    @property
    def lasts(self) -> bool:
        """Whether it changes the training for good: what a fork or a resumed run repeats."""
        return self in {CommandKind.SET, CommandKind.EXTEND}


class CommandSource(StrEnum):
    """Who asked: a person, or the run itself (changes of cadence are part of its history)."""

    PERSON = "person"
    RUN = "run"


@dataclass(frozen=True)
class RunSummary:
    """What a list of runs shows of one; cheap to read by the thousand.

    ``number`` counts the runs of a store from 1 in the order in which they were made.
    ``dataset`` and ``source`` name the task that the run learns.
    """

    id: str
    number: int
    pair_id: str | None
    role: Role
    preset: str
    dataset: str
    source: str
    state: RunState
    created_at: float
    started_at: float | None
    finished_at: float | None
    heartbeat_at: float | None
    step: int
    total_steps: int
    training_seconds: float
    result: Mapping[str, Any]
    error: str | None
    owner: str
    name: str
    notes: str
    tags: Sequence[str]
    parent_id: str | None
    parent_step: int | None
    study_id: str | None
    trial: int | None
    attempt: int
    worker: str
    device: str
    checkpoint_step: int | None
    checkpoint: str | None
    auto_resume: bool
    deleted_at: float | None


@dataclass(frozen=True)
class Run(RunSummary):
    """One run as the store knows it.

    ``attempt`` counts the times that a worker took the run; ``worker`` is the last one, as
    host:pid. ``checkpoint`` is the address of its newest checkpoint, made at ``checkpoint_step``.
    """

    config_tree: Mapping[str, Any]
    environment: Mapping[str, Any]

    @property
    def config(self) -> RunConfig:
        """The validated configuration that the run was started with."""
        return validate(self.config_tree)


class Metric(NamedTuple):
    """One number of a run. ``value`` is None where the number was not finite."""

    id: int
    run_id: str
    step: int
    name: str
    value: float | None


@dataclass(frozen=True)
class Snapshot:
    """One matrix or vector of a layer at a step."""

    id: int
    run_id: str
    step: int
    layer: str
    kind: str
    values: NDArray[np.float32]


@dataclass(frozen=True)
class Command:
    """What a person asked of a run, and what became of it.

    ``applied_step`` of one that is "planned" is the step at which it is to be applied.
    What was asked of both twins at once has the same ``joint`` name on both. ``offered_step`` is
    how far the run was when it heard of it: both do it at the larger of their two.
    """

    id: int
    run_id: str
    kind: CommandKind
    payload: Mapping[str, Any]
    created_at: float
    state: str
    applied_step: int | None
    reason: str | None
    token: str | None = None
    source: CommandSource = CommandSource.PERSON
    joint: str | None = None
    offered_step: int | None = None

    def is_after(self, step: int, command_id: int) -> bool:
        """Whether this was applied after a checkpoint, whose last command had ``command_id``.

        What was planned, or asked of both twins, may have been applied after what was asked later.
        """
        return self.id > command_id or (self.applied_step or 0) > step


@dataclass(frozen=True)
class Position:
    """How a run stands, as its twin has to know it.

    ``reached``  the last boundary that it has come to; None: it keeps no step with a twin
    ``shown``    the last boundary at which it was decided to write what was reported
    ``hears``    whether it takes new commands: not while it repeats what an earlier attempt did
    """

    state: RunState
    attempt: int
    heartbeat_at: float | None
    step: int
    training_seconds: float
    deleted: bool
    reached: int | None
    shown: int
    hears: bool


@dataclass(frozen=True)
class Study:
    """A search over runs: what it looks for (``spec``), how it stands and what it found."""

    id: str
    name: str
    spec: Mapping[str, Any]
    state: str
    created_at: float
    result: Mapping[str, Any]


@dataclass(frozen=True)
class Report:
    """What a run says in one go: numbers by name and arrays by (layer, kind), at one step."""

    step: int
    metrics: Mapping[str, float]
    arrays: Mapping[tuple[str, str], NDArray[np.float32]]
