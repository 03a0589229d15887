"""Numbers as a person reads them, and verdicts as sentences."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vcr_core.verdicts.layer import Verdict


def sentence(verdict: Verdict, translate: Callable[[str], str] = str) -> str:
    """The verdict in words with its numbers; ``translate`` turns the English template into another.

    ``Verdict("dead", "bad", {"dead": "41", "features": "64"})`` reads
    "41 of 64 dimensions are dead".
    """
    return translate(verdict.template).format(**verdict.values)


def grouped(count: float) -> str:
    """A whole number with its thousands set apart: ``2,048``."""
    return f"{count:,.0f}"


def share(part: float) -> str:
    """A share of 1 in per cent, with as many digits as it needs: ``0.2 %``, ``47 %``."""
    percent = 100 * part
    return f"{percent:.0f} %" if percent >= 10 else f"{percent:.1g} %"
