"""What becomes of runs whose workers die, fall silent, hang, or take too long."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from vcr_core.config import RunConfig
from vcr_core.execution.devices import Slot, machine
from vcr_core.execution.guard import FRUITLESS_TRIES, SILENCE_SECONDS, Guard
from vcr_core.execution.limits import Limits
from vcr_core.store import CommandKind, RunState, Store


class Clock:
    """A clock that only goes forward when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr("vcr_core.store.watch.time.monotonic", made)
    return made


class Hand:
    """A worker that is ours and says nothing."""

    slot = Slot("cpu")
    name = "here:7"
    patience = 15.0
    was_ready = True
    is_ready = said_over = False
    is_alive = True

    def __init__(self, run_id: str) -> None:
        self.run_id: str | None = run_id
        self.killed = False

    def give(self, run_id: str) -> None:
        self.run_id = run_id

    def free(self) -> None:
        self.run_id = None

    def kill(self) -> None:
        self.killed = True

    def dismiss(self) -> None:
        self.killed = True

    def obituary(self) -> str:
        return "the worker process died (killed by SIGKILL)"

    def last_words(self) -> str:
        return "a last line"


def begin(store: Store, *, auto_resume: bool = False, worker: str = "here:7") -> str:
    run_id = store.create_run(RunConfig(), auto_resume=auto_resume)
    assert store.move_run(
        run_id, before=RunState.QUEUED, after=RunState.STARTING, worker=worker, device="cpu"
    )
    store.update_run(run_id, state=RunState.RUNNING.value, heartbeat_at=1.0)
    return run_id


def test_a_run_whose_worker_died_is_interrupted_with_the_reason(store: Store) -> None:
    run_id = begin(store)
    worker = Hand(run_id)
    store.update_run(run_id, step=30, total_steps=90, checkpoint_step=25)
    Guard(store, Limits()).interrupt(run_id, worker, worker.obituary())
    run = store.run(run_id)
    assert run.state is RunState.INTERRUPTED
    assert "at step 30 of 90: the worker process died (killed by SIGKILL)" in (run.error or "")
    assert "It goes on from step 25 when it is resumed" in (run.error or "")
    assert "a last line" in (run.error or "")


def test_a_run_that_another_worker_has_taken_is_left_alone(store: Store) -> None:
    run_id = begin(store, worker="elsewhere:9")
    Guard(store, Limits()).interrupt(run_id, Hand(run_id), "its worker gave it up")
    assert store.run(run_id).state is RunState.RUNNING


@pytest.mark.parametrize("set_back", [0.0, -3600.0, 3600.0])
def test_silence_is_a_beat_that_does_not_change_whatever_clock_wrote_it(
    store: Store, clock: Clock, set_back: float
) -> None:
    run_id = begin(store, worker="elsewhere:9")
    guard = Guard(store, Limits())
    for beat in range(20):
        store.update_run(run_id, heartbeat_at=time.time() + set_back + beat)
        guard.look([])
        clock.now += 1.0
    assert store.run(run_id).state is RunState.RUNNING
    for _ in range(int(SILENCE_SECONDS) + 1):
        guard.look([])
        clock.now += 1.0
    run = store.run(run_id)
    assert run.state is RunState.INTERRUPTED
    assert "its worker has fallen silent" in (run.error or "")


def test_a_run_of_a_former_dispatcher_is_given_up_at_once_where_its_worker_is_known_to_be_dead(
    store: Store,
) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        pass
    dead = begin(store, worker=f"{machine()}:{ended.pid}")
    alive = begin(store, worker=f"{machine()}:{os.getpid()}")
    elsewhere = begin(store, worker=f"another machine:{ended.pid}")
    Guard(store, Limits()).look([])
    assert "its worker died" in (store.run(dead).error or "")
    states = [store.run(run_id).state for run_id in (dead, alive, elsewhere)]
    assert states == [RunState.INTERRUPTED, RunState.RUNNING, RunState.RUNNING]


