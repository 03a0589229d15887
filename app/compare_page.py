"""The page that holds runs against each other: curves, differences, settings, matrices."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from app import links
from app.compare_parts import links_to_lab, results_table, settings_table, state_line
from app.exports import export_menu
from app.live_view import live_view, make_ready
from app.matrices import matrices
from app.right_and_wrong import groups_images
from app.run_actions import MOST_COMPARED
from app.state import lab_store
from app.texts import plain, tr
from app.texts.errors import told
from vcr_core.comparison import (
    Group,
    banded,
    compare,
    curve_charts,
    group_lines,
    group_runs,
    lines_of_runs,
    mean_history,
)
from vcr_core.errors import UnknownRunError, VcrLabError
from vcr_core.figures import Chart, History, read_history
from vcr_core.live_view import View, WholeFeed
from vcr_core.store import Run, Store

RUNS = "runs"
TICK_SECONDS = 2.0
MOST_NAMED = 5
MEAN = "mean"
CURVES = {MEAN: "Mean over seeds", "each": "Every run"}


def compare_page() -> None:
    """The runs that the link names, or what to do."""
    page = st.container()
    make_ready(lab_store())  # first over the wire, so that Plotly loads while the runs are read
    with page:
        _shown()


def _shown() -> None:
    try:
        runs, missing = linked_runs(lab_store())
        _say_missing(missing)
        if 2 <= len(runs) <= MOST_COMPARED:
            _compare(runs)
        else:
            _what_to_do(len(runs))
    except VcrLabError as error:
        st.error(plain(told(error)), icon=":material/error:")
        st.button(tr("Try again"), icon=":material/refresh:")


def _say_missing(runs: Sequence[str]) -> None:
    """One message, however many runs the link names in vain."""
    if len(runs) == 1:
        words = tr("The link names a run that is not here: {reason}", reason=plain(runs[0]))
    elif runs:
        more = "; …" if len(runs) > MOST_NAMED else ""
        names = plain("; ".join(runs[:MOST_NAMED])) + more
        words = tr(
            "The link names {count} runs that are not here: {names}", count=len(runs), names=names
        )
    else:
        return
    st.warning(words, icon=":material/search_off:")


def _compare(runs: Sequence[Run]) -> None:
    groups = group_runs(lab_store(), runs)
    reference, curves = _choices(groups)
    ids = tuple(run.id for run in runs)
    lives = any(not run.state.is_over for run in runs)
    states = tuple(run.state.value for run in runs)
    st.fragment(_live, run_every=TICK_SECONDS if lives else None)(
        ids, groups.index(reference), curves, states
    )
    settings_table(lab_store(), groups)
    matrices(groups, reference)
    groups_images(groups, reference)


def linked_runs(store: Store) -> tuple[list[Run], list[str]]:
    """The runs that the link names, each once, and what it names in vain."""
    named = dict.fromkeys(part.strip() for part in st.query_params.get(RUNS, "").split(","))
    found, missing = [], []
    for run_id in list(filter(None, named))[: 4 * MOST_COMPARED]:
        try:
            run = store.run(run_id)
        except UnknownRunError:
            missing.append(run_id[:40])
            continue
        if run.deleted_at is None:
            found.append(run)
        else:
            missing.append(tr("{run} was deleted", run=run_id))
    return found, missing


def _what_to_do(count: int) -> None:
    if count > MOST_COMPARED:
        text = tr("These are {count} runs; 2 to 12 can be compared. Select fewer.", count=count)
    elif count == 1:
        text = tr("This is one run. Select at least one more to compare it with.")
    else:
        text = tr("Select 2 to 12 runs on the runs page, then press **Compare these**.")
    st.info(text, icon=":material/compare_arrows:")
    st.page_link("../pages/runs.py", label=tr("To the runs"), icon=":material/arrow_forward:")


def _choices(groups: Sequence[Group]) -> tuple[Group, str]:
    """What all others are compared with, and which curves are drawn; both live in the link."""
    ids = [group.id for group in groups]
    linked = links.choice("with", ids, ids[0])
    with st.container(horizontal=True, vertical_alignment="bottom"):
        chosen = st.selectbox(
            tr("Compare with"),
            range(len(groups)),
            index=ids.index(linked),
            format_func=lambda place: tr(groups[place].label),
            key="compare:with",
            help=tr("Differences are taken to these runs, seed by seed where both have the seed."),
            width=360,
        )
        curves = MEAN
        if any(len(group.runs) > 1 for group in groups):
            shown = links.choice("curves", list(CURVES), MEAN)
            curves = st.segmented_control(
                tr("Curves"),
                list(CURVES),
                default=shown,
                format_func=lambda name: tr(CURVES[name]),
                key="compare:curves",
                required=True,
            )
        export_menu([run for group in groups for run in group.runs], key="compare:export")
    links.choose("with", ids[chosen], default=ids[0])
    links.choose("curves", curves, default=MEAN)
    return groups[chosen], curves


def _live(ids: Sequence[str], place: int, curves: str, states: Sequence[str]) -> None:
    """The part that follows runs that train."""
    try:
        store = lab_store()
        runs = [store.run(run) for run in ids]
        if tuple(run.state.value for run in runs) != tuple(states):
            st.rerun()  # an ended run may join another group, and nothing is left to follow
        groups = group_runs(store, runs)
        reference = groups[min(place, len(groups) - 1)]
        links_to_lab(groups)
        state_line(runs)
        _curves(store, groups, runs, curves)
        results_table(compare(store, groups, reference))
    except VcrLabError as error:
        st.error(plain(told(error)), icon=":material/error:")


def _curves(store: Store, groups: Sequence[Group], runs: Sequence[Run], curves: str) -> None:
    """Overlaid curves; read anew only where a run has gone on."""
    steps = [(run.id, run.step, run.state.value) for run in runs]
    mark = (curves, steps, [group.label for group in groups])
    kept: tuple[object, list[Chart], History] | None = st.session_state.get("compare:curves:kept")
    if kept is None or kept[0] != mark:
        charts, history = _read_curves(store, groups, runs, curves)
        kept = st.session_state["compare:curves:kept"] = (mark, charts, history)
    feed = st.session_state.setdefault("compare:curves:feed", WholeFeed())
    feed.history = kept[2]
    live_view(View(tuple(kept[1])), store=store, key="compare:view", feed=feed)
    if curves == MEAN and any(len(group.runs) > 1 for group in groups):
        st.caption(
            tr(
                "Lines: mean over the seeds of a group. Bands: ± one standard error of that mean. "
                "Runs are a group where they differ in nothing but the seed."
            )
        )


def _read_curves(
    store: Store, groups: Sequence[Group], runs: Sequence[Run], curves: str
) -> tuple[list[Chart], History]:
    if curves == MEAN:
        several = {group.id for group in groups if len(group.runs) > 1}
        charts = [banded(chart, several) for chart in curve_charts(runs, group_lines(groups))]
        return charts, mean_history(store, groups, charts)
    charts = curve_charts(runs, lines_of_runs(groups))
    return charts, read_history(store, charts)
