"""Real processes: a dispatcher, warm workers, runs that finish, stop, fail and are never lost."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from vcr_core.config import RunConfig, override
from vcr_core.execution import dispatcher as dispatching
from vcr_core.execution import dispatcher_alive, ensure_dispatcher, submit, submit_pair
from vcr_core.execution.control import resume_run
from vcr_core.execution.launch import DISPATCHER_LEASE, start_detached
from vcr_core.execution.workers import LocalCrew
from vcr_core.store import CommandKind, Run, RunState, Store, open_store

PATIENCE_SECONDS = 120.0


def wait_until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.05)


def wait_for(store: Store, run_id: str, *states: RunState) -> Run:
    wait_until(lambda: store.run(run_id).state in states)
    return store.run(run_id)


@pytest.fixture
def quick() -> RunConfig:
    """A second of training on scanned digits."""
    return override(
        RunConfig(),
        {
            "data.dataset": "digits",
            "data.source": "parity",
            "transfer.targets": ("digit",),
            "model.name": "mlp",
            "model.hidden": (24, 12),
            "training.epochs": 3,
            "transfer.probes": 2,
            "execution.device": "cpu",
        },
    )


@pytest.fixture
def long(quick: RunConfig) -> RunConfig:
    """A run that does not end by itself while a test lasts."""
    return override(quick, {"training.epochs": 9999})


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """One store for all tests here, so that they share warm workers."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VCR_LAB_HOME", str(home))
        opened = open_store()
        yield opened
        end_dispatcher(opened)
        opened.close()


@pytest.fixture
def dispatcher(store: Store) -> psutil.Process:
    """The store's dispatcher, started where there is none."""
    ensure_dispatcher(store)
    wait_until(lambda: dispatcher_alive(store))
    return dispatcher_of(store)


def dispatcher_of(store: Store) -> psutil.Process:
    lease = store.lease(DISPATCHER_LEASE)
    assert lease is not None
    return psutil.Process(int(lease[2]["pid"]))


def end_dispatcher(store: Store) -> None:
    """Nothing that a test started is left behind."""
    if not dispatcher_alive(store):
        return
    process = dispatcher_of(store)
    family = [*process.children(recursive=True), process]
    for member in family:
        member.kill()
    psutil.wait_procs(family, timeout=20)


def workers_of(dispatcher: psutil.Process) -> list[psutil.Process]:
    return [child for child in dispatcher.children() if "worker" in " ".join(child.cmdline())]


def worker_that_trains(dispatcher: psutil.Process) -> psutil.Process:
    """The one that uses the processor."""
    workers = workers_of(dispatcher)
    before = {worker.pid: worker.cpu_times().user for worker in workers}
    time.sleep(1.0)
    return max(workers, key=lambda worker: worker.cpu_times().user - before[worker.pid])


def test_no_command_line_shows_the_address_of_the_store(
    store: Store, dispatcher: psutil.Process
) -> None:
    """It may hold a password, and everybody on a machine sees the command lines of all."""
    wait_until(dispatcher.children)
    for process in [dispatcher, *dispatcher.children()]:
        assert not any("runs.sqlite" in word for word in process.cmdline())


def test_twins_train_at_the_same_time_with_equal_threads_and_steps(
    store: Store, dispatcher: psutil.Process, quick: RunConfig
) -> None:
    pair = [
        wait_for(store, run_id, RunState.FINISHED, RunState.FAILED)
        for run_id in submit_pair(store, override(quick, {"training.epochs": 80}))
    ]
    assert [run.state for run in pair] == [RunState.FINISHED] * 2, pair[0].error or pair[1].error
    assert pair[0].environment["threads"] == pair[1].environment["threads"]
    starts, ends = [run.started_at or 0 for run in pair], [run.finished_at or 0 for run in pair]
    assert max(starts) < min(ends)
    names = [[(metric.step, metric.name) for metric in store.metrics(run.id)] for run in pair]
    assert names[0] == names[1]
    assert all(0.0 < run.result["transfer"]["digit"] <= 1.0 for run in pair)


def test_commands_reach_a_run_that_trains(
    store: Store, dispatcher: psutil.Process, long: RunConfig
) -> None:
    run_id = submit(store, long)
    wait_for(store, run_id, RunState.RUNNING)
    payload = {"field": "regularizer.covariance_weight", "value": 5.0}
    store.add_command(run_id, CommandKind.SET, payload)
    wait_until(lambda: store.commands(run_id)[-1].state == "applied")
    store.add_command(run_id, CommandKind.PAUSE)
    paused = wait_for(store, run_id, RunState.PAUSED)
    time.sleep(0.5)
    assert store.run(run_id).step == paused.step
    store.add_command(run_id, CommandKind.RESUME)
    wait_until(lambda: store.run(run_id).step > paused.step)
    store.add_command(run_id, CommandKind.STOP)
    stopped = wait_for(store, run_id, RunState.STOPPED)
    assert stopped.result["transfer"].keys() == {"digit"}


def test_a_killed_worker_is_noticed_its_numbers_are_kept_and_the_next_run_works(
    store: Store, dispatcher: psutil.Process, long: RunConfig, quick: RunConfig
) -> None:
    run_id = submit(store, long)
    wait_for(store, run_id, RunState.RUNNING)
    wait_until(lambda: len(store.metrics(run_id)) > 0)
    worker_that_trains(dispatcher).kill()
    killed_at = time.monotonic()
    ended = wait_for(store, run_id, RunState.INTERRUPTED, RunState.FAILED)
    assert time.monotonic() - killed_at < 10
    assert ended.state is RunState.INTERRUPTED
    assert "the worker process died" in (ended.error or "")
    assert "when it is resumed" in (ended.error or "")
    assert store.metrics(run_id)
    again = wait_for(store, submit(store, quick), RunState.FINISHED, RunState.FAILED)
    assert again.state is RunState.FINISHED


