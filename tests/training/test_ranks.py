"""Several processes give the loss curve of one on the same batches."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from vcr_core.config import override
from vcr_core.presets import find_preset
from vcr_core.store import CommandKind, RunState, Store

ROOT = Path(__file__).parents[2]
#: float32 sums of 20 steps in another order.
TOLERANCE = 1e-3
SETTINGS = {
    "training.epochs": "2",
    "model.hidden": "24,12",
    "transfer.probes": "2",
    "telemetry.reports": "20",
    "execution.device": "cpu",
    "execution.threads": "1",
}


def curve(store: Store, *launcher: str) -> tuple[dict[str, dict[int, float | None]], str]:
    """Losses by name and step of a run that a launcher starts, and the run's id."""
    settings = [text for key, value in SETTINGS.items() for text in ("--set", f"{key}={value}")]
    done = subprocess.run(
        [sys.executable, *launcher, "-m", "vcr_core", "run", "digits-parity", "--json", *settings],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    run_id = json.loads(done.stdout.splitlines()[-1])["run"]
    found: dict[str, dict[int, float | None]] = {}
    for row in store.metrics(run_id, names=["loss/task", "loss/penalty", "loss/variance"]):
        found.setdefault(row.name, {})[row.step] = row.value
    return found, run_id


#: Carries out a run of the store on the processes that torchrun started.
SHARED = """
import os, sys
from vcr_core.execution.runner import execute, follow
from vcr_core.store import open_store
store = open_store()
if os.environ["RANK"] == "0":
    execute(store, sys.argv[1])
else:
    follow(store.run(sys.argv[1]).config)
"""


def wait_until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 240.0
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.05)


@pytest.mark.slow
def test_twins_on_two_processes_each_pause_and_stop_at_the_same_step(
    store: Store, tmp_path: Path
) -> None:
    """The first process decides for the others when to wait, and when not to."""
    pytest.importorskip("lightning")
    script = tmp_path / "shared.py"
    script.write_text(SHARED, encoding="utf-8")
    changes = {**SETTINGS, "training.epochs": "9999"}
    pair = store.create_pair(override(find_preset("digits-parity").config, changes))
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node"]
    for run_id in pair:
        store.move_run(run_id, before=RunState.QUEUED, after=RunState.STARTING)
    processes = [
        subprocess.Popen(
            [*launcher, "2", str(script), run_id],
            cwd=ROOT,
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
        )
        for run_id in pair
    ]

    def steps(state: RunState) -> set[int]:
        wait_until(lambda: all(store.run(run_id).state is state for run_id in pair))
        return {store.run(run_id).step for run_id in pair}

    wait_until(lambda: all(store.run(run_id).step > 20 for run_id in pair))
    store.ask_both(pair, CommandKind.PAUSE)
    (paused,) = steps(RunState.PAUSED)
    store.ask_both(pair, CommandKind.RESUME)
    wait_until(lambda: all(store.run(run_id).step > paused + 20 for run_id in pair))
    store.ask_both(pair, CommandKind.STOP)
    (stopped,) = steps(RunState.STOPPED)
    assert stopped > paused
    assert [process.wait(timeout=60) for process in processes] == [0, 0]


@pytest.mark.slow
def test_two_processes_give_the_loss_curve_of_one(store: Store) -> None:
    pytest.importorskip("lightning")
    single, _ = curve(store)
    double, run_id = curve(store, "-m", "torch.distributed.run", "--nproc-per-node", "2")
    assert len(store.runs()) == 2, "only the first process makes a run"
    assert store.run(run_id).environment["processes"] == 2
    assert set(double) == set(single) == {"loss/task", "loss/penalty", "loss/variance"}
    for name, values in single.items():
        assert len(values) == 20
        assert double[name] == pytest.approx(values, rel=TOLERANCE), name


@pytest.mark.slow
def test_a_process_leaves_its_group_before_it_ends(tmp_path: Path) -> None:
    """A thread of the group that runs on would abort it, now and then, after all its work."""
    script = tmp_path / "join.py"
    script.write_text(
        "import atexit, torch\n"
        "from torch import distributed\n"
        "from vcr_core.training.ranks import join\n"
        "state = lambda: print('joined' if distributed.is_initialized() else 'apart')\n"
        "atexit.register(state)\n"
        "join(torch.device('cpu'))\n"
        "state()\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "1", str(script)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["joined", "apart"]
