"""Twins keep step while both train, do what both are asked at the same step, and never hang."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from vcr_core.config import RunConfig, override
from vcr_core.execution import channel, lockstep, runner
from vcr_core.execution.inbox import Inbox
from vcr_core.execution.lockstep import Lockstep, lockstep_of
from vcr_core.store import Command, CommandKind, RunState, Store, open_store
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
    """Runs that train in threads of this process; ``at`` is called with every report of a run.

    They draw their first weights one after the other: threads share torch's random generator.
    """

    def __init__(self, store: Store, patch: pytest.MonkeyPatch) -> None:
        alone, prepare = threading.Lock(), runner.prepare

        def prepare_alone(*words: Any, **options: Any) -> Any:
            with alone:
                return prepare(*words, **options)

        patch.setattr(runner, "prepare", prepare_alone)
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
            self.outcomes[run_id] = runner.execute(self.store, run_id, on_progress=say)

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
def trained(store: Store, monkeypatch: pytest.MonkeyPatch) -> Trained:
    return Trained(store, monkeypatch)


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


class Seen:
    """A pair whose first run is slow; what somebody saw who looked at every report of it."""

    def __init__(self, store: Store, shown: list[tuple[int, int]], trained: Trained) -> None:
        self.store, self.shown, self.trained = store, shown, trained
        self.pair = [run.id for run in reversed(store.summaries())]


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    """Trained once for the tests that follow."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VCR_LAB_HOME", str(tmp_path_factory.mktemp("home")))
        patch.setattr(channel, "POLL_SECONDS", 0.0)
        patch.setattr(channel, "FLUSH_SECONDS", 0.05)
        store = open_store()
        pair = store.create_pair(override(RunConfig(), TINY))
        trained, shown = Trained(store, patch), []

        def look(step: int) -> None:
            slowly(step)
            shown.append((store.run(pair[0]).step, store.run(pair[1]).step))

        def ask(step: int) -> None:
            if step == 12:
                weight = {"field": "regularizer.variance_weight", "value": 3.0}
                store.add_command(pair[1], CommandKind.SET, weight)

        trained.start(pair[0], look)
        trained.start(pair[1], ask)
        trained.wait()
        yield Seen(store, shown, trained)
        store.close()


def test_neither_twin_is_ahead_by_more_than_a_report(seen: Seen) -> None:
    assert seen.trained.most_apart() <= INTERVAL
    assert {outcome.step for outcome in seen.trained.outcomes.values()} == {STEPS}


def test_twins_run_apart_where_lock_step_is_switched_off(
    trained: Trained, pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So the test above can fail."""
    monkeypatch.setenv(lockstep.VARIABLE, "off")
    trained.start(pair[0], lambda _: time.sleep(0.1))
    trained.start(pair[1])
    trained.wait()
    assert trained.most_apart() > 2 * INTERVAL


def test_both_write_what_they_reported_at_the_same_steps(seen: Seen) -> None:
    """Else one would look ahead on the page although it is not."""
    assert len(set(seen.shown)) > 3
    assert all(before == after for before, after in seen.shown)


def test_waiting_for_a_twin_changes_no_number(seen: Seen) -> None:
    for run_id in seen.pair:
        found = replay(seen.store, run_id)
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
    assert [replay(store, run_id).first for run_id in pair] == ["", ""], histories


def test_what_one_is_asked_alone_is_done_at_its_next_step(seen: Seen) -> None:
    assert [applied(seen.store, run_id, CommandKind.SET) for run_id in seen.pair] == [[], [12]]


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


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that only goes forward when it is told to."""
    now = [1000.0]
    monkeypatch.setattr("vcr_core.store.watch.time.monotonic", lambda: now[0])
    return now


@pytest.fixture
def side(store: Store, pair: Pair, clock: list[float]) -> Lockstep:
    """The first run's side of the pair, about to begin."""
    assert store.move_run(pair[0], before=RunState.QUEUED, after=RunState.STARTING)
    made = lockstep_of(store, store.run(pair[0]), lambda action: action())
    assert made is not None
    made.begin(0, hears=True)
    return made


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
    side: Lockstep, puppet: Puppet, state: RunState
) -> None:
    puppet.stand(3)
    assert side.meet(4, hears=True, due=False)
    puppet.stand(3, state)
    assert not side.meet(4, hears=True, due=False)
    assert not side.keep_close(1000, hears=True)


