"""Twins keep step while both train, do what both are asked at the same step, and never hang."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from vcr_core.config import RunConfig, override
from vcr_core.execution import channel, lockstep
from vcr_core.execution.inbox import Inbox
from vcr_core.execution.lockstep import Lockstep, lockstep_of
from vcr_core.execution.runner import execute
from vcr_core.store import Command, CommandKind, RunState, Store
from vcr_core.training import keeper
from vcr_core.training.clock import Clock
from vcr_core.training.loop import Outcome
from vcr_core.training.replay import replay

PATIENCE_SECONDS = 60.0
TINY = {
    "data.dataset": "digits",
    "data.source": "parity",
    "transfer.targets": ("digit",),
    "model.name": "mlp",
    "model.hidden": (12, 8),
    "training.epochs": 4,
    "training.batch_size": 128,
    "transfer.probes": 2,
    "telemetry.reports": 10,
    "telemetry.snapshots": 2,
    "execution.device": "cpu",
    "execution.threads": 1,
}
STEPS, INTERVAL = 40, 4
RATE = "optimizer.learning_rate"
Pair = tuple[str, str]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands are heard at once, and nothing but what a test is about takes time."""
    monkeypatch.setattr(channel, "POLL_SECONDS", 0.0)
    monkeypatch.setattr(keeper, "EVERY_SECONDS", 1000.0)
    monkeypatch.delenv(lockstep.VARIABLE, raising=False)


@pytest.fixture
def pair(store: Store) -> Pair:
    """Twins that nobody trains yet."""
    return store.create_pair(override(RunConfig(), TINY))


class Trained:
    """Runs that train in threads of this process; ``at`` is called with every report of a run."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.outcomes: dict[str, Outcome] = {}
        self.reports: list[tuple[str, int]] = []
        self._threads: dict[str, threading.Thread] = {}

    def start(self, run_id: str, at: Callable[[int], object] = lambda _: None) -> None:
        before = self.store.run(run_id).state
        assert self.store.move_run(run_id, before=before, after=RunState.STARTING)

        def say(step: int, _total: int, _numbers: Mapping[str, float]) -> None:
            self.reports.append((run_id, step))
            at(step)

        def carry_out() -> None:
            self.outcomes[run_id] = execute(self.store, run_id, on_progress=say)

        self._threads[run_id] = threading.Thread(target=carry_out, daemon=True)
        self._threads[run_id].start()

    def wait(self, *run_ids: str) -> None:
        for run_id in run_ids or list(self._threads):
            self._threads[run_id].join(PATIENCE_SECONDS)
            assert not self._threads[run_id].is_alive(), "it waits for ever"

    def most_apart(self) -> int:
        """Steps that a run's report was ahead of the newest of the other."""
        newest = dict.fromkeys(self._threads, 0)
        apart = 0
        for run_id, step in self.reports:
            newest[run_id] = step
            apart = max(apart, max(newest.values()) - min(newest.values()))
        return apart


@pytest.fixture
def trained(store: Store) -> Trained:
    return Trained(store)


def wait_until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.002)


def slowly(_step: int) -> None:
    time.sleep(0.02)


def applied(store: Store, run_id: str, kind: CommandKind) -> list[int | None]:
    return [each.applied_step for each in store.commands(run_id) if each.kind is kind]


# ------------------------------------------------------------------- keeping step


@pytest.mark.parametrize("slow", [0, 1])
def test_neither_twin_is_ahead_by_more_than_a_report(
    trained: Trained, pair: Pair, slow: int
) -> None:
    trained.start(pair[slow], slowly)
    trained.start(pair[1 - slow])
    trained.wait()
    assert trained.most_apart() <= INTERVAL
    assert {outcome.step for outcome in trained.outcomes.values()} == {STEPS}


