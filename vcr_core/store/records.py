"""What the store hands out: plain, frozen records without a connection behind them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcr_core.config import RunConfig, validate


class RunState(StrEnum):
    """The life of a run."""

    QUEUED = "queued"
    STARTING = "starting"
    RUNNING = "running"
    PAUSED = "paused"
    FINISHED = "finished"
    STOPPED = "stopped"
    FAILED = "failed"

    @property
    def is_over(self) -> bool:
        """Nothing more will come of the run."""
        return self in {RunState.FINISHED, RunState.STOPPED, RunState.FAILED}


class Role(StrEnum):
    """Which half of a pair a run is."""

    SINGLE = "single"
    REGULARIZED = "regularized"
    BASELINE = "baseline"


class CommandKind(StrEnum):
    """What a person can ask of a run while it trains."""

    SET = "set"
    PAUSE = "pause"
    RESUME = "resume"
    STOP = "stop"


@dataclass(frozen=True)
class Run:
    """One run as the store knows it."""

    id: str
    pair_id: str | None
    role: Role
    preset: str
    config_tree: Mapping[str, Any]
    state: RunState
    created_at: float
    started_at: float | None
    finished_at: float | None
    heartbeat_at: float | None
    step: int
    total_steps: int
    training_seconds: float
    environment: Mapping[str, Any]
    result: Mapping[str, Any]
    error: str | None

    @property
    def config(self) -> RunConfig:
        """The validated configuration that the run was started with."""
        return validate(self.config_tree)


@dataclass(frozen=True)
class Metric:
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
    """What a person asked of a run, and what became of it."""

    id: int
    run_id: str
    kind: CommandKind
    payload: Mapping[str, Any]
    created_at: float
    state: str
    applied_step: int | None
    reason: str | None
