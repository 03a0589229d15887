"""The page with every run in the store: find, edit, steer, delete and bring back, compare."""

from __future__ import annotations

import math

import streamlit as st

from app.run_actions import (
    act,
    edit,
    go_where_asked,
    note_selection,
    selected_runs,
    selection_bar,
    show_notice,
)
from app.run_filters import Listing, filters, page_number, turn_to
from app.run_list import describe_rows, run_list
from app.state import lab_store
from app.texts import tr
from app.texts.errors import told
from vcr_core.errors import StoreError
from vcr_core.execution import places
from vcr_core.store import RunState, Store

RUNS_ON_A_PAGE = 25
TICK_SECONDS = 2.0
LIST = "runs:list"


def runs_page() -> None:
    """Filters above, then the list, which refreshes itself."""
    try:
        facets = lab_store().run_facets()
        studies = {study.id: study.name for study in lab_store().studies()}
    except StoreError as error:
        st.error(told(error), icon=":material/error:")
        st.button(tr("Try again"), icon=":material/refresh:")
        return
    if not facets.states and not facets.deleted:
        _nothing_yet()
        return
    listing = filters(facets, studies)
    st.fragment(_list, run_every=TICK_SECONDS)(listing, studies)


def _list(listing: Listing, studies: dict[str, str]) -> None:
    """The part that is refreshed: what is selected, the runs of one page, the way to others."""
    go_where_asked()
    try:
        show_notice()
        selection_bar()
        _runs(lab_store(), listing, studies)
    except StoreError as error:
        st.error(told(error), icon=":material/error:")


def _runs(store: Store, listing: Listing, studies: dict[str, str]) -> None:
    page = page_number()
    found = store.find_runs(
        listing.wanted,
        order=listing.order,
        offset=(page - 1) * RUNS_ON_A_PAGE,
        limit=RUNS_ON_A_PAGE,
    )
    pages = max(1, math.ceil(found.total / RUNS_ON_A_PAGE))
    if page > pages:
        turn_to(pages)
        st.rerun(scope="fragment")
    if not found.total:
        st.info(_why_empty(listing), icon=":material/search_off:")
        return
    waits = any(run.state is RunState.QUEUED for run in found.runs)
    run_list(
        describe_rows(found.runs, places(store) if waits else {}, studies),
        selected_runs(),
        key=LIST,
        on_edit=edit,
        on_select=note_selection,
        on_act=act,
    )
    _pager(page, pages, found.total)


def _pager(page: int, pages: int, total: int) -> None:
    first = (page - 1) * RUNS_ON_A_PAGE + 1
    last = min(page * RUNS_ON_A_PAGE, total)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(tr("{first} to {last} of {total} runs", first=first, last=last, total=total))
        if pages > 1:
            st.button(
                tr("Previous"),
                icon=":material/chevron_left:",
                key="runs:previous",
                disabled=page <= 1,
                on_click=turn_to,
                args=(page - 1,),
            )
            st.button(
                tr("Next"),
                icon=":material/chevron_right:",
                icon_position="right",
                key="runs:next",
                disabled=page >= pages,
                on_click=turn_to,
                args=(page + 1,),
            )


def _why_empty(listing: Listing) -> str:
    if listing.wanted.deleted:
        return tr("No deleted run matches. Take **deleted** out of the filter to see the others.")
    if listing.is_narrowed:
        return tr("No run matches. Search for something else, or take a filter away.")
    return tr("All runs are deleted. Choose the state **deleted** in the filter to restore some.")


def _nothing_yet() -> None:
    st.info(
        tr("No runs yet. Press **Start pair** in the Lab: half a minute later two are here."),
        icon=":material/science:",
    )
    st.page_link("../pages/lab.py", label=tr("To the lab"), icon=":material/arrow_forward:")
