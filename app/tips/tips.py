"""The glossary in the visitor's language, for our components and for Streamlit's own tooltips."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import streamlit as st

from app.texts import language, tr
from app.tips.glossary import GLOSSARY
from vcr_core.figures.theme import THEMES

HERE = Path(__file__).parent
WORDS = {"explain": "Explain: {title}", "now": "Now: {values}"}


def tips_spec() -> dict[str, Any]:
    """Terms and words for the browser, ready for JSON."""
    terms = [
        {
            "id": name,
            "name": tr(term.name),
            "text": tr(term.text),
            "forms": tr(term.forms).split("|"),
            "number": term.number,
        }
        for name, term in GLOSSARY.items()
    ]
    return {"terms": terms, "words": {name: tr(text) for name, text in WORDS.items()}}


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


@cache
def scripts() -> str:
    """The browser's part, to be joined with a component's own script."""
    return (HERE / "tips.js").read_text(encoding="utf-8")


@cache
def styles() -> str:
    """Style rules of the tooltips, and the theme's colours as properties of the component."""
    return theme_properties() + (HERE / "tips.css").read_text(encoding="utf-8")


def theme_properties() -> str:
    """The figures' colours in both themes as CSS: the page's colour scheme chooses."""
    light, dark = THEMES["light"], THEMES["dark"]
    names = [name for name, colour in light.items() if isinstance(colour, str)]
    rules = "".join(f" --{name}: light-dark({light[name]}, {dark[name]});" for name in names)
    return f":host {{{rules} }}\n"
