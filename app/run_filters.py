"""Which runs the list shows and in which order; all of it lives in the link."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import streamlit as st

from app import links
from app.run_list.rows import SHORT_STATES
from app.texts import tr
from vcr_core.presets import PRESETS
from vcr_core.store import RunFacets, RunFilter, RunOrder, RunState

DELETED = "deleted"
PAGE = "page"
LISTED = "runs:listed"
MOST_DIGITS = 6
ORDERS = {
    RunOrder.NEWEST: "Newest first",
    RunOrder.OLDEST: "Oldest first",
    RunOrder.TRANSFER: "Best transfer first",
    RunOrder.SOURCE: "Best source accuracy first",
    RunOrder.LONGEST: "Longest training first",
    RunOrder.NAME: "By name",
    RunOrder.STATE: "By state",
}


@dataclass(frozen=True)
class Listing:
    """What is listed: which runs, in which order."""

    wanted: RunFilter
    order: RunOrder

    @property
    def is_narrowed(self) -> bool:
        """Whether some runs are left out."""
        return self.wanted != RunFilter()


def filters(facets: RunFacets, studies: Mapping[str, str]) -> Listing:
    """Search field, order and the filters that this store has a use for."""
    offered = _offered(facets)
    links.say_problems({"sort": [order.value for order in ORDERS], **offered})
    search, order, more = st.columns([5, 3, 2], vertical_alignment="bottom")
    with search:
        text = st.text_input(
            tr("Search"),
            key="q",
            bind="query-params",
            icon=":material/search:",
            placeholder=tr("name, note, tag, id, experiment"),
        )
    with order:
        chosen = _order()
    with more, st.popover(tr("Filter"), icon=":material/filter_list:", width="stretch"):
        narrowed = _filters(offered, studies)
    states = narrowed["state"]
    wanted = RunFilter(
        text=text or "",
        states=tuple(RunState(state) for state in states if state != DELETED),
        presets=narrowed["experiment"],
        tags=narrowed["tag"],
        owners=narrowed["owner"],
        studies=narrowed["study"],
        deleted=DELETED in states,
    )
    listing = Listing(wanted, chosen)
    if st.session_state.setdefault(LISTED, listing) != listing:  # something else: from its top
        st.session_state[LISTED] = listing
        turn_to(1)
    return listing


def _offered(facets: RunFacets) -> dict[str, Sequence[str]]:
    """What the runs of this store can be narrowed to, by filter."""
    states = [state.value for state in RunState if facets.states.get(state)]
    return {
        "state": [*states, DELETED] if facets.deleted else states,
        "experiment": facets.presets,
        "tag": facets.tags,
        "owner": facets.owners,
        "study": facets.studies,
    }


def _filters(
    offered: Mapping[str, Sequence[str]], studies: Mapping[str, str]
) -> dict[str, tuple[str, ...]]:
    labels = {
        "state": tr("State"),
        "experiment": tr("Experiment"),
        "tag": tr("Tag"),
        "owner": tr("Owner"),
        "study": tr("Study"),
    }
    names = {
        DELETED: tr("deleted"),
        **{state.value: tr(text) for state, text in SHORT_STATES.items()},
        **{name: tr(preset.title) for name, preset in PRESETS.items()},
        **studies,
    }
    return {name: _choices(name, labels[name], offered[name], names) for name in offered}


def _order() -> RunOrder:
    values = [order.value for order in ORDERS]
    linked = links.choice("sort", values, values[0])
    chosen = st.selectbox(
        tr("Order"),
        list(ORDERS),
        index=values.index(linked),
        format_func=lambda order: tr(ORDERS[order]),
        key="sort",
    )
    links.choose("sort", chosen.value, default=values[0])
    return chosen


def _choices(
    name: str, label: str, options: Sequence[str], names: Mapping[str, str]
) -> tuple[str, ...]:
    """Any of the options, at first those of the link; what the link says in vain is left out."""
    if not options:
        st.query_params.pop(name, None)
        return ()
    asked = st.session_state.get(name, st.query_params.get_all(name))
    st.session_state[name] = [value for value in asked if value in options]
    chosen = st.multiselect(
        label, options, format_func=lambda value: names.get(value, value), key=name
    )
    if chosen:
        st.query_params[name] = chosen
    else:
        st.query_params.pop(name, None)
    return tuple(chosen)


def page_number() -> int:
    """Which page of the list the link names, from 1."""
    text = st.query_params.get(PAGE, "")
    is_number = text.isascii() and text.isdigit() and len(text) <= MOST_DIGITS
    return max(1, int(text)) if is_number else 1


def turn_to(page: int) -> None:
    """Keep a page of the list in the link."""
    if page > 1:
        st.query_params[PAGE] = str(page)
    else:
        st.query_params.pop(PAGE, None)
