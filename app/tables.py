"""Small tables of text: plain HTML, which screen readers, phones and printers know best."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import streamlit as st

from vcr_core.statistics import Difference, Estimate

MISSING = "–"


def table(head: Sequence[str], rows: Sequence[Sequence[str]], *, caption: str) -> None:
    """A table whose first column names its rows; everything in it is shown as text."""
    columns = "".join(f'<th scope="col">{escape(text)}</th>' for text in head)
    lines = "".join(
        f'<tr><th scope="row">{escape(row[0])}</th>'
        + "".join(f"<td>{escape(text)}</td>" for text in row[1:])
        + "</tr>"
        for row in rows
    )
    st.html(
        f'<div class="vcr-table" role="region" tabindex="0" aria-label="{escape(caption)}">'
        f"<table><thead><tr>{columns}</tr></thead><tbody>{lines}</tbody></table></div>"
    )


def estimate_text(found: Estimate | None, *, percent: bool) -> str:
    """``97.8 ± 0.3 %``: mean ± standard error."""
    if found is None:
        return MISSING
    scale, unit = (100, " %") if percent else (1, "")
    error = found.standard_error
    spread = "" if error is None else f" ± {scale * error:.1f}"
    return f"{scale * found.mean:.1f}{spread}{unit}"


def difference_text(found: Difference, *, percent: bool) -> str:
    """``+8.5 (+4.2 to +12.7)``: the mean difference and its 95 % interval."""
    scale = 100 if percent else 1
    text = signed(scale * found.mean)
    if found.low is None or found.high is None:
        return text
    return f"{text} ({signed(scale * found.low)} … {signed(scale * found.high)})"


def signed(value: float) -> str:
    """A number with its sign and one decimal."""
    text = f"{abs(value):.1f}"
    return text if float(text) == 0 else f"{'−' if value < 0 else '+'}{text}"
