"""What went wrong, in the visitor's language.

Errors are written in English where they are raised, with their numbers in place. Here their
sentence is found again: ``errors_japanese.json`` maps templates with places ``{1}``, ``{2}``, … to
Japanese. An error that no template fits is shown as it is.
"""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path

from app.texts import language

FIELD = re.compile(r"([a-z_]+(?:\.[a-z_0-9]+)*): (.+)", re.DOTALL)


def told(problem: Exception | str) -> str:
    """The error's message in the visitor's language."""
    message = str(problem)
    if language() == "en":
        return message
    found = translated(message)
    if found is None and (parts := FIELD.fullmatch(message)):
        found = translated(parts[2])
        return f"{parts[1]}: {found or parts[2]}"
    return found or message


def translated(message: str) -> str | None:
    """The message in Japanese, or None where no template fits it."""
    for pattern, template in _patterns():
        if match := pattern.fullmatch(message):
            return template.format("", *match.groups())
    return None


@cache
def templates() -> dict[str, str]:
    """English template → Japanese template."""
    text = Path(__file__).with_name("errors_japanese.json").read_text(encoding="utf-8")
    return dict(json.loads(text))


@cache
def _patterns() -> list[tuple[re.Pattern[str], str]]:
    """What says most of itself first: ``{1}, got {2}`` fits nearly everything."""
    longest_first = sorted(templates(), key=lambda text: -len(re.sub(r"\{\d\}", "", text)))
    return [(_pattern(english), templates()[english]) for english in longest_first]


def _pattern(template: str) -> re.Pattern[str]:
    parts = re.split(r"\{\d\}", template)
    return re.compile("(.*?)".join(map(re.escape, parts)), re.DOTALL)
