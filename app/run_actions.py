"""What is done with runs on their page: edited, selected, stopped, resumed, deleted, opened."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from app.exports import export_menu
from app.run_fork import fork_menu, forked
from app.run_list import Edit
from app.state import RUN_PARAMETER, lab_store
from app.texts import plain, tr
from app.texts.errors import told
from vcr_core.errors import RunBusyError, UnknownRunError, VcrLabError
from vcr_core.execution import ensure_dispatcher
from vcr_core.execution.control import resume_run, stop_run
from vcr_core.store import Run, RunState, RunSummary

CHOSEN = "runs:chosen"
SELECTED = "selected"
GOING = "runs:going"
NOTICE = "runs:notice"
MOST_COMPARED = 12
MOST_SELECTED = 100
LONGEST = {"name": 120, "notes": 2000}
MOST_TAGS, LONGEST_TAG = 20, 40


@dataclass(frozen=True)
class Notice:
    """What just happened, said above the list; ``undo`` are deleted runs that can come back."""

    text: str
    is_problem: bool = False
    undo: tuple[str, ...] = ()


def selected_runs() -> list[str]:
    """The ids that are selected: at first those that the link names.

    Later the link only follows: a browser that has not heard of its newest address yet asks for a
    refresh with the one before, and would take a selection back.
    """
    if CHOSEN not in st.session_state:
        named = st.query_params.get(SELECTED, "").split(",")
        chosen = [run for run in dict.fromkeys(named) if run.isalnum()]
        st.session_state[CHOSEN] = chosen[:MOST_SELECTED]
    return list(st.session_state[CHOSEN])


def note_selection(runs: Sequence[str]) -> None:
    """Keep what is selected, in the link as well."""
    st.session_state[CHOSEN] = list(runs[:MOST_SELECTED])
    if runs:
        st.query_params[SELECTED] = ",".join(runs[:MOST_SELECTED])
    else:
        st.query_params.pop(SELECTED, None)


def clear(_: Iterable[str]) -> None:
    """Select nothing."""
    note_selection([])


def edit(change: Edit) -> None:
    """Keep a name, tags or notes that somebody typed."""
    try:
        if change.field == "tags":
            lab_store().update_run(change.run, tags=parse_tags(change.value))
        elif change.field in LONGEST:
            text = change.value.strip()[: LONGEST[change.field]]
            changes: dict[str, Any] = {change.field: text}
            lab_store().update_run(change.run, **changes)
    except VcrLabError as error:
        _notify(told(error), is_problem=True)


def parse_tags(text: str) -> list[str]:
    """Tags between commas, each once."""
    tags = (" ".join(part.split())[:LONGEST_TAG] for part in text.replace("\x00", "").split(","))
    return list(dict.fromkeys(tag for tag in tags if tag))[:MOST_TAGS]


def act(action: str, run: str) -> None:
    """A button in a row was pressed."""
    if action == "open":
        st.session_state[GOING] = ("../pages/lab.py", {RUN_PARAMETER: run})
    elif action in ACTIONS:
        ACTIONS[action]([run])


def go_where_asked() -> None:
    """Go where a click has asked to go; callbacks cannot."""
    child = forked()
    if child is not None:
        _go_to("../pages/lab.py", {RUN_PARAMETER: child})
    going = st.session_state.pop(GOING, None)
    if going is not None:
        _go_to(*going)


def _go_to(page: str, query: Mapping[str, str]) -> None:
    """Go to a page. The list's refreshes end here: one that the browser asks for while the next
    page is drawn would be answered after it, name this page, and leave the next one blank."""
    context = get_script_run_ctx()
    if context is not None:
        context.fragment_storage.clear()
    st.switch_page(page, query_params=dict(query))


def stop(runs: Iterable[str]) -> None:
    """End runs at their next step; what they learned is kept."""
    _each(runs, lambda run: stop_run(lab_store(), run), tr("Stopping"))


def resume(runs: Iterable[str]) -> None:
    """Let paused and interrupted runs go on."""
    _each(runs, lambda run: resume_run(lab_store(), run), tr("Going on"))
    ensure_dispatcher(lab_store())


def restore(runs: Iterable[str]) -> None:
    """Bring deleted runs back."""
    _each(runs, lab_store().restore_run, tr("Restored"))


def delete(runs: Iterable[str]) -> None:
    """Delete the runs that no worker has; says which are left, and offers to undo."""
    deleted, problems = [], []
    for run in runs:
        try:
            lab_store().delete_run(run)
        except (RunBusyError, UnknownRunError) as error:
            problems.append(told(error))
        else:
            deleted.append(run)
    note_selection([run for run in selected_runs() if run not in deleted])
    text = tr("Deleted: {count}.", count=len(deleted)) if deleted else ""
    _notify(" ".join([text, *problems]).strip(), is_problem=bool(problems), undo=deleted)


ACTIONS: dict[str, Callable[[Iterable[str]], None]] = {
    "stop": stop,
    "resume": resume,
    "delete": delete,
    "restore": restore,
}


def _each(runs: Iterable[str], ask: Callable[[str], object], done: str) -> None:
    """Ask the same of several runs; what cannot be is said."""
    count, problems = 0, []
    for run in runs:
        try:
            ask(run)
        except VcrLabError as error:
            problems.append(told(error))
        else:
            count += 1
    _notify(" ".join([f"{done}: {count}.", *problems]), is_problem=bool(problems))


def _notify(text: str, *, is_problem: bool = False, undo: Sequence[str] = ()) -> None:
    st.session_state[NOTICE] = Notice(text, is_problem, tuple(undo))


def show_notice() -> None:
    """What the last action did, until the next one; a deletion can be undone from here."""
    notice: Notice | None = st.session_state.get(NOTICE)
    if notice is None:
        return
    with st.container(horizontal=True, vertical_alignment="center", key="notice"):
        if notice.is_problem:
            st.warning(plain(notice.text), icon=":material/warning:")
        else:
            st.success(plain(notice.text), icon=":material/check:")
        if notice.undo:
            st.button(
                tr("Undo"),
                icon=":material/undo:",
                key="runs:undo",
                on_click=restore,
                args=(notice.undo,),
            )
        st.button(
            tr("Dismiss"),
            icon=":material/close:",
            key="runs:dismiss",
            type="tertiary",
            on_click=lambda: st.session_state.pop(NOTICE, None),
        )


def selection_bar() -> None:
    """What can be done with the selected runs; always there, so that nothing jumps."""
    note_selection(selected_runs())  # the link of a page that one comes back to lacks it
    runs = _known(selected_runs())
    ids = [run.id for run in runs]
    with st.container(horizontal=True, vertical_alignment="center", key="selection"):
        st.markdown(tr("**{count}** selected", count=len(runs)), width="content")
        _go(
            tr("Compare these"),
            ":material/compare_arrows:",
            "compare",
            ("../pages/compare.py", {"runs": ",".join(ids)}),
            enabled=2 <= len(runs) <= MOST_COMPARED,
            help=tr("Curves, differences and matrices side by side, of 2 to 12 runs."),
        )
        _go(
            tr("Open in the lab"),
            ":material/science:",
            "lab",
            ("../pages/lab.py", {RUN_PARAMETER: ids[-1] if ids else ""}),
            enabled=_is_one(runs),
            help=tr("One run, or the two of a pair."),
        )
        _bulk(tr("Stop"), ":material/stop:", stop, [r.id for r in runs if not r.state.is_over])
        _bulk(tr("Resume"), ":material/play_arrow:", resume, _resumable(runs))
        _bulk(tr("Delete"), ":material/delete:", delete, ids)
        fork_menu(runs)
        export_menu(runs, key="runs:export")
        _bulk(tr("Clear"), ":material/deselect:", clear, ids)


def _known(ids: Sequence[str]) -> list[Run]:
    found = []
    for run in ids:
        try:
            found.append(lab_store().run(run))
        except UnknownRunError:
            continue
    return [run for run in found if run.deleted_at is None]


def _is_one(runs: Sequence[RunSummary]) -> bool:
    pairs = {run.pair_id for run in runs}
    return len(runs) == 1 or (len(runs) == 2 and len(pairs) == 1 and None not in pairs)


def _resumable(runs: Sequence[RunSummary]) -> list[str]:
    states = {RunState.PAUSED, RunState.INTERRUPTED}
    return [run.id for run in runs if run.state in states]


def _go(
    label: str,
    icon: str,
    key: str,
    place: tuple[str, dict[str, str]],
    *,
    enabled: bool,
    help: str,
) -> None:
    def go() -> None:
        st.session_state[GOING] = place

    st.button(
        label,
        icon=icon,
        key=f"runs:{key}",
        type="primary" if key == "compare" else "secondary",
        disabled=not enabled,
        help=help,
        on_click=go,
    )


def _bulk(label: str, icon: str, do: Callable[[list[str]], None], runs: list[str]) -> None:
    key = f"runs:all:{do.__name__}"
    st.button(label, icon=icon, key=key, disabled=not runs, on_click=do, args=(runs,))
