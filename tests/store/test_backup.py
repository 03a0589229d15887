"""A backup is the whole store at one moment, made while runs write, and opens as a store."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

from vcr_core.config import RunConfig
from vcr_core.errors import StoreError
from vcr_core.store import CommandKind, Report, Store, open_store

LAYER = ("blocks.0", "covariance")


def test_a_backup_holds_everything_and_is_gone_on_with(store: Store, tmp_path: Path) -> None:
    run_id = store.create_run(RunConfig(seed=5), owner="ada", tags=["kept"])
    matrix = np.arange(6, dtype=np.float32).reshape(2, 3)
    store.write_reports(run_id, [Report(3, {"loss/task": 0.5}, {LAYER: matrix})], progress={})
    store.settle_command(store.add_command(run_id, CommandKind.SET, {"a": 1}), applied_step=2)
    study_id = store.create_study("weights", {"grid": [1]})
    size = store.backup(tmp_path / "copy.sqlite")
    assert [path.name for path in tmp_path.glob("copy*")] == ["copy.sqlite"]
    assert size == (tmp_path / "copy.sqlite").stat().st_size

    copy = open_store(f"sqlite:///{tmp_path / 'copy.sqlite'}")
    assert copy.run(run_id) == store.run(run_id)
    assert copy.metrics(run_id) == store.metrics(run_id)
    assert copy.history(run_id) == store.history(run_id)
    assert copy.study(study_id) == store.study(study_id)
    assert copy.identity == store.identity
    snapshot = copy.latest_snapshot(run_id, *LAYER)
    assert snapshot is not None
    np.testing.assert_array_equal(snapshot.values, matrix)
    copy.write_reports(run_id, [Report(4, {"loss/task": 0.4}, {})], progress={"step": 4})
    assert [metric.step for metric in copy.metrics(run_id)] == [3, 4]
    copy.close()


def test_a_backup_while_a_run_writes_has_whole_reports_only(store: Store, tmp_path: Path) -> None:
    run_id = store.create_run(RunConfig())
    ended = threading.Event()

    def write() -> None:
        step = 0
        while not ended.is_set():
            step += 1
            numbers = {f"number/{name}": float(step) for name in range(20)}
            store.write_reports(run_id, [Report(step, numbers, {})], progress={"step": step})

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for place in range(3):
            store.backup(tmp_path / f"{place}.sqlite")
    finally:
        ended.set()
        writer.join()
    for place in range(3):
        copy = open_store(f"sqlite:///{tmp_path / f'{place}.sqlite'}")
        step = copy.run(run_id).step
        steps = [metric.step for metric in copy.metrics(run_id)]
        assert steps == [at for at in range(1, step + 1) for _ in range(20)]
        copy.close()


def test_a_backup_replaces_no_file(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "thesis.txt"
    path.write_text("ten years of work")
    with pytest.raises(StoreError, match=r"expected a new file for the backup, but .*thesis\.txt"):
        store.backup(path)
    assert path.read_text() == "ten years of work"
    with pytest.raises(StoreError, match=r"there is no folder .*missing for a backup"):
        store.backup(tmp_path / "missing" / "copy.sqlite")
