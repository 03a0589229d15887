"""Every sentence of the page in the visitor's language.

English sentences stand in the code where they are used; ``japanese.json`` maps each to Japanese.
A test holds that catalogue to be complete.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import streamlit as st

LANGUAGES: Mapping[str, str] = {"en": "English", "ja": "日本語"}
PARAMETER = "lang"


def language() -> str:
    """What the link says (``?lang=ja``), else what the browser prefers, else English."""
    asked = str(st.query_params.get(PARAMETER) or st.context.locale or "")
    code = asked.partition("-")[0].lower()
    return code if code in LANGUAGES else "en"


def tr(english: str, **values: Any) -> str:
    """The sentence in the visitor's language, its places ``{name}`` filled in."""
    text = catalogue(language()).get(english, english)
    return text.format(**values) if values else text


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
