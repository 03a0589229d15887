"""The notebooks run from top to bottom, and what they show is real."""

from __future__ import annotations

from pathlib import Path

import jupytext
import nbclient
import pandas as pd
import pytest

from vcr_core.config import RunConfig
from vcr_core.notebook import numbers
from vcr_core.store import Report, RunState, Store

ROOT = Path(__file__).parents[2]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_the_first_pair_runs_and_its_figures_update_in_one_cell(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FIRST_PAIR_EPOCHS", "1")
    notebook = jupytext.read(ROOT / "notebooks" / "first_pair.py")
    nbclient.NotebookClient(
        notebook, timeout=300, resources={"metadata": {"path": str(ROOT)}}
    ).execute()
    assert [run.state for run in store.runs()] == [RunState.FINISHED] * 2
    watched = next(cell for cell in notebook.cells if "watch(store" in cell.source)
    figures = [
        output
        for output in watched.outputs
        if output.output_type == "display_data" and "application/vnd.plotly.v1+json" in output.data
    ]
    assert len(figures) == 4
    accuracy = figures[0].data["application/vnd.plotly.v1+json"]
    lines = [trace for trace in accuracy["data"] if trace["type"] == "scatter"]
    assert all(len(trace["x"]) >= 8 for trace in lines)
    assert "colour" in notebook.cells[-1].outputs[0].data["text/plain"]


def test_numbers_are_a_table_with_a_row_a_step_and_a_column_a_name(store: Store) -> None:
    run_id = store.create_run(RunConfig())
    for step, loss in ((1, 2.0), (2, 1.5)):
        store.write_reports(run_id, [Report(step, {"loss/task": loss}, {})], progress={})
    table = numbers(store, [run_id])
    pd.testing.assert_series_equal(
        table["loss/task"].loc[run_id].reset_index(drop=True),
        pd.Series([2.0, 1.5], name="loss/task"),
    )
