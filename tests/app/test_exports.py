"""What can be taken away from the pages: every download holds what it says."""

from __future__ import annotations

import io
from pathlib import Path

import pandas as pd
import pytest
from safetensors.numpy import load, save
from streamlit.testing.v1 import AppTest

from app.exports import _checkpoint, _numbers, _report
from vcr_core.config import RunConfig
from vcr_core.execution.launch import DISPATCHER_LEASE
from vcr_core.store import Report, RunState, Store
from vcr_core.training.checkpoint import Folder

MAIN = str(Path(__file__).parents[2] / "app" / "main.py")


@pytest.fixture(autouse=True)
def no_workers(store: Store) -> None:
    store.hold_lease(DISPATCHER_LEASE, "test", patience=0)


@pytest.fixture
def run(store: Store) -> str:
    made = store.create_run(RunConfig())
    report = Report(10, {"source/accuracy": 0.75, "loss/task": 1.5}, {})
    store.write_reports(made, [report], progress={"step": 10})
    environment = {"device": "cpu", "threads": 1}
    store.update_run(made, state=RunState.FINISHED.value, total_steps=10, environment=environment)
    return made


def labels(page: AppTest) -> list[str]:
    return [button.proto.label for button in page.get("download_button")]


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_numbers_are_those_of_the_store(run: str, ending: str) -> None:
    read = pd.read_csv if ending == "csv" else pd.read_parquet
    table = read(io.BytesIO(_numbers([run], ending)))
    assert dict(zip(table["name"], table["value"], strict=True)) == {
        "source/accuracy": 0.75,
        "loss/task": 1.5,
    }


def test_the_checkpoint_is_the_newest_whole_one(store: Store, run: str) -> None:
    import hashlib

    import numpy as np

    folder = Folder.of(store.run(run))
    for step in (5, 9):
        data = save({"weight": np.full(3, float(step), dtype=np.float32)})
        sum_ = hashlib.sha256(data).hexdigest()
        note = {"format": 1, "step": step, "bytes": len(data), "sha256": sum_, "state": {}}
        folder.write_raw(note, data)
    folder.write_raw({**note, "step": 12}, b"cut short")
    taken = _checkpoint(run)
    assert isinstance(taken, bytes)
    np.testing.assert_array_equal(load(taken)["weight"], [9.0, 9.0, 9.0])


def test_a_run_without_a_checkpoint_says_so(run: str) -> None:
    assert _checkpoint(run) == "This run has no whole checkpoint any more."


def test_the_report_is_made(run: str) -> None:
    assert "<h1>" in _report([run])


def test_every_page_offers_what_its_runs_can_give(store: Store, run: str) -> None:
    other = store.create_run(RunConfig(seed=1))
    everything = ["Report (HTML)", "Numbers (CSV)", "Numbers (Parquet)", f"Script of {run[:6]}"]
    for script, query in (
        ("runs", {"selected": run}),
        ("compare", {"runs": f"{run},{other}"}),
        ("lab", {"run": run}),
    ):
        page = AppTest.from_file(MAIN, default_timeout=30)
        page.switch_page(f"../pages/{script}.py")
        page.query_params.update(query)
        page.run()
        assert not page.exception
        assert [label for label in labels(page) if label != "Save as one file"] == everything