def test_twins_run_apart_where_lock_step_is_switched_off(
    trained: Trained, pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So the test above can fail."""
    monkeypatch.setenv(lockstep.VARIABLE, "off")
    trained.start(pair[0], lambda _: time.sleep(0.1))
    trained.start(pair[1])
    trained.wait()
    assert trained.most_apart() > 2 * INTERVAL


def test_a_tick_that_shows_new_reports_shows_those_of_both(
    store: Store, trained: Trained, pair: Pair
) -> None:
    """Both write at the same boundaries: one that has waited has the same steps in the store."""
    shown: list[tuple[int, int]] = []

    def look(step: int) -> None:
        slowly(step)
        shown.append((store.run(pair[0]).step, store.run(pair[1]).step))

    trained.start(pair[0], look)
    trained.start(pair[1])
    trained.wait()
    together = [a == b for a, b in shown[2:]]
    assert sum(together) > 0.6 * len(together)
    assert all(abs(a - b) <= 2 * INTERVAL for a, b in shown[2:])


def test_waiting_for_a_twin_changes_no_number(store: Store, trained: Trained, pair: Pair) -> None:
    trained.start(pair[0], slowly)
    trained.start(pair[1])
    trained.wait()
    for run_id in pair:
        found = replay(store, run_id)
        assert found.identical, found.first
        assert found.numbers > 100


def test_waiting_is_not_training(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("vcr_core.training.clock.time.perf_counter", lambda: now[0])
    clock = Clock(5.0)
    now[0] += 2.0
    with clock.waiting():
        now[0] += 50.0
    assert clock.seconds == 7.0
    clock.pause()
    with clock.waiting():
        now[0] += 50.0
    clock.resume()
    now[0] += 1.0
    assert clock.seconds == 8.0


# ---------------------------------------------------------------- asked of both


def test_both_pause_step_and_go_on_at_the_same_steps_and_stop_at_the_same_one(
    store: Store, trained: Trained, pair: Pair
) -> None:
    trained.start(pair[0], slowly)
    trained.start(pair[1])

    def steps(state: RunState) -> set[int]:
        wait_until(lambda: all(store.run(run_id).state is state for run_id in pair))
        return {store.run(run_id).step for run_id in pair}

    def ask(kind: CommandKind, **payload: Any) -> list[int]:
        asked = store.ask_both(pair, kind, payload)
        wait_until(lambda: all(c.state == "applied" for r in pair for c in store.commands(r)))
        return list(asked.values())

    wait_until(lambda: len(trained.reports) > 4)
    ask(CommandKind.PAUSE)
    (paused,) = steps(RunState.PAUSED)
    for _ in range(3):  # faster than they can be done
        store.ask_both(pair, CommandKind.STEP, {"n": 1})
    ask(CommandKind.SET, field=RATE, value=2e-3)
    wait_until(lambda: steps(RunState.PAUSED) == {paused + 3})
    ask(CommandKind.RESUME)
    wait_until(lambda: max(step for _, step in trained.reports) > paused + 8)
    ask(CommandKind.SLOW, seconds=0.001)
    ask(CommandKind.STOP)
    trained.wait()
    (stopped,) = {outcome.step for outcome in trained.outcomes.values()}
    assert paused + 8 <= stopped < STEPS
    histories = [
        [(each.kind, each.applied_step) for each in store.history(run_id)] for run_id in pair
    ]
    assert histories[0] == histories[1]
    assert len(histories[0]) == 8
    assert all(replay(store, run_id).identical for run_id in pair)


def test_what_one_is_asked_alone_is_done_at_its_next_step(
    store: Store, trained: Trained, pair: Pair
) -> None:
    weight = {"field": "regularizer.variance_weight", "value": 3.0}
    seen: list[int] = []

    def ask(step: int) -> None:
        if step == 12:
            store.add_command(pair[1], CommandKind.SET, weight)
        seen.append(step)

    trained.start(pair[0], slowly)
    trained.start(pair[1], ask)
    trained.wait()
    assert applied(store, pair[1], CommandKind.SET) == [12]
    assert applied(store, pair[0], CommandKind.SET) == []


def test_a_twin_that_waited_in_the_queue_does_it_at_the_step_at_which_the_other_did(
    store: Store, trained: Trained, pair: Pair
) -> None:
    """With room for one run only, twins train one after the other and stay comparable."""

    def ask(step: int) -> None:
        if step == 24:
            store.ask_both(pair, CommandKind.SET, {"field": RATE, "value": 2e-3})
        if step == 28:
            store.ask_both(pair, CommandKind.EXTEND, {"epochs": 1})

    trained.start(pair[0], ask)
    trained.wait()
    assert {each.state for each in store.commands(pair[1])} == {"requested"}
    trained.start(pair[1])
    trained.wait()
    assert {outcome.step for outcome in trained.outcomes.values()} == {STEPS + 10}
    for run_id in pair:
        assert applied(store, run_id, CommandKind.SET) == [24]
        assert applied(store, run_id, CommandKind.EXTEND) == [28]
        assert replay(store, run_id).identical


# ------------------------------------------------------- who is not waited for


class Puppet:
    """A twin that only its rows tell of."""

    def __init__(self, store: Store, run_id: str) -> None:
        self.store = store
        self.run_id = run_id

    def stand(self, reached: int, state: RunState = RunState.RUNNING, **columns: Any) -> None:
        self.store.update_run(self.run_id, state=state.value, **columns)
        attempt = self.store.run(self.run_id).attempt
        self.store.begin_position(self.run_id, attempt=attempt, reached=reached, hears=True)


@pytest.fixture
def puppet(store: Store, pair: Pair) -> Puppet:
    return Puppet(store, pair[1])


@pytest.mark.parametrize(
    "state",
    [
        RunState.QUEUED,
        RunState.PAUSED,
        RunState.INTERRUPTED,
        RunState.FINISHED,
        RunState.STOPPED,
        RunState.FAILED,
    ],
)
def test_a_twin_that_does_not_train_is_not_waited_for(
    trained: Trained, pair: Pair, puppet: Puppet, state: RunState
) -> None:
    puppet.stand(3, state)
    trained.start(pair[0])
    trained.wait()
    assert trained.outcomes[pair[0]].state is RunState.FINISHED


def test_a_deleted_twin_is_not_waited_for(
    store: Store, trained: Trained, pair: Pair, puppet: Puppet
) -> None:
    puppet.stand(3)
    store.update_run(pair[1], deleted_at=1.0)
    trained.start(pair[0])
    trained.wait()


@pytest.mark.parametrize(
    ("limit", "state", "beats"),
    [
        ("SILENCE_SECONDS", RunState.RUNNING, False),
        ("STUCK_SECONDS", RunState.RUNNING, True),
        ("START_SECONDS", RunState.STARTING, True),
    ],
)
def test_a_twin_that_gets_nowhere_is_not_waited_for_any_longer(
    store: Store,
    trained: Trained,
    pair: Pair,
    puppet: Puppet,
    monkeypatch: pytest.MonkeyPatch,
    limit: str,
    state: RunState,
    beats: bool,
) -> None:
    """Its worker is dead and nobody has noticed; it hangs; it is being prepared for long."""
    monkeypatch.setattr(lockstep, limit, 0.3)
    monkeypatch.setattr(lockstep, "STUCK_TIMES", 1)
    puppet.stand(3, state)
    trained.start(pair[0])
    waited = 0
    while pair[0] not in trained.outcomes:
        if beats:
            store.update_run(pair[1], heartbeat_at=time.time())
        waited += 1
        assert waited < PATIENCE_SECONDS / 0.02, "it waits for ever"
        time.sleep(0.02)
    assert trained.outcomes[pair[0]].step == STEPS


def test_a_twin_that_is_far_behind_is_not_waited_for(
    trained: Trained, pair: Pair, puppet: Puppet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lockstep, "CATCH_UP_SECONDS", 0.0)
    puppet.stand(0)
    seen: list[int] = []

    def leave(step: int) -> None:
        """It is left behind at the first boundary that is more than a report away from it."""
        seen.append(step)
        if step == INTERVAL:
            puppet.stand(INTERVAL)
            puppet.stand(INTERVAL - 1)

    trained.start(pair[0], leave)
    wait_until(lambda: INTERVAL in seen)
    puppet.stand(INTERVAL)
    wait_until(lambda: 2 * INTERVAL in seen)
    assert max(seen) == 2 * INTERVAL, "one report behind is not far"
    puppet.stand(0)
    trained.wait()


def test_one_that_is_resumed_behind_is_waited_for_and_they_meet(
    store: Store, trained: Trained, pair: Pair
) -> None:
    """One goes on alone while the other is paused alone; then they come together again."""

    def pause(step: int) -> None:
        slowly(step)
        if step == 8:
            store.add_command(pair[0], CommandKind.PAUSE)

    def late(step: int) -> None:
        if step == 24:
            store.add_command(pair[0], CommandKind.RESUME)
            wait_until(lambda: store.run(pair[0]).state is RunState.RUNNING)

    trained.start(pair[0], pause)
    trained.start(pair[1], late)
    trained.wait()
    order = [step for run_id, step in trained.reports if run_id == pair[0]]
    assert order == sorted(order)
    after = trained.reports.index((pair[1], 24))
    newest = {pair[0]: 8, pair[1]: 24}
    for run_id, step in trained.reports[after + 1 :]:
        newest[run_id] = step
        if run_id == pair[1]:
            assert newest[pair[1]] - newest[pair[0]] <= INTERVAL


def test_a_run_without_a_twin_meets_nobody(store: Store) -> None:
    single = store.run(store.create_run(override(RunConfig(), TINY)))
    assert lockstep_of(store, single, lambda action: action()) is None


def test_twins_that_stand_before_a_locked_store_go_on_when_it_is_free(
    store: Store, trained: Trained, pair: Pair, lab_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    locker = sqlite3.connect(lab_home / "runs.sqlite", check_same_thread=False)
    release = threading.Timer(0.5, locker.rollback)

    def lock(step: int) -> None:
        if step == 12:
            locker.execute("BEGIN IMMEDIATE")
            release.start()

    trained.start(pair[0], lock)
    trained.start(pair[1])
    trained.wait()
    release.join()
    locker.close()
    assert trained.most_apart() <= INTERVAL
