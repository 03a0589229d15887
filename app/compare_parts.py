"""Parts of the compare page: which runs, the table of results, the settings that differ."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlencode

import streamlit as st

from app.run_actions import plain
from app.run_list.rows import SHORT_STATES
from app.state import RUN_PARAMETER
from app.tables import MISSING, difference_text, estimate_text, table
from app.texts import tr
from app.words import named
from vcr_core.comparison import MEAN, RANK, SOURCE, Comparison, Group, differing_settings
from vcr_core.comparison.groups import seed_of
from vcr_core.store import Run, RunState, Store

MEASURES = {SOURCE: "Task that was trained", MEAN: "Mean transfer", RANK: "Effective rank"}


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
            st.warning(f"{run.id[:6]}: {plain(why)}", icon=":material/error:")


def results_table(found: Comparison) -> None:
    """Results of every group, and under each other's its difference to the reference."""
    st.subheader(tr("Results and differences"), anchor=False)
    if not found.measures:
        st.caption(tr("The first numbers arrive in a moment."))
        return
    head = [tr("Measure")]
    for group in found.groups:
        seeds = tr("n = {count}", count=len(group.runs))
        head.append(f"{tr(group.label)} ({seeds})")
    rows = [_row(found, measure) for measure in found.measures]
    table(head, rows, caption=tr("Results and differences"))
    st.caption(_how_to_read(found))


def _row(found: Comparison, measure: str) -> list[str]:
    percent = measure != RANK
    cells = [tr(MEASURES[measure]) if measure in MEASURES else named(measure)]
    for group in found.groups:
        cell = estimate_text(found.results[group.id].get(measure), percent=percent)
        gain = found.gains.get(group.id, {}).get(measure)
        if gain is not None:
            told = difference_text(gain.difference, percent=percent)
            how = "" if gain.paired else f", {tr('not paired')}"
            count = tr("n = {count}", count=gain.difference.n)
            cell = f"{cell}\nΔ {told}, {count}{how}"
        cells.append(cell or MISSING)
    return cells


def _how_to_read(found: Comparison) -> str:
    parts = [
        tr(
            "Accuracies in %, mean ± standard error over seeds. Δ: difference to "
            "*{reference}* in points, in brackets its 95 % interval (Student's t over the seeds "
            "that both have; Welch's where they share none). One seed gives no interval.",
            reference=plain(tr(found.reference.label)),
        )
    ]
    if found.step is not None:
        parts.append(tr("So far, at step {step}, which all have reached.", step=found.step))
    if found.uneven:
        parts.append(tr("The runs ended at different steps: part of it may come from that."))
    return " ".join(parts)


def settings_table(store: Store, groups: Sequence[Group]) -> None:
    """Only what differs."""
    st.subheader(tr("Settings that differ"), anchor=False)
    rows = differing_settings(store, groups)
    if not rows:
        st.caption(tr("None: these runs repeat each other."))
        return
    head = [tr("Setting"), *(tr(group.label) for group in groups)]
    body = [[tr(row.title), *(value or MISSING for value in row.values)] for row in rows]
    table(head, body, caption=tr("Settings that differ"))
