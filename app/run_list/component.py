"""The table in the browser: what it is told, and what it tells."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import streamlit as st

from app.browser_code import BrowserCode, loader
from app.texts import language, tr

if TYPE_CHECKING:
    from streamlit.components.v2.types import ComponentRenderer

ECHO = "runs:echo"
WORDS = {
    "run": "Run",
    "state": "State",
    "source": "Source",
    "source_help": "Accuracy on the task that was trained",
    "transfer": "Transfer",
    "transfer_help": "Mean accuracy over the tasks that were probed",
    "tags": "Tags",
    "notes": "Notes",
    "made": "Made",
    "actions": "Actions",
    "select": "Select {run}",
    "select_all": "Select all runs of this page",
    "name": "Add a name",
    "name_of": "Name of {run}",
    "tags_hint": "tag, another tag",
    "tags_of": "Tags of {run}",
    "notes_hint": "Write a note",
    "notes_of": "Notes on {run}",
    "stop": "Stop",
    "resume": "Resume",
    "delete": "Delete",
    "restore": "Restore",
}


@dataclass(frozen=True)
class Edit:
    """A text that somebody changed in place; checked by whoever keeps it."""

    run: str
    field: str
    value: str


def run_list(
    rows: Sequence[Mapping[str, Any]],
    selected: Sequence[str],
    *,
    key: str,
    on_edit: Callable[[Edit], None],
    on_select: Callable[[list[str]], None],
    on_act: Callable[[str, str], None],
) -> None:
    """Show rows (see :func:`describe_rows`); ``on_act(action, run)`` hears a row's buttons."""

    def told(name: str) -> Mapping[str, Any]:
        return dict(st.session_state[key].get(name) or {})

    def edited() -> None:
        said = told("edited")
        if said:
            on_edit(Edit(*(str(said.get(name, "")) for name in ("id", "field", "value"))))

    def chosen() -> None:
        said = told("selected")
        if said and int(said.get("count", 0)) > st.session_state.get(ECHO, 0):  # else: told again
            st.session_state[ECHO] = int(said["count"])
            on_select([str(run) for run in said.get("ids", ())])

    def asked() -> None:
        said = told("act")
        if said:
            on_act(str(said.get("action", "")), str(said.get("id", "")))

    _component()(
        key=key,
        data=_code().attached(
            {
                "words": {name: tr(text) for name, text in WORDS.items()},
                "language": language(),
                "rows": list(rows),
                "selected": list(selected),
                "echo": st.session_state.get(ECHO, 0),
            }
        ),
        on_edited_change=edited,
        on_selected_change=chosen,
        on_act_change=asked,
        on_code_change=_code().forget,
    )


@cache
def _component() -> ComponentRenderer:
    return st.components.v2.component("vcr_lab.run_list", js=loader())


@cache
def _code() -> BrowserCode:
    return BrowserCode.built("run_list")
