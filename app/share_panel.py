"""What can be taken elsewhere: this page as a link, this run as a command line and as Python."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlencode, urlsplit, urlunsplit

import streamlit as st

from app import links
from app.state import RUN_PARAMETER, Watched, lab_store
from app.texts import plain, tr
from app.texts.errors import told
from app.words import TWINS
from vcr_core.errors import UnknownRunError
from vcr_core.store import Run
from vcr_core.training.script import command_line_of, script_of

OPEN = "share:open"


def share_panel(watched: Watched) -> None:
    """A popover; its body is made when it is opened."""
    panel = st.popover(tr("Link and code"), icon=":material/share:", key=OPEN, on_change="rerun")
    if not panel.open:
        return
    with panel:
        tabs = st.tabs([tr("Link"), tr("Command line"), tr("Python")])
        with tabs[0]:
            link_maker()
        with tabs[1]:
            _command_lines(watched)
        with tabs[2]:
            _script(watched.main)


def link_maker() -> None:
    """The link to this very page, with parts left out or locked for a class."""
    st.caption(tr("Whoever opens this link sees this page: settings, run, layer, step and view."))
    place = st.container()
    hidden = _parts("hide", tr("Leave out"), links.PARTS)
    lockable = {part: links.PARTS[part] for part in links.LOCKABLE if part not in hidden}
    locked = _parts("lock", tr("Show, but let nobody change"), lockable)
    with_run = RUN_PARAMETER in st.query_params and st.checkbox(
        tr("With the run that is shown"), value=True, key="share:run"
    )
    query = {
        name: value
        for name, value in st.query_params.items()
        if name not in {"hide", "lock"} and (with_run or name not in links.OF_A_RUN)
    }
    for name, parts in (("hide", hidden), ("lock", locked)):
        if parts:
            query[name] = ",".join(parts)
    place.code(address(query), language=None, wrap_lines=True)


def address(query: Mapping[str, str]) -> str:
    """This page's address with another query."""
    scheme, host, path, *_ = urlsplit(st.context.url or "")
    return urlunsplit((scheme, host, path or "/", urlencode(query, safe=",:"), ""))


def _parts(name: str, label: str, parts: Mapping[str, str]) -> list[str]:
    linked = [part for part in parts if part in links.listed(name)]
    return st.multiselect(
        label,
        list(parts),
        linked,
        format_func=lambda part: tr(parts[part]),
        placeholder=tr("nothing"),
        key=f"share:{name}",
    )


def _command_lines(watched: Watched) -> None:
    st.caption(tr("The same from a terminal, knob moves included:"))
    for run in reversed(watched.runs):
        try:
            line = command_line_of(lab_store(), run.id)
        except UnknownRunError as error:  # the run that a fork goes on from is gone
            st.error(plain(told(error)))
            continue
        if watched.is_pair:
            st.markdown(f"**{tr(TWINS[run.role.value])}**")
        st.code(line, language="bash", wrap_lines=True)


def _script(run: Run) -> None:
    st.caption(tr("The same in Python, knob moves included, with the numbers of this very run:"))
    try:
        script = script_of(lab_store(), run.id, whole=False)
    except UnknownRunError as error:  # the run that a fork goes on from is gone
        st.error(plain(told(error)))
        return
    st.code(script, language="python", height=360)
