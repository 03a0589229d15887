"""A waiting run's place in the queue, and how long it will wait. Reads the store alone.

The order is the store's (:meth:`vcr_core.store.Store.queue`). A run is expected to take as long
per epoch as similar finished ones did: of the same data and network in every setting where there
are some, else of the same by name, else of any.
"""

from __future__ import annotations

import heapq
import json
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from vcr_core.execution.devices import DEFAULT_SLOTS
from vcr_core.store import Run, RunState, Store

ACTIVE = (RunState.STARTING, RunState.RUNNING, RunState.PAUSED)
SIMILAR_RUNS = 200
MANY = 1000


@dataclass(frozen=True)
class Place:
    """A queued run's place: 1 is next of ``length``; the wait is None where nothing is known."""

    position: int
    length: int
    wait_seconds: float | None


def place(store: Store, run_id: str) -> Place | None:
    """A queued run's position and estimated wait; None where the run does not wait.

    Raises:
        UnknownRunError: the store holds no such run.
    """
    if store.run(run_id).state is not RunState.QUEUED:
        return None
    return places(store).get(run_id)


def places(store: Store) -> dict[str, Place]:
    """Position and estimated wait of every queued run."""
    order = store.queue(limit=MANY)
    if not order:
        return {}
    by_id = {run.id: run for run in store.runs(states=[RunState.QUEUED], limit=MANY)}
    queued = [by_id[run_id] for run_id in order if run_id in by_id]
    pace = Pace(store.runs(states=[RunState.FINISHED], limit=SIMILAR_RUNS))
    waits = _waits(queued, store.runs(states=ACTIVE), pace, slots=served_slots(store))
    return {
        run.id: Place(position, len(queued), wait)
        for position, (run, wait) in enumerate(zip(queued, waits, strict=True), start=1)
    }


def served_slots(store: Store) -> int:
    """How many runs the store's dispatcher trains at a time."""
    lease = store.lease("dispatcher")
    return int(lease[2].get("slots", DEFAULT_SLOTS)) if lease is not None else DEFAULT_SLOTS


def _waits(
    queued: Sequence[Run], active: Sequence[Run], pace: Pace, *, slots: int
) -> list[float | None]:
    """Seconds until each run starts, if slots go to them in this order."""
    left = [pace.remaining(run) for run in active]
    if any(seconds is None for seconds in left):
        return [None] * len(queued)
    free_at = sorted(seconds for seconds in left if seconds is not None)[-slots:]
    free_at = [0.0] * (slots - len(free_at)) + free_at
    heapq.heapify(free_at)
    waits: list[float | None] = []
    for run in queued:
        start = heapq.heappop(free_at)
        waits.append(start)
        duration = pace.expected(run)
        if duration is None:
            return waits + [None] * (len(queued) - len(waits))
        heapq.heappush(free_at, start + duration)
    return waits


class Pace:
    """How long runs take, learned from finished ones."""

    def __init__(self, finished: Iterable[Run]) -> None:
        spent: dict[str, list[float]] = {}
        for run in finished:
            for kind in _kinds(run):
                spent.setdefault(kind, []).append(run.training_seconds / _epochs(run))
        self._seconds_per_epoch = {
            kind: statistics.median(seconds) for kind, seconds in spent.items()
        }

    def expected(self, run: Run) -> float | None:
        """Seconds that a run will take from start to end; None where no run finished yet."""
        for kind in _kinds(run):
            if kind in self._seconds_per_epoch:
                return self._seconds_per_epoch[kind] * _epochs(run)
        return None

    def remaining(self, run: Run) -> float | None:
        """Seconds that a training run will go on for, by its own pace where it has one."""
        if run.step > 0 and run.total_steps:
            return run.training_seconds / run.step * max(0, run.total_steps - run.step)
        return self.expected(run)


def _kinds(run: Run) -> tuple[str, ...]:
    """What makes runs similar, the closest likeness first."""
    data, model = run.config_tree["data"], run.config_tree["model"]
    return (
        json.dumps([data, model], sort_keys=True),
        json.dumps([data["dataset"], model["name"]]),
        "",
    )


def _epochs(run: Run) -> int:
    return max(1, int(run.config_tree["training"]["epochs"]))
