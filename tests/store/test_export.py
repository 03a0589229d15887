"""Numbers as files for other tools, read back with those tools."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pyarrow.parquet
import pytest

from vcr_core.config import RunConfig
from vcr_core.errors import ConfigError, StoreError, UnknownRunError
from vcr_core.store import CommandKind, Report, Store, export
from vcr_core.store.export import export_numbers


@pytest.fixture
def run_ids(store: Store) -> list[str]:
    """Two runs with three reports each; one number is missing."""
    made = [store.create_run(RunConfig(seed=seed)) for seed in range(2)]
    for run_id in made:
        for step in (1, 2, 3):
            loss = float("nan") if step == 2 else 1.0 / step
            report = Report(step, {"loss/task": loss, "source/accuracy": 0.1 * step}, {})
            store.write_reports(run_id, [report], progress={})
    return made


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_file_holds_every_number_exactly(
    store: Store, run_ids: list[str], ending: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "ROWS_AT_A_TIME", 4)  # so that a run takes two parts
    path = tmp_path / f"numbers.{ending}"
    assert export_numbers(store, run_ids, path) == 12
    found = pd.read_csv(path) if ending == "csv" else pd.read_parquet(path)
    expected = [
        (run_id, metric.step, metric.name, metric.value)
        for run_id in run_ids
        for metric in store.metrics(run_id)
    ]
    rows = [
        (row.run, row.step, row.name, None if pd.isna(row.value) else row.value)
        for row in found.itertuples(index=False, name="Number")
    ]
    assert rows == expected


def test_a_parquet_file_says_how_its_runs_were_made(
    store: Store, run_ids: list[str], tmp_path: Path
) -> None:
    command = store.add_command(run_ids[0], CommandKind.SET, {"field": "a", "value": 1})
    store.settle_command(command, applied_step=2)
    export_numbers(store, run_ids, tmp_path / "numbers.parquet")
    metadata = pyarrow.parquet.read_schema(tmp_path / "numbers.parquet").metadata
    about = json.loads(metadata[b"vcr-lab"])
    assert [RunConfig(**run["config"]) for run in about] == [RunConfig(seed=0), RunConfig(seed=1)]
    assert about[0]["history"] == [
        {"kind": "set", "payload": {"field": "a", "value": 1}, "step": 2}
    ]


def test_a_file_that_is_there_is_replaced_on_request_only(
    store: Store, run_ids: list[str], tmp_path: Path
) -> None:
    path = tmp_path / "numbers.csv"
    path.write_text("mine")
    with pytest.raises(ConfigError, match="expected a new file"):
        export_numbers(store, run_ids, path)
    assert path.read_text() == "mine"
    assert export_numbers(store, run_ids[:1], path, replace=True) == 6


def test_bad_names_and_runs_write_nothing(store: Store, run_ids: list[str], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"ends in \.csv or \.parquet, got 'numbers\.xlsx'"):
        export_numbers(store, run_ids, tmp_path / "numbers.xlsx")
    with pytest.raises(UnknownRunError):
        export_numbers(store, [*run_ids, "nobody"], tmp_path / "numbers.csv")
    with pytest.raises(StoreError, match="choose another place"):
        export_numbers(store, run_ids, tmp_path / "missing" / "numbers.csv")
    assert list(tmp_path.glob("numbers*")) == []
