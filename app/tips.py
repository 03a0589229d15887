"""The glossary in the visitor's language, for Streamlit's own tooltips and the foot of the page."""

from __future__ import annotations

import re
from functools import cache

import streamlit as st

from app.texts import language, tr
from vcr_core.live_view.glossary import GLOSSARY


def known_terms(text: str) -> list[str]:
    """The terms that stand in a text, in the order of their first appearance."""
    return _known_terms(text, language())


def explained(*texts: str) -> str | None:
    """All terms of some texts as Markdown, for the ``help`` of a Streamlit element."""
    names = dict.fromkeys(name for text in texts for name in known_terms(text))
    terms = [GLOSSARY[name] for name in names]
    return "\n\n".join(f"**{tr(term.name)}** – {tr(term.text)}" for term in terms) or None


def said_terms(text: str) -> str:
    """The terms of a text with their explanations, as plain text; "" where there are none."""
    terms = [GLOSSARY[name] for name in known_terms(text)]
    return " ".join(f"{tr(term.name)}: {tr(term.text)}" for term in terms)


def all_terms() -> None:
    """The whole glossary at the foot of every page; sent when it is asked for."""
    icon = ":material/menu_book:"
    folded = st.expander(tr("All terms"), icon=icon, key="terms", on_change="rerun")
    if folded.open:
        terms = (f"**{tr(term.name)}** – {tr(term.text)}" for term in GLOSSARY.values())
        folded.markdown("\n\n".join(terms))


@cache
def _known_terms(text: str, code: str) -> list[str]:
    forms = _forms(code)
    found = re.finditer(_pattern(code), text)
    return list(dict.fromkeys(_name(match.group().lower(), forms) for match in found))


def _name(word: str, forms: dict[str, str]) -> str:
    return next(forms[form] for form in (word, word[:-1], word[:-2]) if form in forms)


@cache
def _forms(code: str) -> dict[str, str]:
    """Form → name of the term; keyed by language, as :func:`tr` answers in the visitor's."""
    return {
        form.lower(): name for name, term in GLOSSARY.items() for form in tr(term.forms).split("|")
    }


@cache
def _pattern(code: str) -> re.Pattern[str]:
    """Finds any form, longer ones first; words in Latin letters only whole, with or without -s."""
    longest_first = sorted(_forms(code), key=len, reverse=True)
    parts = [
        rf"(?<!\w){re.escape(form)}(?:e?s)?(?!\w)" if form.isascii() else re.escape(form)
        for form in longest_first
    ]
    return re.compile("|".join(parts), re.IGNORECASE)
