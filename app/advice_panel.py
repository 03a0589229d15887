"""What a finished baseline says about regularisation before it was ever tried there."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from app.state import Watched
from app.texts import tr
from vcr_core.advisor import Advice, KnownSetting, advise_run
from vcr_core.store import Run

HOW_SURE = "skill"
QUESTION = "Would regularisation help here?"
COLUMNS = {
    "Gain in points": "Mean transfer accuracy with VCR minus without, both tuned alike, 5 seeds.",
    "from": "Lower end of the 95 % interval.",
    "to": "Upper end of the 95 % interval.",
    "Trained task": "What the accuracy on the trained task changed by, in points.",
}


def advice_panel(watched: Watched) -> None:
    """Advice from the baseline alone; open where its twin has not answered already."""
    baseline = next((run for run in watched.runs if is_advisable(run)), None)
    if baseline is None:
        return
    found = advise_run(baseline)
    with st.expander(
        f"**{tr(QUESTION)}** {tr('What the run without it says')}",
        expanded=not watched.is_pair,
        icon=":material/explore:",
    ):
        _words(found)
        if found.neighbours:
            _neighbours(found.neighbours)


def is_advisable(run: Run) -> bool:
    """Whether the run finished without any regularisation, and holds what advice needs."""
    plain = not run.config.regularized and run.config.regularizer.rival == "none"
    return plain and "features" in run.result


def _words(found: Advice) -> None:
    state, answer, *more = found.sentences
    st.markdown(f"{state.text(tr)} **{answer.text(tr)}**")
    st.markdown(" ".join(each.text(tr) for each in more if each.code != HOW_SURE))
    for each in more:
        if each.code == HOW_SURE:
            st.caption(each.text(tr))


def _neighbours(settings: Sequence[KnownSetting]) -> None:
    """The settings that the advice rests on, nearest first."""
    st.dataframe(
        [
            {
                tr("Setting"): setting.name,
                tr("Gain in points"): 100 * setting.gain,
                tr("from"): 100 * setting.low,
                tr("to"): 100 * setting.high,
                tr("Trained task"): 100 * setting.source_gain,
                tr("Variance"): setting.weights[0],
                tr("Covariance"): setting.weights[1],
            }
            for setting in settings
        ],
        hide_index=True,
        column_config={
            tr(name): st.column_config.NumberColumn(format="%+.1f", help=tr(why))
            for name, why in COLUMNS.items()
        },
    )
