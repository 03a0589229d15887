"""In which language a viewer is told what is shown: whoever shows the live view says it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

Say = Callable[..., str]


def in_english(english: str, **values: Any) -> str:
    """The sentence as it is, its places ``{name}`` filled in."""
    return english.format(**values) if values else english


@dataclass(frozen=True)
class Language:
    """A language by its code (``en``), and ``say(english, **values)`` for a sentence in it."""

    code: str = "en"
    say: Say = field(default=in_english, compare=False)


ENGLISH = Language()
