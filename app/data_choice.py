"""Which data set the data page shows, under which settings; all of it lives in the link."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from app import links
from app.state import lab_store
from app.texts import plain, tr
from app.texts.errors import told
from vcr_core import paths
from vcr_core.config import DataConfig, RunConfig, fields
from vcr_core.datasets.catalog import DATASETS
from vcr_core.datasets.places import Whereabouts, whereabouts
from vcr_core.errors import UnknownRunError
from vcr_core.presets import PRESETS

DATASET = "dataset"
PRESET = "preset"
RUN = "run"
FOLDER = "folder"
PLAIN = ""
LINKED = "link"


@dataclass(frozen=True)
class Choice:
    """A data set, the settings it is looked at under, and where it is."""

    config: RunConfig
    settings: str
    found: Whereabouts

    @property
    def name(self) -> str:
        return self.config.data.dataset

    @property
    def is_here(self) -> bool:
        """Whether its images can be looked at without a download."""
        return self.found.is_here or bool(self.config.data.folder)


def choose_data() -> Choice:
    """Two boxes: the data set, and the settings under which it is looked at."""
    linked = _linked()
    names = list(DATASETS)
    start = links.choice(DATASET, names, linked.data.dataset if linked else names[0])
    with st.container(horizontal=True, vertical_alignment="bottom"):
        name = st.selectbox(
            tr("Data set"),
            names,
            index=names.index(start),
            format_func=_title,
            key="data:dataset",
            width=380,
        )
        if linked is not None and linked.data.dataset != name:
            _forget_settings()
            linked = None
        settings, config = _settings(name, linked)
    links.choose(DATASET, name, default=config.data.dataset if settings != PLAIN else names[0])
    if name == FOLDER:
        config = _with_folder(config)
    return Choice(config, settings, whereabouts(name, paths.data_folder()))


def _linked() -> RunConfig | None:
    """The settings that the link names: a run's, or a preset's with changes; None for none."""
    run = st.query_params.get(RUN)
    if run:
        try:
            return lab_store().run(run).config
        except UnknownRunError as error:
            st.warning(
                tr("The link names a run that is not here: {reason}", reason=plain(told(error))),
                icon=":material/search_off:",
            )
    named = st.query_params.get(PRESET, "")
    if named not in PRESETS and not any(name in st.query_params for name in fields()):
        return None
    base = PRESETS[named].config if named in PRESETS else RunConfig()
    config, refused = links.linked_config(base)
    for reason in refused:
        st.warning(tr("The link asks for a setting that cannot be: {reason}", reason=plain(reason)))
    return config


def _forget_settings() -> None:
    for name in (RUN, PRESET, *fields()):
        st.query_params.pop(name, None)


def _settings(name: str, linked: RunConfig | None) -> tuple[str, RunConfig]:
    """Under which settings the data are looked at: none, an experiment's, or those of the link."""
    presets = [key for key, preset in PRESETS.items() if preset.config.data.dataset == name]
    start, own = PLAIN, False
    if linked is not None:
        known = st.query_params.get(PRESET, "")
        own = known not in presets or linked != PRESETS[known].config
        start = LINKED if own else known
    options = [PLAIN, *([LINKED] if own else []), *presets]
    chosen = st.selectbox(
        tr("As used by"),
        options,
        index=options.index(start),
        format_func=_settings_title,
        key=f"data:settings:{name}:{own}",
        help=tr(
            "An experiment may take fewer images, thin out classes or vary each image: this shows "
            "the data as its network sees them."
        ),
        width=380,
        disabled=len(options) == 1,
    )
    if chosen == LINKED and linked is not None:
        return chosen, linked
    _forget_settings()
    if chosen in PRESETS:
        st.query_params[PRESET] = chosen
        return chosen, PRESETS[chosen].config
    return PLAIN, as_it_comes(name)


def as_it_comes(name: str) -> RunConfig:
    """A configuration that changes nothing about a data set."""
    return RunConfig.looking_at(DataConfig(dataset=name, source=DATASETS[name].default_source))


def _title(name: str) -> str:
    title = tr(DATASETS[name].title)
    here = whereabouts(name, paths.data_folder()).is_here or name == FOLDER
    return title if here else tr("{title} (not on this machine)", title=title)


def _settings_title(name: str) -> str:
    if name == PLAIN:
        return tr("Nobody: the data as they come")
    if name == LINKED:
        return tr("The settings in the link")
    return tr(PRESETS[name].title)


def _with_folder(config: RunConfig) -> RunConfig:
    """Ask for the folder of one's own images, at first the one of the settings."""
    st.session_state.setdefault(FOLDER, config.data.folder or "")
    typed = st.text_input(
        tr("Folder"),
        key=FOLDER,
        bind="query-params",
        placeholder=tr("A path on the machine that runs VCR Lab"),
        help=tr("One sub-folder a class, with at least two images in each."),
    )
    data = config.data.model_copy(update={"folder": (typed or "").strip() or None})
    return config.model_copy(update={"data": data})