def test_an_interrupted_run_goes_on_by_itself_if_it_is_meant_to(store: Store) -> None:
    stays, goes_on = begin(store), begin(store, auto_resume=True)
    guard = Guard(store, Limits())
    for run_id in (stays, goes_on):
        guard.interrupt(run_id, Hand(run_id), "it died")
    assert store.run(stays).state is RunState.INTERRUPTED
    assert store.run(goes_on).state is RunState.QUEUED


def test_a_run_that_gets_nowhere_is_not_resumed_for_ever(store: Store) -> None:
    run_id = begin(store, auto_resume=True)
    guard = Guard(store, Limits())
    for _ in range(FRUITLESS_TRIES):
        guard.interrupt(run_id, Hand(run_id), "it died")
        assert store.move_run(
            run_id, before=RunState.QUEUED, after=RunState.STARTING, worker="here:7"
        )
    guard.interrupt(run_id, Hand(run_id), "it died")
    run = store.run(run_id)
    assert run.state is RunState.INTERRUPTED
    assert f"Resumed {FRUITLESS_TRIES} times, it got no further" in (run.error or "")


def test_a_run_that_gets_further_every_time_is_resumed_as_often_as_it_takes(store: Store) -> None:
    run_id = begin(store, auto_resume=True)
    guard = Guard(store, Limits())
    for attempt in range(3 * FRUITLESS_TRIES):
        store.update_run(run_id, checkpoint_step=attempt)
        guard.interrupt(run_id, Hand(run_id), "it died")
        assert store.move_run(
            run_id, before=RunState.QUEUED, after=RunState.STARTING, worker="here:7"
        )


def test_a_worker_that_hangs_is_ended(store: Store, clock: Clock) -> None:
    run_id = begin(store)
    worker = Hand(run_id)
    guard = Guard(store, Limits(idle_minutes=5.0))
    for beat in range(400):
        store.update_run(run_id, heartbeat_at=float(beat))  # it beats, and takes no step
        guard.look([worker])
        clock.now += 1.0
    assert worker.killed
    assert "it had not finished a step for 5 minutes" in (store.run(run_id).error or "")


def test_a_paused_run_may_rest(store: Store, clock: Clock) -> None:
    run_id = begin(store)
    store.update_run(run_id, state=RunState.PAUSED.value)
    worker = Hand(run_id)
    guard = Guard(store, Limits(idle_minutes=1.0))
    for beat in range(600):
        store.update_run(run_id, heartbeat_at=float(beat))
        guard.look([worker])
        clock.now += 1.0
    assert not worker.killed


def test_a_run_that_waits_for_its_twin_may_rest_and_the_twin_that_hangs_is_ended(
    store: Store, clock: Clock
) -> None:
    pair = store.create_pair(RunConfig())
    for run_id, reached in zip(pair, (20, 10), strict=True):
        assert store.move_run(
            run_id, before=RunState.QUEUED, after=RunState.STARTING, worker="here:7", device="cpu"
        )
        store.update_run(run_id, state=RunState.RUNNING.value)
        store.begin_position(run_id, attempt=1, reached=reached, hears=True)
    workers = [Hand(run_id) for run_id in pair]
    guard = Guard(store, Limits(idle_minutes=1.0))
    for beat in range(90):
        for run_id in pair:
            store.update_run(run_id, heartbeat_at=float(beat))
        guard.look(worker for worker in workers if not worker.killed)
        clock.now += 1.0
    assert [worker.killed for worker in workers] == [False, True]
    assert "it had not finished a step" in (store.run(pair[1]).error or "")


def test_a_run_whose_minutes_are_over_is_asked_once_to_stop(store: Store) -> None:
    run_id = begin(store)
    guard = Guard(store, Limits(minutes=2.0))
    store.update_run(run_id, training_seconds=119.0)
    guard.look([Hand(run_id)])
    assert store.commands(run_id) == []
    store.update_run(run_id, training_seconds=121.0)
    for _ in range(3):
        guard.look([Hand(run_id)])
    (command,) = store.commands(run_id)
    assert command.kind is CommandKind.STOP
    assert command.payload["reason"] == "runs may train for 2 minutes on this server"
