"""Small tables of text: plain HTML, which screen readers, phones and printers know best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from zlib import crc32

import streamlit as st

from app.tips import said_terms
from vcr_core.comparison import html_table


def table(
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    caption: str,
    explain: Mapping[str, str] | None = None,
) -> None:
    """A table whose first column names its rows; everything in it is shown as text.

    Its headings are explained where they are pressed: with what ``explain`` says of them, else
    with the terms of the glossary that stand in them.
    """

    def heading(text: str) -> str:
        said = (explain or {}).get(text) or said_terms(text)
        return _explained(text, said, f"{caption} {text}") if said else escape(text)

    st.html(
        f'<div class="vcr-table" role="region" tabindex="0" aria-label="{escape(caption)}">'
        f"{html_table(head, rows, heading)}</div>"
    )


def _explained(text: str, said: str, place: str) -> str:
    """A heading as a button: hovering says what it means, pressing shows it."""
    tip, shown = f"tip-{crc32(place.encode()):08x}", escape(said)
    return (
        f'<button type="button" class="vcr-term" popovertarget="{tip}" aria-describedby="{tip}" '
        f'title="{shown}">{escape(text)}</button>'
        f'<span class="vcr-tip" role="tooltip" id="{tip}" popover>{shown}</span>'
    )
