"""What the link says about the view: layer, matrix, order, step; what is hidden and locked.

``?hide=settings,knobs`` leaves parts of the page out and ``?lock=knobs`` shows them without letting
anyone turn them, so that a teacher can hand out a page with just what the lesson needs. Whatever a
link says is checked: a value that is none of the known ones counts as not given.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

import streamlit as st

from app.texts import LANGUAGES, PARAMETER
from app.texts.errors import told
from vcr_core.config import RunConfig, as_text, differences, fields, override
from vcr_core.errors import ConfigError

PARTS = frozenset(
    [
        "code",
        "data",
        "start",
        "settings",
        "knobs",
        "transport",
        "network",
        "layer",
        "training",
        "summary",
    ]
)


def choice(name: str, options: Sequence[str], default: str) -> str:
    """One of the options, as the link says, else the default."""
    asked = str(st.query_params.get(name, default))
    return asked if asked in options else default


def choose(name: str, value: str, default: str = "") -> None:
    """Keep a choice in the link; what is as it would be anyway is left out."""
    if value == default:
        st.query_params.pop(name, None)
    else:
        st.query_params[name] = value


def step() -> int | None:
    """The step of the past that the link shows; None for the newest."""
    text = st.query_params.get("step", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


def keep_step(value: Any) -> None:
    """Keep the step shown in the link; None follows the newest."""
    choose("step", str(value) if isinstance(value, int) else "")


def linked_config(base: RunConfig) -> tuple[RunConfig, list[str]]:
    """The settings that the link asks for on top of ``base``, and what it asks for in vain."""
    config, refused = base, []
    for name in fields():
        if name not in st.query_params:
            continue
        try:
            config = override(config, {name: st.query_params[name]})
        except ConfigError as error:
            refused.append(f"{name}: {told(error.message)}")
    return config, refused


def keep_config(config: RunConfig, base: RunConfig) -> None:
    """Keep in the link what differs from the preset, and nothing else."""
    changed = {name: as_text(value) for name, value in differences(config, base).items()}
    for name in fields():
        if name in changed:
            st.query_params[name] = changed[name]
        elif name in st.query_params:
            del st.query_params[name]


def is_hidden(part: str) -> bool:
    """Whether the link leaves a part of the page out."""
    return part in _listed("hide")


def is_locked(part: str) -> bool:
    """Whether the link shows a part of the page but lets nobody change it."""
    return part in _listed("lock")


def _listed(name: str) -> set[str]:
    parts = {part.strip() for part in st.query_params.get(name, "").split(",")}
    return parts & PARTS


def show_languages() -> None:
    """Links to this very page in each language."""
    kept = {name: value for name, value in st.query_params.items() if name != PARAMETER}
    pages = [
        f"[{name}](?{urlencode({**kept, PARAMETER: code})})" for code, name in LANGUAGES.items()
    ]
    st.caption(" · ".join(pages))
