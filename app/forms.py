"""A form made from the configuration: one widget a field, its limits checked on the server.

A value that a field refuses is said beside that field, and nothing can be started until it is
mended; all other values stay as they were typed.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import streamlit as st
from pydantic.fields import FieldInfo
from streamlit.delta_generator import DeltaGenerator

from app.texts import tr
from app.texts.errors import told
from vcr_core.config import SECTIONS, RunConfig, fields, get_value, is_live, override
from vcr_core.datasets.catalog import DATASETS, FOLDER
from vcr_core.datasets.own_images import check_images
from vcr_core.errors import ConfigError, DataError
from vcr_core.models.catalog import MODELS
from vcr_core.regularization.conventions import hint_of_convention

TITLES = {
    "data": "Data",
    "augmentation": "Augmentation",
    "objective": "Objective",
    "model": "Network",
    "regularizer": "Regularisation",
    "optimizer": "Optimiser",
    "training": "Length",
    "transfer": "Transfer",
    "telemetry": "Reports",
    "execution": "Machine",
}
COLUMNS = 3
MOST_LOOKED_AT = 100_000
KEEP: Literal["session"] = "session"  # what was typed stays while the form is closed
# What another data set than the preset's starts with: the preset's numbers would not fit it.
PER_DATASET: Mapping[str, Any] = {
    "data.source": "",
    "data.train_size": None,
    "data.test_size": None,
    "transfer.targets": (),
}


def config_form(base: RunConfig, *, key: str, locked: bool = False) -> RunConfig | None:
    """Show every setting of ``base`` for editing; returns the edited one, or None while one is bad.

    ``key`` keeps what was typed apart from other forms (one per preset).
    """
    changes: dict[str, Any] = {}
    notes: dict[str, DeltaGenerator] = {}
    if locked:
        st.caption(tr("The link locks these settings."))
        st.json({name: get_value(base, name) for name in fields()}, expanded=False)
        return base
    titles = [tr(TITLES[name]) for name in SECTIONS]
    for tab, section in zip(st.tabs(titles), SECTIONS, strict=True):
        with tab:
            names = [name for name in fields() if name.startswith(f"{section}.")]
            _fields(names, base, changes, notes, key=key)
    _fields(["seed"], base, changes, notes, key=key)
    config, problems = check(base, changes)
    if config.data.dataset == FOLDER.name:
        problems |= folder_problems(config.data.folder)
    for name, problem in problems.items():
        notes.get(name, st.container()).error(told(problem), icon=":material/error:")
    settings = config.regularizer
    weights = settings.variance_weight, settings.covariance_weight
    if hint := hint_of_convention(*weights, settings.scale):
        notes["regularizer.scale"].info(told(hint), icon=":material/info:")
    return config if not problems else None


def usable(config: RunConfig) -> RunConfig | None:
    """A configuration that nobody has edited, or None where its images are not there."""
    if config.data.dataset == FOLDER.name and folder_problems(config.data.folder):
        return None
    return config


def folder_problems(folder: str | None) -> dict[str, str]:
    """What is wrong with a folder of one's own images; empty where nothing is."""
    try:
        _checked(folder, newest(folder))
    except DataError as error:
        return {error.field: error.message}
    return {}


def newest(folder: str | None) -> float:
    """When something below a folder was changed last; 0 where there is no such folder.

    A link may name any folder, so no more than ``MOST_LOOKED_AT`` places are looked at.
    """
    if not folder:
        return 0.0
    places = islice(Path(folder).expanduser().rglob("*"), MOST_LOOKED_AT)
    return max((place.lstat().st_mtime for place in places), default=0.0)


@st.cache_data(show_spinner="Looking at your images …", max_entries=8)
def _checked(folder: str | None, changed: float) -> int:
    """The number of images; looked at again only when something below the folder has changed."""
    return check_images(folder)


def check(base: RunConfig, changes: Mapping[str, Any]) -> tuple[RunConfig, dict[str, str]]:
    """Apply the changes that can be applied; the others are named with what is wrong."""
    left, problems = dict(changes), dict[str, str]()
    while True:
        try:
            return override(base, left), problems
        except ConfigError as error:
            culprit = error.field if error.field in left else next(iter(left), "")
            problems[culprit] = error.message
            if left.pop(culprit, None) is None:
                return base, problems