def test_a_deleted_twin_is_not_waited_for(side: Lockstep, puppet: Puppet) -> None:
    puppet.stand(3)
    assert side.meet(4, hears=True, due=False)
    puppet.store.update_run(puppet.run_id, deleted_at=1.0)
    assert not side.meet(4, hears=True, due=False)


@pytest.mark.parametrize(
    ("limit", "state"),
    [
        ("SILENCE_SECONDS", RunState.RUNNING),
        ("STUCK_SECONDS", RunState.RUNNING),
        ("START_SECONDS", RunState.STARTING),
    ],
)
def test_a_twin_that_gets_nowhere_is_not_waited_for_any_longer(
    side: Lockstep, puppet: Puppet, clock: list[float], limit: str, state: RunState
) -> None:
    """Its worker is dead and nobody has noticed; it hangs; it is being prepared for long."""
    puppet.stand(3, state)
    began = clock[0]
    while side.meet(4, hears=True, due=False):
        clock[0] += 1.0
        if limit != "SILENCE_SECONDS":  # it beats
            puppet.store.update_run(puppet.run_id, heartbeat_at=clock[0])
        assert clock[0] < began + 1000.0, "it waits for ever"
    assert 0 < clock[0] - began - getattr(lockstep, limit) < 3.0


def test_a_twin_that_is_far_behind_is_not_waited_for_until_it_is_near(
    side: Lockstep, puppet: Puppet
) -> None:
    side.reported(100, 0.0)
    side.reported(110, 10.0)  # a second a step
    for step in (110, 120):
        side.meet(step, hears=True, due=False)
    puppet.stand(130 - 31)
    assert not side.meet(130, hears=True, due=False)
    puppet.stand(140 - 30)
    assert side.meet(140, hears=True, due=False)


def test_a_twin_that_is_one_report_behind_is_waited_for_however_long_that_takes(
    side: Lockstep, puppet: Puppet
) -> None:
    side.reported(0, 0.0)
    side.reported(10, 36_000.0)
    puppet.stand(0)
    side.meet(0, hears=True, due=False)
    assert side.meet(10, hears=True, due=False)
    puppet.stand(10)
    assert not side.meet(10, hears=True, due=False)


def test_between_reports_a_run_is_ahead_by_a_moment_only(
    side: Lockstep, puppet: Puppet, clock: list[float]
) -> None:
    """Else what both are asked would have to wait until the other has caught up."""
    puppet.stand(0)
    side.meet(0, hears=True, due=False)
    step = 0
    while not side.keep_close(step, hears=True):
        clock[0] += 0.01
        step += 1
        assert step < 1000
    assert (
        10 * lockstep.LEAD_SECONDS
        < step / 10
        <= 10 * (lockstep.LEAD_SECONDS + lockstep.TELL_SECONDS)
    )
    puppet.stand(step - 1)
    assert not side.keep_close(step, hears=True)


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


# ------------------------------------------------ at which step, as told by rows


def asked_of(store: Store, pair: Pair, kind: CommandKind) -> tuple[Command, int]:
    """What both were asked, as the first run heard it; and the id of the twin's."""
    ids = store.ask_both(pair, kind)
    return store.commands(pair[0])[-1], ids[pair[1]]


def test_both_do_it_at_the_step_of_the_one_that_was_further(
    store: Store, pair: Pair, side: Lockstep, puppet: Puppet
) -> None:
    puppet.stand(0)
    command, twins = asked_of(store, pair, CommandKind.PAUSE)
    assert side.step_for(command, 7, paused=False) is None
    store.offer_step(twins, 9)
    assert side.step_for(command, 7, paused=False) == 9
    assert store.commands(pair[0])[-1].offered_step == 7
    behind, twins = asked_of(store, pair, CommandKind.STOP)
    store.offer_step(twins, 5)
    assert side.step_for(behind, 7, paused=False) == 7


def test_a_run_that_died_after_it_answered_does_what_was_agreed(
    store: Store, pair: Pair, side: Lockstep, puppet: Puppet
) -> None:
    """It goes on from a checkpoint, and the twin has done it at the larger of their steps."""
    puppet.stand(0)
    command, twins = asked_of(store, pair, CommandKind.PAUSE)
    side.step_for(command, 7, paused=False)
    store.settle_command(twins, applied_step=9)
    again = store.commands(pair[0])[-1]
    assert again.offered_step == 7
    assert side.step_for(again, 2, paused=False) == 9


