"""A component's code for the browser, sent once instead of with every update.

Streamlit puts a component's whole script into each of its updates: for the live view that is
more than its numbers. So a component is registered with a small loader alone (``streamlit.js``);
what it loads comes with the first message of a session, and again where the browser says that it
does not have it.

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
HERE = Path(__file__).parent


@dataclass(frozen=True)
class BrowserCode:
    """One ES module that exports ``show``, made by ``npm run build``."""

    js: str

    @classmethod
    def built(cls, name: str) -> BrowserCode:
        """The code of one of the app's own components."""
        return cls(_built(name))

    @cached_property
    def id(self) -> str:
        """Differs where the code does: a browser that has an older one loads it anew."""
        return hashlib.sha256(f"{self.js}\0{page_colours()}".encode()).hexdigest()[:12]

    def attached(self, message: Mapping[str, Any]) -> bytes:
        """A message to the component, with the code where this session has not been sent it."""
        sent = st.session_state.setdefault(SENT, set())
        code = {"id": self.id}
        if self.id not in sent:
            sent.add(self.id)
            code |= {"js": self.js, "css": page_colours()}
        text = json.dumps({**message, "code": code}, ensure_ascii=False, separators=(",", ":"))
        return text.encode()

    def forget(self) -> None:
        """Send the code with the next message: this session's browser does not have it."""
        st.session_state.get(SENT, set()).discard(self.id)


@cache
def loader() -> str:
    """The script that every component is registered with."""
    return _built("streamlit")


@cache
def page_colours() -> str:
    """Streamlit's colours and letters by the names that components know them by."""
    return (HERE / "browser" / "streamlit.css").read_text(encoding="utf-8")


def _built(name: str) -> str:
    return (HERE / "built" / f"{name}.js").read_text(encoding="utf-8")
