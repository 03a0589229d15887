"""A component's script and styles, sent to a browser once instead of with every update.

Streamlit puts a component's whole script into each of its updates: for the live view that is
more than its numbers. So a component is registered with a small loader alone (``loader.js``); what
it loads comes with the first message of a session, and again where the browser says that it does
not have it.

Messages travel as bytes: of anything else Streamlit asks whether it is a data frame, for which it
imports pandas (half a second of the first page), and works out its identity, with every update.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import streamlit as st

SENT = "browser code sent"


@dataclass(frozen=True)
class BrowserCode:
    """One ES module whose default export is a component, and its style rules."""

    js: str
    css: str

    @classmethod
    def read(cls, folder: Path, scripts: tuple[str, ...], styles: tuple[str, ...]) -> BrowserCode:
        """The files of a folder, joined in this order."""
        parts = (
            "\n".join((folder / name).read_text(encoding="utf-8") for name in names)
            for names in (scripts, styles)
        )
        return cls(*parts)

    @cached_property
    def id(self) -> str:
        """Differs where the code does: a browser that has an older one loads it anew."""
        return hashlib.sha256(f"{self.js}\0{self.css}".encode()).hexdigest()[:12]

    def attached(self, message: Mapping[str, Any]) -> bytes:
        """A message to the component, with the code where this session has not been sent it."""
        sent = st.session_state.setdefault(SENT, set())
        code = {"id": self.id}
        if self.id not in sent:
            sent.add(self.id)
            code |= {"js": self.js, "css": self.css}
        text = json.dumps({**message, "code": code}, ensure_ascii=False, separators=(",", ":"))
        return text.encode()

    def forget(self) -> None:
        """Send the code with the next message: this session's browser does not have it."""
        st.session_state.get(SENT, set()).discard(self.id)


@cache
def loader() -> str:
    """The script that every component is registered with."""
    return Path(__file__).with_name("loader.js").read_text(encoding="utf-8")
