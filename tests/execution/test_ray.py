"""Runs on a Ray cluster: two nodes on loopback, one of them killed in the middle."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from typer.testing import CliRunner

from vcr_core.cli import app
from vcr_core.config import RunConfig, override
from vcr_core.errors import ClusterError
from vcr_core.execution import ensure_dispatcher, submit, submit_pair
from vcr_core.execution.launch import DISPATCHER_LEASE
from vcr_core.execution.ray_cluster import check_cluster
from vcr_core.presets import find_preset
from vcr_core.store import CommandKind, Run, RunState, Store, open_store

POSTGRES = "postgresql+psycopg://lab@127.0.0.1/lab"
PATIENCE_SECONDS = 240.0
RUNS = 16


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def wait_until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.1)


def test_a_cluster_that_does_not_answer_is_named_with_what_to_do() -> None:
    pytest.importorskip("ray")
    address = f"127.0.0.1:{free_port()}"
    with pytest.raises(ClusterError, match=f"expected a Ray cluster at {address}, and nobody"):
        check_cluster(address, POSTGRES)


@pytest.mark.parametrize("address", ["nonsense", "host:port", "ray://", ":6379"])
def test_what_is_no_address_of_a_cluster_is_refused(address: str) -> None:
    pytest.importorskip("ray")
    with pytest.raises(ClusterError, match="expected the address of a Ray cluster, host:6379"):
        check_cluster(address, POSTGRES)


def test_a_cluster_needs_a_store_that_all_its_machines_reach(lab_home: Path) -> None:
    pytest.importorskip("ray")
    done = CliRunner().invoke(app, ["dispatcher", "--ray", "127.0.0.1:6379"])
    assert isinstance(done.exception, ClusterError)
    assert "set VCR_LAB_STORE to the address of a PostgreSQL server" in str(done.exception)


@pytest.fixture
def cluster(lab_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A head and one more node, two processors each, as far as Ray knows."""
    pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    monkeypatch.setenv("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
    node = {"num_cpus": 2, "object_store_memory": 100 * 2**20, "include_dashboard": False}
    started = Cluster(initialize_head=True, head_node_args=node)
    started.add_node(**node)
    yield started
    started.shutdown()


@pytest.fixture
def shared_store(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.setenv("VCR_LAB_STORE", postgres_url)
    opened = open_store()
    yield opened
    opened.close()


def command_lines() -> list[str]:
    """Of all processes of this machine."""
    return [" ".join(found.info["cmdline"] or ()) for found in psutil.process_iter(["cmdline"])]


def is_on(node: Any, run: Run) -> bool:
    """Whether the run's worker is a process of a node."""
    raylet = node.all_processes["raylet"][0].process.pid
    pid = int(run.worker.rpartition(":")[2] or 0)
    try:
        return any(parent.pid == raylet for parent in psutil.Process(pid).parents())
    except psutil.NoSuchProcess:
        return False


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")
def test_sixteen_runs_on_two_nodes_finish_once_each_although_one_node_dies(
    cluster: Any, shared_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VCR_LAB_RAY", cluster.address)
    settings = {
        "data.dataset": "digits",
        "data.source": "parity",
        "transfer.targets": ("digit",),
        "model.name": "mlp",
        "model.hidden": (32, 16),
        "training.epochs": 150,
        "transfer.probes": 2,
        "execution.device": "cpu",
    }
    head, second = cluster.list_all_nodes()
    ensure_dispatcher(shared_store, owner_pid=os.getpid())
    try:
        runs = [
            submit(shared_store, override(RunConfig(), settings | {"seed": seed}), auto_resume=True)
            for seed in range(RUNS)
        ]

        def training(node: Any) -> list[Run]:
            active = shared_store.runs(states=[RunState.RUNNING])
            return [run for run in active if run.step > 0 and is_on(node, run)]

        wait_until(lambda: training(head) and len(training(second)) == 2)
        assert not any("battery%40staple" in words for words in command_lines())
        struck = [run.id for run in training(second)]
        cluster.remove_node(second, allow_graceful=False)
        wait_until(lambda: all(shared_store.run(run_id).state.is_over for run_id in runs))
    finally:
        end_dispatcher(shared_store)
    ended = [shared_store.run(run_id) for run_id in runs]
    assert [run.state for run in ended] == [RunState.FINISHED] * RUNS
    again = [run.id for run in ended if run.attempt > 1]
    assert set(again) <= set(struck)
    assert again
    for run in ended:
        written = [(metric.step, metric.name) for metric in shared_store.metrics(run.id)]
        assert len(written) == len(set(written))
        assert run.step == run.total_steps


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")
def test_twins_on_two_nodes_pause_and_stop_at_the_same_step(
    cluster: Any, shared_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VCR_LAB_RAY", cluster.address)
    changes = {"training.epochs": 9999, "execution.device": "cpu"}
    config = override(find_preset("digits-parity").config, changes)
    ensure_dispatcher(shared_store, owner_pid=os.getpid())
    try:
        pair = submit_pair(shared_store, config)

        def steps(state: RunState) -> set[int]:
            wait_until(lambda: all(shared_store.run(run_id).state is state for run_id in pair))
            return {shared_store.run(run_id).step for run_id in pair}

        wait_until(lambda: all(shared_store.run(run_id).step > 20 for run_id in pair))
        shared_store.ask_both(pair, CommandKind.PAUSE)
        (paused,) = steps(RunState.PAUSED)
        shared_store.ask_both(pair, CommandKind.STEP, {"n": 5})
        wait_until(lambda: steps(RunState.PAUSED) == {paused + 5})
        shared_store.ask_both(pair, CommandKind.RESUME)
        wait_until(lambda: all(shared_store.run(run_id).step > paused + 100 for run_id in pair))
        shared_store.ask_both(pair, CommandKind.STOP)
        (stopped,) = steps(RunState.STOPPED)
        assert stopped > paused + 100
    finally:
        end_dispatcher(shared_store)


def end_dispatcher(store: Store) -> None:
    lease = store.lease(DISPATCHER_LEASE)
    if lease is not None:
        process = psutil.Process(int(lease[2]["pid"]))
        process.kill()
        process.wait(timeout=20)
