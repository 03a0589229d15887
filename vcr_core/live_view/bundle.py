"""The live view's code for a browser: one ES module, style rules and all.

It exports ``show({data, element, tell, …})`` (``browser/views.js`` says what an adapter gives it).
``npm run build`` makes it from the modules in ``browser/``.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

BUNDLE = Path(__file__).with_name("built") / "live_view.js"


@cache
def bundle() -> str:
    """The module's text."""
    return BUNDLE.read_text(encoding="utf-8")
