"""Covariances of a layer at a chosen step: runs side by side, and minus the reference's."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from app import links
from app.live_view import live_view
from app.state import lab_store
from app.texts import tr
from vcr_core.comparison import Group, difference_chart, group_lines, matrix_chart
from vcr_core.figures import ArrayKey, Chart, History, RunLine, read_past
from vcr_core.figures.charts import Matrix
from vcr_core.live_view import View, WholeFeed
from vcr_core.live_view.run_view import MATRICES, ORDERS
from vcr_core.store import Run, Store

NEWEST = -1


def matrices(groups: Sequence[Group], reference: Group) -> None:
    """Controls, then the matrices of one run of each group."""
    st.subheader(tr("Matrices"), anchor=False)
    store = lab_store()
    layers = [name for name in reference.runs[0].config.layer_names if _everywhere(name, groups)]
    if not layers:
        st.caption(tr("These networks have no layer of the same name: nothing to hold together."))
        return
    layer, matrix, order, seed = _controls(groups, layers)
    shown = {group.id: group.by_seed.get(seed, group.runs[0]) for group in groups}
    step = _step(store, list(shown.values()), layer)
    if step is None:
        st.caption(tr("The first numbers arrive in a moment."))
        return
    lines = {
        group.id: RunLine(shown[group.id].id, tr(line.label), line.tone, line.dash)
        for group, line in zip(groups, group_lines(groups), strict=True)
    }
    kind: Matrix = "covariance" if matrix == "covariance" else "correlation"
    clustered = order == "clustered"
    everyone = list(lines.values())
    charts = [
        matrix_chart(everyone, layer, matrix=kind, clustered=clustered),
        difference_chart(everyone, lines[reference.id], layer, matrix=kind, clustered=clustered),
    ]
    _show(store, charts, step)


def _everywhere(layer: str, groups: Sequence[Group]) -> bool:
    return all(layer in group.runs[0].config.layer_names for group in groups)


def _controls(groups: Sequence[Group], layers: Sequence[str]) -> tuple[str, str, str, int]:
    """Layer, matrix, order and seed, as the link says."""
    seeds = sorted({seed for group in groups for seed in group.by_seed})
    with st.container(horizontal=True, vertical_alignment="bottom"):
        layer = _choose("layer", tr("Layer"), layers, layers[-1])
        kinds = [name for name, _ in MATRICES]
        matrix = _choose("matrix", tr("Matrix"), kinds, kinds[0], dict(MATRICES))
        orders = [name for name, _ in ORDERS]
        order = _choose("order", tr("Order of features"), orders, orders[0], dict(ORDERS))
        seed = str(seeds[0])
        if len(seeds) > 1:
            seed = _choose("seed", tr("Seed"), [str(seed) for seed in seeds], seed)
    return layer, matrix, order, int(seed)


def _choose(
    name: str,
    label: str,
    options: Sequence[str],
    default: str,
    names: dict[str, str] | None = None,
) -> str:
    linked = links.choice(name, options, default)
    chosen = st.selectbox(
        label,
        options,
        index=list(options).index(linked),
        format_func=lambda value: tr(str((names or {}).get(value, value))),
        key=f"compare:{name}",
        width=200,
    )
    links.choose(name, chosen, default=default)
    return chosen


def _step(store: Store, runs: Sequence[Run], layer: str) -> int | None:
    """A step at which some run has kept its matrices; the newest follows."""
    steps = sorted({s for run in runs for s in store.snapshot_steps(run.id, layer, "covariance")})
    if not steps:
        return None
    if len(steps) == 1:
        return steps[0]
    linked = links.step()
    chosen = st.select_slider(
        tr("Step"),
        [*steps, NEWEST],
        value=linked if linked in steps else NEWEST,
        format_func=lambda step: tr("newest") if step == NEWEST else str(step),
        key="compare:step",
    )
    links.keep_step(None if chosen == NEWEST else chosen)
    return steps[-1] if chosen == NEWEST else chosen


def _show(store: Store, charts: Sequence[Chart], step: int) -> None:
    keys = {key for chart in charts for key in chart.sources() if isinstance(key, ArrayKey)}
    history = History(arrays=read_past(store, sorted(keys), step))
    feed = st.session_state.setdefault("compare:matrices:feed", WholeFeed())
    feed.history = history
    live_view(View(tuple(charts)), store=store, key="compare:matrices", feed=feed)
