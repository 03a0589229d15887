"""Take something away: numbers, report, script, checkpoint. Each is made when it is asked for."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import streamlit as st
from streamlit.runtime.scriptrunner import add_script_run_ctx, get_script_run_ctx

from app.state import lab_store
from app.texts import language, tr
from app.texts.errors import told
from vcr_core.comparison import html_report
from vcr_core.comparison.report import MOST_RUNS
from vcr_core.errors import VcrLabError
from vcr_core.live_view.words import translated_chart
from vcr_core.store import Run
from vcr_core.store.export import export_numbers
from vcr_core.training.checkpoint import Folder
from vcr_core.training.script import script_of

MOST_SINGLE = 2  # scripts and checkpoints belong to one run: offered for one, or for a pair
KINDS = {"csv": "text/csv", "parquet": "application/vnd.apache.parquet"}
FIGURES = (
    "Figures: the camera above each figure saves it as PNG, the disk beside it as SVG; the report "
    "holds them all as HTML."
)


def export_menu(runs: Sequence[Run], *, key: str) -> None:
    """A popover with everything that these runs can be taken away as."""
    with st.popover(tr("Export"), icon=":material/download:", disabled=not runs):
        ids = [run.id for run in runs]
        name = ids[0] if len(ids) == 1 else f"{len(ids)}-runs"
        if ids and len(ids) <= MOST_RUNS:
            _button(
                tr("Report (HTML)"),
                lambda: _report(ids),
                f"vcr-lab-{name}-report.html",
                "text/html",
                key=f"{key}:report",
                help=tr("Results, differences, figures and settings in one file."),
            )
        for ending, mime in KINDS.items() if ids else ():
            _button(
                tr("Numbers ({format})", format=ending.upper() if ending == "csv" else "Parquet"),
                partial(_numbers, ids, ending),
                f"vcr-lab-{name}.{ending}",
                mime,
                key=f"{key}:{ending}",
                help=tr("Every number at every step: run, step, name, value."),
            )
        for run in runs if len(runs) <= MOST_SINGLE else ():
            _of_one(run, key=key)
        st.caption(tr(FIGURES))


def _of_one(run: Run, *, key: str) -> None:
    """What belongs to one run alone."""
    short = run.id[:6]
    if run.state.is_over and run.parent_id is None:
        _button(
            tr("Script of {run}", run=short),
            lambda: script_of(lab_store(), run.id),
            f"vcr-lab-{run.id}.py",
            "text/x-python",
            key=f"{key}:script:{run.id}",
            help=tr("A Python file that repeats the run, knob moves included."),
        )
    if run.checkpoint:
        _button(
            tr("Checkpoint of {run}", run=short),
            lambda: _checkpoint(run.id),
            f"vcr-lab-{run.id}.safetensors",
            "application/octet-stream",
            key=f"{key}:checkpoint:{run.id}",
            help=tr("The newest weights as safetensors."),
        )


def _button(
    label: str,
    make: Callable[[], str | bytes],
    file_name: str,
    mime: str,
    *,
    key: str,
    help: str,
) -> None:
    """A download that is made in a thread of its own, which has to be told whose page it is."""
    context = get_script_run_ctx()

    def made() -> str | bytes:
        add_script_run_ctx(threading.current_thread(), context)
        try:
            return make()
        except VcrLabError as error:  # a run that was purged, a disk that is full
            return f"{tr('This could not be made:')} {told(error)}\n"

    st.download_button(
        label,
        data=made,
        file_name=file_name,
        mime=mime,
        key=key,
        on_click="ignore",
        icon=":material/download:",
        help=help,
        width="stretch",
    )


def _report(ids: Sequence[str]) -> str:
    return html_report(
        lab_store(),
        ids,
        say=tr,
        translated=lambda chart: translated_chart(chart, tr),
        language=language(),
    )


def _numbers(ids: Sequence[str], ending: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"numbers.{ending}"
        export_numbers(lab_store(), ids, path)
        return path.read_bytes()


def _checkpoint(run_id: str) -> bytes | str:
    newest = Folder.of(lab_store().run(run_id)).newest_raw()
    return newest[1] if newest else tr("This run has no whole checkpoint any more.")
