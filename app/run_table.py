"""The list of runs."""

from __future__ import annotations

from datetime import UTC, datetime

import pandas as pd
import streamlit as st

from app.state import RUN_PARAMETER, lab_store
from app.words import STATES
from vcr_core.store import Role, Run

ROLES = {
    Role.SINGLE: "single",
    Role.BASELINE: "pair: without",
    Role.REGULARIZED: "pair: with",
}
SHOWN = 500


def run_table() -> None:
    """Show the newest runs with a link to each, or what to do where there is none."""
    runs = lab_store().runs(limit=SHOWN)
    if not runs:
        st.info("No runs yet. Press **Start pair** in the Lab.", icon=":material/science:")
        return
    st.dataframe(
        pd.DataFrame([_row(run) for run in runs]),
        hide_index=True,
        width="stretch",
        column_config={
            "run": st.column_config.LinkColumn("run", display_text=rf"\?{RUN_PARAMETER}=(.*)"),
            "started": st.column_config.DatetimeColumn("started", format="distance"),
            "progress": st.column_config.ProgressColumn(
                "progress", format="percent", width="small"
            ),
            "source": st.column_config.NumberColumn("source accuracy", format="%.3f"),
            "transfer": st.column_config.NumberColumn("mean transfer", format="%.3f"),
        },
    )


def _row(run: Run) -> dict[str, object]:
    transfer = list(run.result.get("transfer", {}).values())
    data = run.config.data
    return {
        "run": f"/?{RUN_PARAMETER}={run.id}",
        "learned": f"{data.dataset}: {data.source}",
        "kind": ROLES[run.role],
        "state": STATES[run.state],
        "progress": run.step / run.total_steps if run.total_steps else 0.0,
        "started": datetime.fromtimestamp(run.created_at, tz=UTC),
        "source": run.result.get("source_accuracy"),
        "transfer": sum(transfer) / len(transfer) if transfer else None,
    }