@pytest.mark.parametrize(
    "state", [RunState.QUEUED, RunState.STARTING, RunState.INTERRUPTED, RunState.STOPPED]
)
def test_nobody_waits_for_the_answer_of_a_twin_that_cannot_give_one(
    store: Store, pair: Pair, side: Lockstep, puppet: Puppet, state: RunState
) -> None:
    puppet.stand(0, state)
    command, _ = asked_of(store, pair, CommandKind.PAUSE)
    assert side.step_for(command, 7, paused=False) == 7


def test_a_twin_that_repeats_what_an_earlier_attempt_did_hears_nothing_yet(
    store: Store, pair: Pair, side: Lockstep, puppet: Puppet
) -> None:
    puppet.stand(0)
    store.write_position(pair[1], attempt=0, reached=0, shown=0, hears=False)
    command, _ = asked_of(store, pair, CommandKind.PAUSE)
    assert side.step_for(command, 7, paused=False) == 7


@pytest.mark.parametrize(
    ("state", "limit"),
    [(RunState.PAUSED, "ANSWER_SECONDS"), (RunState.RUNNING, "STUCK_SECONDS")],
)
def test_an_answer_is_not_waited_for_without_end(
    puppet: Puppet, clock: list[float], side: Lockstep, state: RunState, limit: str
) -> None:
    store = puppet.store
    puppet.stand(0, state)
    pair = str(store.twin_of(puppet.run_id)), puppet.run_id
    command, _ = asked_of(store, pair, CommandKind.STEP)
    began = clock[0]
    while side.step_for(command, 7, paused=False) is None:
        clock[0] += 1.0
        store.update_run(puppet.run_id, heartbeat_at=clock[0])
        assert clock[0] < began + 1000.0, "it waits for ever"
    assert 0 < clock[0] - began - getattr(lockstep, limit) < 3.0


def test_a_run_that_is_paused_meanwhile_does_not_keep_what_is_meant_for_now(
    store: Store, pair: Pair, side: Lockstep, puppet: Puppet
) -> None:
    """Else a pause that was meant for a step ahead would undo the next resume."""
    inbox = Inbox([], side)
    for kind in (CommandKind.SET, CommandKind.PAUSE):
        command, twins = asked_of(store, pair, kind)
        store.settle_command(twins, applied_step=9)
        inbox.add([command])
    assert inbox.ready(5, paused=False) == []
    assert [each.kind for each in inbox.ready(5, paused=True)] == [CommandKind.PAUSE]
    assert [each.kind for each in inbox.ready(9, paused=False)] == [CommandKind.SET]


def test_what_is_meant_for_now_does_not_wait_for_a_step_that_is_far_or_out_of_reach(
    store: Store, pair: Pair, side: Lockstep, puppet: Puppet
) -> None:
    """A setting belongs to a step; a pause is for now."""
    side.reported(0, 0.0)
    side.reported(10, 10.0)  # a second a step
    puppet.stand(0)
    steps = {}
    for kind in (CommandKind.PAUSE, CommandKind.SET, CommandKind.EXTEND, CommandKind.ABORT):
        command, twins = asked_of(store, pair, kind)
        store.settle_command(twins, applied_step=100)
        steps[kind] = [
            side.step_for(command, step, paused=paused)
            for step, paused in ((10, False), (80, False), (80, True))
        ]
    assert steps == {
        CommandKind.PAUSE: [10, 100, 80],
        CommandKind.SET: [100, 100, 100],
        CommandKind.EXTEND: [100, 100, 100],
        CommandKind.ABORT: [10, 80, 80],
    }


def test_a_second_twin_knows_from_the_first_how_far_is_far(
    store: Store, pair: Pair, puppet: Puppet
) -> None:
    """It has not taken a step of its own yet."""
    puppet.stand(0, RunState.STOPPED, step=3600, training_seconds=3600.0)
    command, twins = asked_of(store, pair, CommandKind.PAUSE)
    store.settle_command(twins, applied_step=3000)
    late = lockstep_of(store, store.run(pair[0]), lambda action: action())
    assert late is not None
    late.begin(0, hears=True)
    assert late.step_for(command, 0, paused=False) == 0


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
