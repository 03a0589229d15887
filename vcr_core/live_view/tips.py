"""The glossary as the browser gets it: terms to be marked in texts, and what they mean."""

from __future__ import annotations

from typing import Any

from vcr_core.figures.theme import THEMES
from vcr_core.live_view.glossary import GLOSSARY
from vcr_core.live_view.language import ENGLISH, Language

WORDS = {"explain": "Explain: {title}", "now": "Now: {values}"}


def tips_spec(language: Language = ENGLISH) -> dict[str, Any]:
    """Terms and words for the browser, ready for JSON."""
    say = language.say
    terms = [
        {
            "id": name,
            "name": say(term.name),
            "text": say(term.text),
            "forms": say(term.forms).split("|"),
            "number": term.number,
        }
        for name, term in GLOSSARY.items()
    ]
    return {"terms": terms, "words": {name: say(text) for name, text in WORDS.items()}}


def theme_colours() -> dict[str, str]:
    """The figures' colours by their names, in CSS: the page's colour scheme chooses."""
    light, dark = THEMES["light"], THEMES["dark"]
    names = [name for name, colour in light.items() if isinstance(colour, str)]
    return {name: f"light-dark({light[name]}, {dark[name]})" for name in names}
