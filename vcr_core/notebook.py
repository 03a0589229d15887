"""Watch runs from a notebook: the page's own charts, redrawn in a cell while the runs train.

baseline, regularized = submit_pair(store, config)
watch(store, [baseline, regularized])
numbers(store, [baseline, regularized])
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import pandas as pd
from IPython.display import DisplayHandle, display

from vcr_core.datasets.catalog import chance
from vcr_core.figures import (
    Chart,
    History,
    accuracy_chart,
    covariance_chart,
    rank_chart,
    read_history,
    run_lines,
    spread_chart,
    to_figure,
)
from vcr_core.store import Run, RunState, Store

START_WAIT_SECONDS = 0.1


def default_charts(runs: Sequence[Run]) -> list[Chart]:
    """Accuracies, spread, correlations and effective rank of the last layer."""
    lines = run_lines(runs)
    config = runs[-1].config
    layer = config.layer_names[-1]
    total = runs[-1].total_steps
    return [
        accuracy_chart(
            lines,
            source=config.data.source,
            targets=config.targets,
            chance=chance(config.data.dataset, (config.data.source, *config.targets)),
            total_steps=total,
        ),
        spread_chart(lines, [layer], total_steps=total),
        covariance_chart(lines, layer),
        rank_chart(lines, total_steps=total),
    ]


def watch(
    store: Store,
    run_ids: Sequence[str],
    charts: Sequence[Chart] | None = None,
    *,
    every: float = 1.0,
) -> History:
    """Draw charts in this cell and redraw them every so many seconds until the runs are over.

    Returns everything that was read. Interrupting the cell ends the watching, not the runs.

    Raises:
        UnknownRunError: the store does not hold one of the runs.
    """
    runs = wait_for_start(store, run_ids)
    charts = charts or default_charts(runs)
    history = History()
    handles: list[DisplayHandle] = []
    while True:
        over = all(run.state.is_over for run in map(store.run, run_ids))
        history.extend(read_history(store, charts, history.cursor))
        _draw(charts, history, handles)
        if over:
            break
        time.sleep(every)
    for run in map(store.run, run_ids):
        if run.state is RunState.FAILED:
            display(f"Run {run.id} failed. {run.error}")
    return history


def wait_for_start(store: Store, run_ids: Sequence[str]) -> list[Run]:
    """The runs, once each trains (so its number of steps is known) or is over."""
    while True:
        runs = [store.run(run_id) for run_id in run_ids]
        if all(run.total_steps or run.state.is_over for run in runs):
            return runs
        time.sleep(START_WAIT_SECONDS)


def _draw(charts: Sequence[Chart], history: History, handles: list[DisplayHandle]) -> None:
    """Show the charts, or replace what the handles show.

    A figure's own way of displaying itself cannot be updated, so its MIME bundle is shown.
    """
    bundles = [to_figure(chart, history)._repr_mimebundle_() for chart in charts]
    if not handles:
        shown = [display(bundle, raw=True, display_id=True) for bundle in bundles]
        handles.extend(handle for handle in shown if handle is not None)
        return
    for handle, bundle in zip(handles, bundles, strict=True):
        handle.update(bundle, raw=True)


def numbers(store: Store, run_ids: Sequence[str]) -> pd.DataFrame:
    """Every number of the runs: one row a run and step, one column a name."""
    rows = [
        {"run": metric.run_id, "step": metric.step, "name": metric.name, "value": metric.value}
        for run_id in run_ids
        for metric in store.metrics(run_id)
    ]
    frame = pd.DataFrame(rows, columns=["run", "step", "name", "value"])
    return frame.pivot_table(index=["run", "step"], columns="name", values="value")
