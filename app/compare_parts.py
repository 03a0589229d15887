"""Parts of the compare page: which runs, the table of results, the settings that differ."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlencode

import streamlit as st

from app.run_list.rows import SHORT_STATES
from app.state import RUN_PARAMETER
from app.tables import table
from app.texts import plain, tr
from app.texts.errors import told
from app.words import named
from vcr_core.comparison import Comparison, Group, differing_settings
from vcr_core.comparison.groups import seed_of
from vcr_core.comparison.results import MEAN, RANK, SOURCE
from vcr_core.comparison.text import MEASURES, MISSING, how_to_read, result_cells
from vcr_core.config import fields
from vcr_core.store import Run, RunState, Store

HELP = {
    SOURCE: "Accuracy on the task that the networks were trained for.",
    MEAN: "Mean accuracy of the linear probes over all tasks that were not trained.",
    RANK: "How many independent directions the final features use.",
}
TARGET_HELP = (
    "Accuracy of a linear probe for this task, from features that were never trained for it."
)
MEASURE_HELP = "What is measured, on held-out images, at the end of a run."
GROUP_HELP = "Runs that differ in nothing but their seed; n is how many they are."
SETTING_HELP = "What was chosen before the start; all other settings are the same."


def links_to_lab(groups: Sequence[Group]) -> None:
    """Every run by its group and seed, each a link into the lab."""
    lines = []
    for group in groups:
        seeds = " · ".join(
            f"[{tr('seed {seed}', seed=seed_of(run))}](./?{urlencode({RUN_PARAMETER: run.id})})"
            for run in group.runs
        )
        lines.append(f"- **{plain(tr(group.label))}**: {seeds}")
    st.markdown("\n".join(lines))


def state_line(runs: Sequence[Run]) -> None:
    """How many still train, and which failed."""
    living = [run for run in runs if not run.state.is_over]
    if living:
        states = ", ".join(
            f"{run.id[:6]} {tr(SHORT_STATES[run.state])} "
            f"{tr('step {step} of {total}', step=run.step, total=run.total_steps)}"
            for run in living
        )
        st.caption(tr("Still going on: {runs}", runs=states))
    for run in runs:
        if run.state is RunState.FAILED:
            why = (run.error or "").partition("\n")[0]
            st.warning(f"{run.id[:6]}: {plain(told(why))}", icon=":material/error:")


def results_table(found: Comparison) -> None:
    """Results of every group, and under each other's its difference to the reference."""
    st.subheader(tr("Results and differences"), anchor=False)
    if not found.measures:
        st.caption(tr("The first numbers arrive in a moment."))
        return
    head = [tr("Measure")]
    for group in found.groups:
        head.append(f"{tr(group.label)} (n = {len(group.runs)})")
    rows = [[_name(measure), *result_cells(found, measure, tr)] for measure in found.measures]
    explain = {_name(measure): tr(HELP.get(measure, TARGET_HELP)) for measure in found.measures}
    explain |= {head[0]: tr(MEASURE_HELP), **dict.fromkeys(head[1:], tr(GROUP_HELP))}
    table(head, rows, caption=tr("Results and differences"), explain=explain)
    st.caption(how_to_read(found, plain(tr(found.reference.label)), tr))


def _name(measure: str) -> str:
    return tr(MEASURES[measure]) if measure in MEASURES else named(measure)


def settings_table(store: Store, groups: Sequence[Group]) -> None:
    """Only what differs."""
    st.subheader(tr("Settings that differ"), anchor=False)
    rows = differing_settings(store, groups)
    if not rows:
        st.caption(tr("None: these runs repeat each other."))
        return
    head = [tr("Setting"), *(tr(group.label) for group in groups)]
    body = [[tr(row.title), *(value or MISSING for value in row.values)] for row in rows]
    explain = {tr(str(info.title)): tr(info.description or "") for info in fields().values()}
    explain |= {head[0]: tr(SETTING_HELP), **dict.fromkeys(head[1:], tr(GROUP_HELP))}
    table(head, body, caption=tr("Settings that differ"), explain=explain)