def _fields(
    names: list[str],
    base: RunConfig,
    changes: dict[str, Any],
    notes: dict[str, DeltaGenerator],
    *,
    key: str,
) -> None:
    columns = st.columns(COLUMNS)
    for position, name in enumerate(names):
        with columns[position % COLUMNS]:
            dataset = changes.get("data.dataset", base.data.dataset)
            value, place = get_value(base, name), f"{key}:{name}"
            if name in PER_DATASET:
                place = f"{place}:{dataset}"
                value = value if dataset == base.data.dataset else PER_DATASET[name]
            changes[name] = _widget(name, fields()[name], value, dataset=dataset, key=place)
            notes[name] = st.container()


def _widget(name: str, info: FieldInfo, value: Any, *, dataset: str, key: str) -> Any:
    """The widget that suits a field, showing ``value`` at first."""
    label, help_text = _label(info), _help(info)
    choices = _choices(name, info, dataset)
    if choices is not None:
        if isinstance(value, tuple):
            chosen = [choice for choice in value if choice in choices]
            return tuple(
                st.multiselect(label, choices, chosen, help=help_text, key=key, persist_state=KEEP)
            )
        index = choices.index(value) if value in choices else 0
        return st.selectbox(label, choices, index, help=help_text, key=key, persist_state=KEEP)
    kinds = set(get_args(info.annotation)) or {info.annotation}
    if bool in kinds:
        return st.checkbox(label, value, help=help_text, key=key, persist_state=KEEP)
    optional = type(None) in kinds
    if optional and kinds & {int, float}:
        return _optional_number(label, value, whole=int in kinds, help_text=help_text, key=key)
    return _plain(label, value, kinds, help_text=help_text, key=key)


def _plain(label: str, value: Any, kinds: set[Any], *, help_text: str, key: str) -> Any:
    """A box to tick, a number, or text."""
    if bool in kinds:
        return st.checkbox(label, value, help=help_text, key=key, persist_state=KEEP)
    if int in kinds:
        return st.number_input(
            label, value=value, step=1, help=help_text, key=key, persist_state=KEEP
        )
    if float in kinds:
        return st.number_input(
            label,
            value=value,
            format="%g",
            step=sensible_step(value),
            help=help_text,
            key=key,
            persist_state=KEEP,
        )
    text = ", ".join(map(str, value)) if isinstance(value, tuple) else value or ""
    return st.text_input(label, text, help=help_text, key=key, persist_state=KEEP)


def _optional_number(
    label: str, value: float | None, *, whole: bool, help_text: str, key: str
) -> float | None:
    """A number that can be cleared: its first value comes through the session, not as a default."""
    st.session_state.setdefault(key, value)
    if whole:
        return st.number_input(
            label,
            value=None,
            step=1,
            help=help_text,
            placeholder=tr("empty"),
            key=key,
            persist_state=KEEP,
        )
    return st.number_input(
        label,
        value=None,
        format="%g",
        step=0.1,
        help=help_text,
        placeholder=tr("empty"),
        key=key,
        persist_state=KEEP,
    )


def _choices(name: str, info: FieldInfo, dataset: str) -> list[str] | None:
    """What a field can be chosen from; None where anything may be typed."""
    factors = list(DATASETS[dataset].factors)
    if get_origin(info.annotation) is Literal:
        return list(get_args(info.annotation))
    if name == "data.dataset":
        return list(DATASETS)
    if name == "model.name":
        return list(MODELS)
    if name == "data.source" and factors:
        return factors
    if name == "transfer.targets" and factors:
        others = [
            f"{other}:{factor}"
            for other, about in DATASETS.items()
            for factor in about.factors
            if other != dataset
        ]
        return [*factors, *others]
    return None


def _label(info: FieldInfo) -> str:
    extra = info.json_schema_extra
    unit = str(extra.get("unit") or "") if isinstance(extra, dict) else ""
    title = tr(str(info.title))
    return f"{title} ({tr(unit)})" if unit and unit not in title.lower() else title


def _help(info: FieldInfo) -> str:
    text = tr(info.description or "")
    return f"{text} {tr('Can be changed while a run trains.')}" if is_live(info) else text


def sensible_step(value: float | None) -> float:
    """A step of about a tenth of the value, so that the arrows move it sensibly."""
    return float(f"{value / 10:.0e}") if value else 0.1
