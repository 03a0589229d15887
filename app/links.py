"""What the link says about the view: layer, matrix, order, step; what is hidden and locked.

``?hide=settings,knobs`` leaves parts of the page out and ``?lock=knobs`` shows them without letting
anyone turn them, so that a teacher can hand out a page with just what the lesson needs. Whatever a
link says is checked: a value that is none of the known ones counts as not given.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

PARTS = ("start", "settings", "knobs", "transport", "network", "layer", "training", "summary")


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


def is_hidden(part: str) -> bool:
    """Whether the link leaves a part of the page out."""
    return part in _listed("hide")


def is_locked(part: str) -> bool:
    """Whether the link shows a part of the page but lets nobody change it."""
    return part in _listed("lock")


def _listed(name: str) -> set[str]:
    parts = {part.strip() for part in st.query_params.get(name, "").split(",")}
    return parts & set(PARTS)
