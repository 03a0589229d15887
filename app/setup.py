"""The upper part of the lab: what the tool is, which experiment, start."""

from __future__ import annotations

import streamlit as st

from app.forms import config_form
from app.state import lab_store, watch
from vcr_core.config import RunConfig
from vcr_core.execution import ensure_dispatcher, submit, submit_pair
from vcr_core.presets import DEFAULT_PRESET, PRESETS, Preset

WHAT_IT_IS = (
    "A network that learns one task tends to forget everything else it sees. **Variance-covariance "
    "regularisation** (VCR) asks every layer to keep its features *spread out* (variance) and "
    "*different from each other* (covariance). Start two twins, one without and one with it, and "
    "watch what each still knows."
)


def setup(*, collapsed: bool) -> None:
    """Preset chooser, settings and the two start buttons."""
    if not collapsed:
        st.title("VCR Lab", anchor=False)
        st.markdown(WHAT_IT_IS)
    chooser, pair, single = st.columns([6, 2, 2], vertical_alignment="bottom")
    with chooser:
        preset = PRESETS[
            st.selectbox(
                "Experiment",
                list(PRESETS),
                index=list(PRESETS).index(DEFAULT_PRESET),
                format_func=lambda name: PRESETS[name].title,
                key="preset",
                help="A ready-made experiment; every setting of it can be changed below.",
            )
        ]
    if not collapsed:
        st.markdown(f"{preset.summary} **What to look for:** {preset.look_for}")
    with st.expander("Settings", icon=":material/tune:"):
        config = config_form(preset.config, key=f"form:{preset.name}")
    if config is None:
        st.caption("A setting needs mending before a run can start: see the note beside it.")
    with pair:
        _start_pair(preset, config)
    with single:
        _start_single(preset, config)


def _start_pair(preset: Preset, config: RunConfig | None) -> None:
    pressed = st.button(
        "Start pair",
        type="primary",
        icon=":material/play_circle:",
        width="stretch",
        disabled=config is None or not config.regularized,
        help="Two networks at the same time: same seed, same first weights, same batches; "
        "one without and one with regularisation.",
    )
    if pressed and config is not None:
        ensure_dispatcher(lab_store())
        _, regularized = submit_pair(lab_store(), config, preset=preset.name)
        watch(regularized)
        st.rerun()


def _start_single(preset: Preset, config: RunConfig | None) -> None:
    pressed = st.button(
        "Start one",
        icon=":material/play_arrow:",
        width="stretch",
        disabled=config is None,
        help="One network with these settings.",
    )
    if pressed and config is not None:
        ensure_dispatcher(lab_store())
        watch(submit(lab_store(), config, preset=preset.name))
        st.rerun()
