"""The upper part of the lab: what the tool is, which experiment, start."""

from __future__ import annotations

import streamlit as st

from app import links
from app.code import show_code
from app.forms import config_form, usable
from app.state import lab_store, watch
from app.texts import plain, tr
from app.welcome import hero, welcome
from vcr_core.config import RunConfig, as_text, differences
from vcr_core.execution import ensure_dispatcher, submit, submit_pair
from vcr_core.presets import DEFAULT_PRESET, PRESETS, Preset


def setup(*, collapsed: bool) -> None:
    """Preset chooser, settings and the two start buttons; beside a run they wait behind a title."""
    if collapsed:
        if not links.is_hidden("start"):
            with st.expander(tr("Start another"), icon=":material/add_circle:"):
                _start(collapsed=True)
        return
    hero()
    if not links.is_hidden("start"):
        preset = _start(collapsed=False)
        welcome(preset.name, _choose)


def _choose(name: str) -> None:
    st.session_state["preset"] = name


def _start(*, collapsed: bool) -> Preset:
    """Which experiment, with which settings, and the two buttons."""
    chooser, pair, single = st.columns([6, 2, 2], vertical_alignment="bottom")
    with chooser:
        preset = _chosen_preset()
    if not collapsed:
        st.markdown(f"{tr(preset.summary)} **{tr('What to look for:')}** {tr(preset.look_for)}")
    config = _settings(preset)
    with pair:
        _start_pair(preset, config)
    with single:
        _start_single(preset, config)
    return preset


def _chosen_preset() -> Preset:
    """The preset that is chosen, at first the link's; it stays in the link."""
    names = list(PRESETS)
    linked = links.choice("preset", names, DEFAULT_PRESET)
    name = st.selectbox(
        tr("Experiment"),
        names,
        index=names.index(linked),
        format_func=lambda name: tr(PRESETS[name].title),
        key="preset",
        help=tr("A ready-made experiment; every setting of it can be changed below."),
    )
    if name != linked:  # another preset starts with its own settings
        links.keep_config(PRESETS[name].config, PRESETS[name].config)
    links.choose("preset", name, default=DEFAULT_PRESET)
    return PRESETS[name]


def _settings(preset: Preset) -> RunConfig | None:
    """The form, which starts as the link says; what is typed goes into the link."""
    place = f"linked:{preset.name}"
    if place not in st.session_state:  # read once: from then on the form is what counts
        st.session_state[place] = links.linked_config(preset.config)
    base, refused = st.session_state[place]
    for reason in refused:
        st.warning(tr("The link asks for a setting that cannot be: {reason}", reason=plain(reason)))
    if links.is_hidden("settings"):
        return RunConfig.model_validate(base)
    config = _edited(preset.name, base)
    if config is None:
        st.caption(tr("A setting needs mending before a run can start: see the note beside it."))
        return None
    links.keep_config(config, preset.config)
    with st.container(horizontal=True, vertical_alignment="center"):
        if not links.is_hidden("code"):
            show_code(preset.name, config)
        if not links.is_hidden("data"):
            _link_to_data(preset, config)
    return config


def _link_to_data(preset: Preset, config: RunConfig) -> None:
    """To the images of these very settings."""
    changed = {name: as_text(value) for name, value in differences(config, preset.config).items()}
    st.page_link(
        "../pages/data.py",
        label=tr("See the data"),
        icon=":material/image:",
        query_params={"preset": preset.name, **changed},
    )


def _edited(preset: str, base: RunConfig) -> RunConfig | None:
    """What the form says. It is made while it is open only: 67 widgets are most of the page."""
    place = f"edited:{preset}"
    if place not in st.session_state:
        st.session_state[place] = usable(base)
    panel = st.expander(
        tr("Settings"),
        expanded=st.session_state[place] is None,
        icon=":material/tune:",
        key="settings",
        on_change="rerun",
    )
    if panel.open:
        with panel:
            locked = links.is_locked("settings")
            st.session_state[place] = config_form(base, key=f"form:{preset}", locked=locked)
    config: RunConfig | None = st.session_state[place]
    return config


def _start_pair(preset: Preset, config: RunConfig | None) -> None:
    pressed = st.button(
        tr("Start pair"),
        type="primary",
        icon=":material/play_circle:",
        width="stretch",
        disabled=config is None or not config.regularized,
        help=tr(
            "Two networks at the same time: same seed, same first weights, same batches; "
            "one without and one with regularisation."
        ),
    )
    if pressed and config is not None:
        ensure_dispatcher(lab_store())
        _, regularized = submit_pair(lab_store(), config, preset=preset.name)
        watch(regularized)
        st.rerun()


def _start_single(preset: Preset, config: RunConfig | None) -> None:
    pressed = st.button(
        tr("Start one"),
        icon=":material/play_arrow:",
        width="stretch",
        disabled=config is None,
        help=tr("One network with these settings."),
    )
    if pressed and config is not None:
        ensure_dispatcher(lab_store())
        watch(submit(lab_store(), config, preset=preset.name))
        st.rerun()
