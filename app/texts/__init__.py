"""Every sentence of the page in the visitor's language.

English sentences stand in the code where they are used; ``japanese.json`` maps each to Japanese.
A test holds that catalogue to be complete.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import streamlit as st

from app.texts.labels import composed
from vcr_core.live_view.language import Language

LANGUAGES: Mapping[str, str] = {"en": "English", "ja": "日本語"}
PARAMETER = "lang"


def language() -> str:
    """What the link says (``?lang=ja``), else what the browser prefers, else English."""
    asked = str(st.query_params.get(PARAMETER) or st.context.locale or "")
    code = asked.partition("-")[0].lower()
    return code if code in LANGUAGES else "en"


def say_language() -> None:
    """Tell screen readers and hyphenation which language the page is in; keep it on other pages."""
    chosen = st.query_params.get(PARAMETER)
    if chosen:
        st.session_state[PARAMETER] = chosen
    elif PARAMETER in st.session_state:
        st.query_params[PARAMETER] = st.session_state[PARAMETER]
    script = f"<script>document.documentElement.lang = '{language()}'</script>"
    with st.container(key="language"):
        st.html(script, unsafe_allow_javascript=True)


def tr(english: str, **values: Any) -> str:
    """The sentence in the visitor's language, its places ``{name}`` filled in."""
    return translator()(english, **values)


def visitors_language() -> Language:
    """The visitor's language for what the core shows."""
    return Language(language(), translator())


def translator() -> Callable[..., str]:
    """:func:`tr` for hundreds of sentences: what the visitor's language is, is asked once."""
    known = catalogue(language())

    def say(english: str, **values: Any) -> str:
        text = known.get(english) if known else english
        text = composed(english, say) if text is None else text
        return text.format(**values) if values else text

    return say


def tr_class(factor: str, name: str) -> str:
    """A class of a task: ``top`` is one word of ``y-position`` and another of ``coarse``."""
    return catalogue(language()).get(f"{factor}/{name}") or tr(name)


def plain(text: str) -> str:
    """Text in which Markdown sees nothing but text."""
    return "".join(f"\\{letter}" if letter in "\\`*_{}[]<>#|~$:!" else letter for letter in text)


@cache
def catalogue(code: str) -> Mapping[str, str]:
    """English sentence → sentence in another language; empty for English."""
    if code == "en":
        return {}
    text = Path(__file__).with_name("japanese.json").read_text(encoding="utf-8")
    return dict(json.loads(text))
