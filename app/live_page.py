"""One run, or a pair of twins, live: progress, knobs, what came out, charts."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import streamlit as st
from streamlit.runtime.scriptrunner import add_script_run_ctx, get_script_run_ctx

from app import links
from app.advice_panel import advice_panel
from app.controls import controls, is_behind
from app.exports import export_menu
from app.guard import asks, guarded
from app.live_view import live_view
from app.right_and_wrong import twins_images
from app.state import Watched, find_watched, lab_store
from app.texts import plain, tr, visitors_language
from app.texts.errors import told
from app.turns import in_turn
from app.words import NAMES, pair_summary, progress_line, single_summary
from vcr_core.figures import RunLine, run_lines
from vcr_core.live_view import View, html_page
from vcr_core.live_view.run_view import MATRICES, ORDERS, run_view
from vcr_core.presets import PRESETS, Preset
from vcr_core.store import Run, RunState

TICK_SECONDS = 1.0
FIRST_TICK_SECONDS = 0.3  # until the run trains: the first number should not wait for a tick
PARTS = ("network", "layer", "training")  # of the live view, which a link may hide
OPTIONS = {
    "matrix": tuple(value for value, _ in MATRICES),
    "order": tuple(value for value, _ in ORDERS),
}
CHOSEN = {"layer": "", "matrix": MATRICES[0][0], "order": ORDERS[0][0]}


def show_run(watched: Watched) -> None:
    """Everything about the run that the link names."""
    _headline(watched)
    if watched.is_deleted:
        _deleted(watched)
    controls(watched)
    if watched.is_over and not links.is_hidden("summary"):
        _summary(watched)
        twins_images(watched)
        advice_panel(watched)
    tick = TICK_SECONDS if all(run.step for run in watched.runs) else FIRST_TICK_SECONDS
    every = None if watched.is_over else tick
    st.fragment(guarded(in_turn(_live)), run_every=every)(watched.main.id, _states(watched))
    if all(run.step for run in watched.runs):
        _download(watched)
        export_menu(watched.runs, key="lab:export")


def options(watched: Watched | None) -> dict[str, Sequence[str]]:
    """What a link may choose from, by parameter."""
    layers = {"layer": watched.main.config.layer_names} if watched else {}
    return {"preset": tuple(PRESETS), **OPTIONS, **layers}


def _headline(watched: Watched) -> None:
    """Which experiment is shown, whatever is chosen above for the next one."""
    st.subheader(_title(watched), anchor=False, divider="gray")
    preset = _preset(watched)
    looking = f". **{tr('What to look for:')}** {tr(preset.look_for)}" if preset else ""
    st.caption(f"{_facts(watched)}{looking}")


def _preset(watched: Watched) -> Preset | None:
    """The preset whose experiment the run is."""
    preset = PRESETS.get(watched.main.preset)
    return preset if preset and preset.config.data == watched.main.config.data else None


def _title(watched: Watched) -> str:
    preset = _preset(watched)
    if preset:
        return tr(preset.title)
    return tr("Train for {task}", task=tr(watched.main.config.data.source))


def _facts(watched: Watched) -> str:
    config = watched.main.config
    return tr(
        "{dataset} · {model} · seed {seed}",
        dataset=config.data.dataset,
        model=config.model.name,
        seed=config.seed,
    )


def _states(watched: Watched) -> tuple[str, ...]:
    """What the page around the live part depends on."""
    return tuple(f"{run.state.value} {run.step > 0} {run.deleted_at}" for run in watched.runs)


def _deleted(watched: Watched) -> None:
    """It can be brought back until it is purged."""
    ids = [run.id for run in watched.runs if run.deleted_at is not None]
    with st.container(horizontal=True, vertical_alignment="center"):
        st.warning(
            tr("This run was deleted. It can be looked at, and brought back, until it is purged."),
            icon=":material/delete:",
        )
        st.button(
            tr("Bring it back"),
            icon=":material/undo:",
            key="undelete",
            on_click=asks(lab_store().restore_runs),
            args=(ids,),
        )


def _live(run_id: str, states: tuple[str, ...]) -> None:
    """The part that is redrawn every second.

    A change of state, and what was asked elsewhere, redraws the whole page once.
    """
    watched = find_watched(lab_store(), run_id)
    if _states(watched) != states or is_behind(watched):
        st.rerun()
    lines = run_lines(watched.runs)
    for column, run, line in zip(st.columns(len(lines)), watched.runs, lines, strict=True):
        with column:
            _progress(run, line)
    if watched.is_over and not any(run.total_steps for run in watched.runs):
        return
    live_view(_view(watched), store=lab_store(), key=f"live-{run_id}", on_choose=_on_choose)


def _progress(run: Run, line: RunLine) -> None:
    share = run.step / run.total_steps if run.total_steps else 0.0
    st.progress(min(share, 1.0), text=f"**{tr(NAMES[line.label])}** · {progress_line(run)}")
    if run.state is RunState.FAILED:
        what, _, log = (run.error or "").partition("\n\n")
        st.error(plain(told(what)), icon=":material/error:")
        if log:
            with st.expander(tr("The end of its log")):
                st.code(log, language=None)


def _download(watched: Watched) -> None:
    """Everything that is shown, as one file that needs neither this app nor a network."""
    context = get_script_run_ctx()

    def made() -> str:
        """Made when it is asked for, in a thread that has to be told whose page it is."""
        add_script_run_ctx(threading.current_thread(), context)
        return html_page(
            lambda layer: _view(watched, layer, whole=True),
            watched.main.config.layer_names[-1],
            store=lab_store(),
            title=_title(watched),
            facts=_facts(watched),
            language=visitors_language(),
        )

    st.download_button(
        tr("Save as one file"),
        data=made,
        file_name=f"vcr-lab-{watched.main.id}.html",
        mime="text/html",
        icon=":material/download:",
        on_click="ignore",
        help=tr("An HTML page with every step inside: slider and animation work without the app."),
    )


def _view(watched: Watched, enlarged: str = "", *, whole: bool = False) -> View:
    """What the live view shows, as the link says: layer, matrix, order, step.

    ``whole`` shows what the link hides, too.
    """
    layers = watched.main.config.layer_names
    return run_view(
        watched,
        layer=enlarged or links.choice("layer", layers, layers[-1]),
        matrix=links.choice("matrix", OPTIONS["matrix"], CHOSEN["matrix"]),
        order=links.choice("order", OPTIONS["order"], CHOSEN["order"]),
        step=links.step(),
        hidden=() if whole else tuple(part for part in PARTS if links.is_hidden(part)),
        space_plays=whole or watched.is_over or links.is_hidden("transport"),
    )


def _on_choose(name: str, value: Any) -> None:
    """Something was clicked in the live view: it goes into the link."""
    if name == "step":
        links.keep_step(value)
    elif name in CHOSEN:
        links.choose(name, str(value), default=CHOSEN[name])


def _summary(watched: Watched) -> None:
    """What came out, in words with this run's own numbers."""
    lines = pair_summary(watched) if watched.is_pair else single_summary(watched.main)
    if lines:
        with st.container(border=True):
            st.markdown(f"##### {tr('What came out')}")
            st.markdown("\n".join(f"- {line}" for line in lines))
