"""Several processes give the loss curve of one on the same batches."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from vcr_core.store import Store

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
