"""Go on from the step that the slider shows, in a run of its own, with other weights."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from app import links
from app.guard import asks
from app.state import Watched, lab_store, watch
from app.texts import tr
from app.words import TWINS
from vcr_core.config import RunConfig, fields, get_value
from vcr_core.execution import ensure_dispatcher
from vcr_core.store import Run
from vcr_core.training.fork import fork, fork_start
from vcr_core.training.moves import EPOCHS, live_after, move_of

OPEN = "fork:open"
AT = "fork:at"
FORKED = "fork:forked"
WEIGHTS = ("regularizer.variance_weight", "regularizer.covariance_weight")


def fork_panel(watched: Watched) -> None:
    """A popover; its body is made when it is opened, for the step that is shown then."""
    panel = st.popover(
        tr("Fork from here"), icon=":material/fork_right:", key=OPEN, on_change="rerun"
    )
    if st.session_state.pop(FORKED, False):
        st.rerun()
    if not panel.open:
        st.session_state.pop(AT, None)
        return
    with panel:
        _body(watched)


def _body(watched: Watched) -> None:
    run = _chosen(watched)
    step, at = _step(run)
    st.caption(_where_it_begins(run, step))
    done = [move_of(command) for command in lab_store().history(run.id)]
    then = live_after(run.config, [move for move in done if move.step < step])
    keys = {field: _weight(then, field, f"{run.id}:{step}") for field in WEIGHTS}
    more = f"fork:more:{run.id}"
    st.number_input(
        tr("Epochs more"),
        0,
        1000,
        5,
        key=more,
        help=tr("How much longer than the run it goes on from."),
    )
    st.button(
        tr("Fork at step {step}", step=step),
        key="fork",
        on_click=asks(_fork, button="fork"),
        args=(run, at, keys, more, live_after(run.config, done).training.epochs),
    )


def _fork(run: Run, at: str, weights: Mapping[str, str], more: str, epochs: int) -> None:
    """Make the new run, and show it.

    It reads the fields by their keys: what was typed last may not have been drawn yet.
    """
    typed = st.session_state
    changes = {field: typed[key] for field, key in weights.items()}
    length = {EPOCHS: epochs + int(typed[more])}
    watch(fork(lab_store(), run.id, {**changes, **length}, step=int(typed[at])))
    ensure_dispatcher(lab_store())
    links.keep_step(None)
    st.session_state[OPEN] = False
    st.session_state[FORKED] = True


def _chosen(watched: Watched) -> Run:
    """The regularised twin, unless the other one is asked for."""
    if not watched.is_pair:
        return watched.main
    role = st.radio(
        tr("Which of the two"),
        list(TWINS),
        format_func=lambda role: tr(TWINS[role]),
        horizontal=True,
        key=f"fork:of:{watched.main.id}",
    )
    return next(run for run in watched.runs if run.role.value == role)


def _step(run: Run) -> tuple[int, str]:
    """The step shown when the panel was opened, or the one that is typed; and its field's key."""
    shown = links.step()
    start = st.session_state.setdefault(AT, run.step if shown is None else shown)
    key = f"fork:step:{run.id}:{start}"
    typed = st.number_input(
        tr("At step"),
        min_value=0,
        value=min(int(start), run.step),
        step=1,
        key=key,
        help=tr("At first the step that the slider shows."),
    )
    return int(typed), key


def _where_it_begins(run: Run, step: int) -> str:
    start = fork_start(run, step)
    if start is None:
        return tr("This run was forked itself, later than that: fork the run it goes on from.")
    if start == step:
        return tr("A new run goes on from the checkpoint of step {step}.", step=step)
    return tr(
        "A new run repeats this one from step {start} to {step}, the same to the last digit, and "
        "goes on from there.",
        start=start,
        step=step,
    )


def _weight(then: RunConfig, field: str, place: str) -> str:
    """The field of a weight, at first where it stood at that step; returns its key."""
    key = f"fork:{field}:{place}"
    st.number_input(
        tr(str(fields()[field].title)),
        min_value=0.0,
        value=float(get_value(then, field)),
        format="%g",
        key=key,
    )
    return key
