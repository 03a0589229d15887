"""Go on from the newest checkpoint of a run in a new one, with other weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from app.state import lab_store
from app.texts import tr
from app.texts.errors import told
from vcr_core.config import fields
from vcr_core.errors import VcrLabError
from vcr_core.execution import ensure_dispatcher
from vcr_core.store import Run
from vcr_core.training.fork import fork

WEIGHTS = ("regularizer.variance_weight", "regularizer.covariance_weight")
PROBLEM = "runs:fork:problem"
CHILD = "runs:fork:child"


def fork_menu(runs: Sequence[Run]) -> None:
    """A popover with the new weights, for one selected run that has a checkpoint."""
    run = runs[0] if len(runs) == 1 and runs[0].checkpoint else None
    with st.popover(tr("Fork"), icon=":material/fork_right:", disabled=run is None):
        if run is None:
            return
        st.caption(tr("A new run that goes on from the newest checkpoint with these weights."))
        for field in WEIGHTS:
            st.number_input(
                tr(str(fields()[field].title)),
                min_value=0.0,
                value=float(run.config_tree["regularizer"][field.partition(".")[2]]),
                format="%g",
                key=_key(run, field),
            )
        st.number_input(tr("Epochs more"), 0, 1000, 5, key=_key(run, "epochs"))
        problem = st.session_state.pop(PROBLEM, None)
        if problem:
            st.error(problem)
        st.button(
            tr("Fork from here"),
            icon=":material/fork_right:",
            key="runs:fork",
            on_click=_fork,
            args=(run,),
        )


def forked() -> str | None:
    """The run that was just made, once."""
    child: str | None = st.session_state.pop(CHILD, None)
    return child


def _fork(run: Run) -> None:
    changes: dict[str, Any] = {field: st.session_state[_key(run, field)] for field in WEIGHTS}
    more = int(st.session_state[_key(run, "epochs")])
    changes["training.epochs"] = run.config.training.epochs + more
    try:
        st.session_state[CHILD] = fork(lab_store(), run.id, changes)
        ensure_dispatcher(lab_store())
    except VcrLabError as error:
        st.session_state[PROBLEM] = told(error)


def _key(run: Run, field: str) -> str:
    return f"runs:fork:{field}:{run.id}"
