"""One run, or a pair of twins, live: progress, knobs, what came out, charts."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from app.controls import acknowledgement, controls
from app.live_view import live_view
from app.state import Watched, find_watched, lab_store
from app.words import pair_summary, progress_line, single_summary
from vcr_core.datasets.catalog import chance
from vcr_core.figures import (
    Chart,
    RunLine,
    accuracy_chart,
    covariance_chart,
    loss_chart,
    penalty_chart,
    rank_chart,
    run_lines,
    spread_chart,
)
from vcr_core.presets import PRESETS
from vcr_core.store import Run, RunState

TICK_SECONDS = 1.0
FIRST_TICK_SECONDS = 0.3  # until the run trains: the first number should not wait for a tick
MATRICES = {"correlation": "Correlation", "covariance": "Covariance"}
NAMES = {"without VCR": "Without VCR", "with VCR": "With VCR", "this run": "This run"}


def show_run(watched: Watched) -> None:
    """Everything about the run that the link names."""
    _headline(watched)
    if not watched.is_over:
        controls(watched)
    else:
        _summary(watched)
    tick = TICK_SECONDS if all(run.step for run in watched.runs) else FIRST_TICK_SECONDS
    every = None if watched.is_over else tick
    st.fragment(_live, run_every=every)(watched.main.id, _states(watched))


def _headline(watched: Watched) -> None:
    """Which experiment is shown, whatever is chosen above for the next one."""
    config, preset = watched.main.config, PRESETS.get(watched.main.preset)
    as_in_preset = preset is not None and preset.config.data == config.data
    title = preset.title if preset and as_in_preset else f"Train for {config.data.source}"
    st.subheader(title, anchor=False, divider="gray")
    facts = f"{config.data.dataset} · {config.model.name} · seed {config.seed}"
    looking = f" **What to look for:** {preset.look_for}" if preset and as_in_preset else ""
    st.caption(f"{facts}.{looking}")


def make_ready() -> None:
    """Let the browser load what charts need before there is one: the first should not wait."""
    live_view([], store=lab_store(), key="ready")


def _states(watched: Watched) -> tuple[str, ...]:
    """What the page around the live part depends on."""
    states = [f"{run.state.value} {run.step > 0}" for run in watched.runs]
    asked = lab_store().commands(watched.main.id)
    return (*states, str(asked[-1].id if asked else 0))


def _live(run_id: str, states: tuple[str, ...]) -> None:
    """The part that is redrawn every second. A change of state redraws the whole page once."""
    watched = find_watched(lab_store(), run_id)
    if _states(watched) != states:
        st.rerun()
    lines = run_lines(watched.runs)
    for column, run, line in zip(st.columns(len(lines)), watched.runs, lines, strict=True):
        with column:
            _progress(run, line)
    if not watched.is_over:
        st.caption(acknowledgement(lab_store().commands(watched.main.id)) or "\u00a0")
    if watched.is_over and not any(run.total_steps for run in watched.runs):
        return
    layer, matrix = _choose_view(run_id, watched.main.config.layer_names)
    live_view(_charts(watched, lines, layer, matrix), store=lab_store(), key=f"live-{run_id}")


def _progress(run: Run, line: RunLine) -> None:
    share = run.step / run.total_steps if run.total_steps else 0.0
    st.progress(min(share, 1.0), text=f"**{NAMES[line.label]}** · {progress_line(run)}")
    if run.state is RunState.FAILED:
        what, _, log = (run.error or "").partition("\n\n")
        st.error(what, icon=":material/error:")
        if log:
            with st.expander("The end of its log"):
                st.code(log, language=None)


def _choose_view(run_id: str, layers: Sequence[str]) -> tuple[str, str]:
    """Which layer is enlarged, and which matrix of it is shown."""
    left, right = st.columns([3, 2], vertical_alignment="bottom")
    with left:
        layer = st.segmented_control(
            "Layer, from input to output",
            layers,
            default=layers[-1],
            required=True,
            key=f"layer:{run_id}",
            help="The charts of spread, correlation and rank show this layer.",
        )
    with right:
        matrix = st.segmented_control(
            "Matrix",
            list(MATRICES),
            default="correlation",
            required=True,
            format_func=MATRICES.__getitem__,
            key=f"matrix:{run_id}",
            help="Correlation is covariance divided by the spreads of both features: "
            "always between -1 and 1.",
        )
    return layer or layers[-1], matrix or "correlation"


def _charts(watched: Watched, lines: Sequence[RunLine], layer: str, matrix: str) -> list[Chart]:
    config, total = watched.main.config, watched.main.total_steps
    return [
        accuracy_chart(
            lines,
            source=config.data.source,
            targets=config.targets,
            chance=chance(config.data.dataset, (config.data.source, *config.targets)),
            total_steps=total,
        ),
        covariance_chart(
            lines, layer, matrix="covariance" if matrix == "covariance" else "correlation"
        ),
        spread_chart(lines, [layer], target=config.regularizer.target_std, total_steps=total),
        rank_chart(lines, total_steps=total),
        loss_chart(lines, total_steps=total),
        penalty_chart(lines, total_steps=total),
    ]


def _summary(watched: Watched) -> None:
    """What came out, in words with this run's own numbers."""
    lines = pair_summary(watched) if watched.is_pair else single_summary(watched.main)
    if lines:
        with st.container(border=True):
            st.markdown("##### What came out")
            st.markdown("\n".join(f"- {line}" for line in lines))
