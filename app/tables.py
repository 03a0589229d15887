"""Small tables of text: plain HTML, which screen readers, phones and printers know best."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import streamlit as st

from vcr_core.comparison import html_table


def table(head: Sequence[str], rows: Sequence[Sequence[str]], *, caption: str) -> None:
    """A table whose first column names its rows; everything in it is shown as text."""
    st.html(
        f'<div class="vcr-table" role="region" tabindex="0" aria-label="{escape(caption)}">'
        f"{html_table(head, rows)}</div>"
    )