@pytest.mark.slow
def test_a_twin_whose_worker_is_killed_is_not_waited_for_and_met_again_when_it_is_back(
    store: Store, dispatcher: psutil.Process, long: RunConfig
) -> None:
    pair = submit_pair(store, long)
    for run_id in pair:
        wait_for(store, run_id, RunState.RUNNING)
        wait_until(lambda run_id=run_id: store.run(run_id).checkpoint_step)
    os.kill(int(store.run(pair[1]).worker.rpartition(":")[2]), signal.SIGKILL)
    wait_for(store, pair[1], RunState.INTERRUPTED)
    alone = store.run(pair[0]).step
    wait_until(lambda: store.run(pair[0]).step > alone + 500)
    assert resume_run(store, pair[1]) is not RunState.INTERRUPTED
    wait_for(store, pair[1], RunState.RUNNING)
    caught_up = [0, 0]

    def met() -> bool:
        positions = [store.position(run_id) for run_id in pair]
        caught_up[:] = [(each.reached or 0) if each else 0 for each in positions]
        return min(caught_up) > alone + 500 and abs(caught_up[0] - caught_up[1]) < 200

    wait_until(met)
    store.ask_both(pair, CommandKind.PAUSE)
    paused = {wait_for(store, run_id, RunState.PAUSED).step for run_id in pair}
    store.ask_both(pair, CommandKind.STOP)
    stopped = {wait_for(store, run_id, RunState.STOPPED).step for run_id in pair}
    assert len(paused) == 1
    assert stopped == paused


def test_a_run_that_cannot_start_says_why(
    store: Store, dispatcher: psutil.Process, quick: RunConfig
) -> None:
    config = override(quick, {"training.batch_size": 5000})
    failed = wait_for(store, submit(store, config), RunState.FAILED)
    assert "training.batch_size: expected at most the" in (failed.error or "")


def test_runs_go_on_when_the_dispatcher_dies_and_a_new_one_takes_over(
    store: Store, dispatcher: psutil.Process, long: RunConfig, quick: RunConfig
) -> None:
    run_id = submit(store, long)
    wait_for(store, run_id, RunState.RUNNING)
    orphans = workers_of(dispatcher)
    dispatcher.kill()
    dispatcher.wait(timeout=20)
    step = store.run(run_id).step
    wait_until(lambda: store.run(run_id).step > step)
    wait_until(lambda: not dispatcher_alive(store))
    ensure_dispatcher(store)
    second = wait_for(store, submit(store, quick), RunState.FINISHED, RunState.FAILED)
    assert second.state is RunState.FINISHED
    store.add_command(run_id, CommandKind.STOP)
    wait_for(store, run_id, RunState.STOPPED)
    _, alive = psutil.wait_procs(orphans, timeout=30)
    assert alive == []


def test_a_dispatcher_leaves_when_its_owner_is_gone(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path / 'own.sqlite'}")
    gone = psutil.Popen(["sleep", "0"]) if os.name != "nt" else psutil.Popen(["cmd", "/c", "exit"])
    gone.wait()
    ensure_dispatcher(store, owner_pid=gone.pid)
    time.sleep(1.0)
    wait_until(lambda: store.lease(DISPATCHER_LEASE) is None)
    store.close()


def test_a_dispatcher_leaves_when_its_owner_is_gone_and_its_store_does_not_come_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatching, "ABANDONED_SECONDS", 1.5)
    folder = tmp_path / "lost"
    folder.mkdir()
    store = open_store(f"sqlite:///{folder / 'lab.sqlite'}")
    owner = psutil.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    dispatcher = dispatching.Dispatcher(store, LocalCrew(store.url), owner)
    dispatcher.hire_after = time.monotonic() + 3600
    serving = threading.Thread(target=dispatcher.serve, daemon=True)
    serving.start()
    wait_until(lambda: dispatcher_alive(store))
    store.close()
    shutil.rmtree(folder)
    serving.join(timeout=4.0)
    assert serving.is_alive()  # somebody may still be there: the store is waited for
    owner.kill()
    owner.wait()
    assert owner.stdin is not None
    owner.stdin.close()
    serving.join(timeout=20.0)
    assert not serving.is_alive()


def test_a_second_dispatcher_waits_and_takes_over_when_the_first_dies(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path / 'two.sqlite'}")
    arguments = ["--store", store.url, "--owner", str(os.getpid()), "--delay", "3600"]
    with (tmp_path / "dispatchers.log").open("ab") as log:
        both = [
            start_detached("vcr_core.execution.dispatcher", arguments, log=log) for _ in range(2)
        ]
    wait_until(lambda: dispatcher_alive(store))
    first = dispatcher_of(store)
    time.sleep(2.0)
    assert dispatcher_of(store).pid == first.pid
    assert all(process.poll() is None for process in both)
    first.kill()
    wait_until(lambda: dispatcher_of(store).pid != first.pid)
    assert {first.pid, dispatcher_of(store).pid} == {process.pid for process in both}
    for process in both:
        process.kill()
        process.wait(timeout=20)
    store.close()
