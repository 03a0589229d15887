"""What the page asks of runs, what became of it, and how a turned knob is turned back."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st

from app.state import Watched, lab_store
from app.texts import tr
from vcr_core.config import (
    BY_LAYER,
    RunConfig,
    fields,
    get_value,
    override,
    split_name,
    title_of,
)
from vcr_core.errors import ConfigError
from vcr_core.execution import ensure_dispatcher
from vcr_core.execution.control import resume_run
from vcr_core.figures.history import shown_value
from vcr_core.store import Command, CommandKind, CommandSource, Run, RunState

SHOWN_MOVES = 3
UNDOES = "undoes"
ONE_MOVE_SECONDS = 1.0  # turns of a knob that follow each other faster are one move
HEARS_SECONDS = 1.5  # so long a browser may not have heard yet that a widget follows


def asked_to_pause(run: Run) -> bool:
    """Whether the last thing asked leaves the run paused, applied yet or not."""
    if run.state is RunState.INTERRUPTED:
        return True
    kinds = {CommandKind.PAUSE, CommandKind.RESUME, CommandKind.STEP}
    asked = [
        c.kind for c in lab_store().commands(run.id) if c.kind in kinds and c.state != "refused"
    ]
    return bool(asked) and asked[-1] is not CommandKind.RESUME


def asked(run: Run) -> tuple[tuple[int, str], ...]:
    """What persons asked of a run, and what became of it: ids and states."""
    return tuple(
        (command.id, command.state)
        for command in lab_store().commands(run.id)
        if command.source is CommandSource.PERSON
    )


@dataclass(frozen=True)
class Move:
    """One thing that was asked, in words, and what became of it."""

    what: str
    state: str
    step: int | None = None
    reason: str = ""

    @property
    def is_awaited(self) -> bool:
        """Whether it will be done or refused in a moment; what is planned takes its time."""
        return self.state == "requested"


def send(runs: Sequence[Run], kind: CommandKind, payload: Mapping[str, Any] | None = None) -> None:
    """Ask something of a run, or the same of both twins, who do it at the same step."""
    if len(runs) == 2:
        lab_store().ask_both([run.id for run in runs], kind, payload)
        return
    for run in runs:
        lab_store().add_command(run.id, kind, payload)


def turn(watched: Watched, field: str, value: Any, **more: Any) -> None:
    """Turn a knob: the learning rate of both twins, everything else of the regularised one."""
    runs = watched.active if field.startswith("optimizer") else (watched.main,)
    send(runs, CommandKind.SET, {"field": field, "value": value, **more})


def turn_to(watched: Watched, field: str, key: str) -> None:
    """Turn a knob to where its widget was moved."""
    if is_moved(key) and st.session_state[key] != current_value(watched.main, field):
        turn(watched, field, st.session_state[key])


def follow(key: str, now: Any) -> None:
    """Let the widget ``key`` stand at ``now``, wherever it was turned: in another tab, by undo."""
    shown = st.session_state.get(f"{key}:shown", now)
    if shown != now:
        st.session_state[f"{key}:before"] = (shown, time.monotonic())
    if st.session_state.get(key, now) != now:
        st.session_state[key] = now
    st.session_state[f"{key}:shown"] = now


def is_moved(key: str) -> bool:
    """Whether somebody has moved the widget ``key``, which follows.

    A browser that has not heard yet where a widget stands now, or that opens a panel again, tells
    where it stood before. Taken for a move, it would undo what somebody else has done.
    """
    value = st.session_state[key]
    before, at = st.session_state.get(f"{key}:before", (None, -HEARS_SECONDS))
    is_late = value == before and time.monotonic() - at < HEARS_SECONDS
    if is_late or value == st.session_state.get(f"{key}:shown"):
        return False
    st.session_state[f"{key}:shown"] = value
    return True


def resume(watched: Watched) -> None:
    """Let paused runs go on; interrupted ones are queued, to go on from their checkpoints."""
    cut_off = [run for run in watched.active if run.state is RunState.INTERRUPTED]
    for run in cut_off:
        resume_run(lab_store(), run.id)
    if cut_off:
        ensure_dispatcher(lab_store())
    send([run for run in watched.active if run not in cut_off], CommandKind.RESUME)


def live_settings(run: Run, *, before: int | None = None) -> RunConfig:
    """The settings of a run as asked so far and not refused, or before a command."""
    turns = [turn for turn in _turns(run) if before is None or turn.id < before]
    config = run.config
    try:
        return override(config, _last_values(turns))
    except ConfigError:  # something was asked that will be refused
        return override(config, _last_values(each for each in turns if each.state == "applied"))


def _last_values(turns: Iterable[Command]) -> dict[str, Any]:
    """What every setting was turned to last; all layers at once replace what each was set to."""
    values: dict[str, Any] = {}
    for command in turns:
        field = str(command.payload.get("field"))
        if field in BY_LAYER:
            values = {name: each for name, each in values.items() if split_name(name)[0] != field}
        values[field] = command.payload.get("value")
    return values


def current_value(run: Run, field: str) -> Any:
    """What a setting stands at: the last value asked for and not refused, or the run's first."""
    return get_value(live_settings(run), field)


def withdraw(run: Run) -> bool:
    """Take a run out of the queue; False where it has started already."""
    return lab_store().move_run(
        run.id, before=RunState.QUEUED, after=RunState.STOPPED, finished_at=time.time()
    )


def last_move(run: Run) -> Command | None:
    """The newest turn of a knob that was neither refused nor undone."""
    turns = _turns(run)
    undone = {step for command in turns for step in command.payload.get(UNDOES, ())}
    left = [c for c in turns if UNDOES not in c.payload and c.id not in undone]
    return left[-1] if left else None


def undo(watched: Watched) -> None:
    """Turn the knob of the last move back to where it stood before."""
    move = last_move(watched.main)
    if move is None:
        return
    field = str(move.payload["field"])
    turn(watched, field, _before(watched.main, move), **{UNDOES: _one_move(watched.main, move)})


def moves(watched: Watched) -> list[Move]:
    """The last things that a person asked of a run, newest first; a knob only once."""
    found: dict[str, Move] = {}
    for command in reversed(lab_store().commands(watched.main.id)):
        name = str(command.payload.get("field", command.kind.value))
        if command.source is CommandSource.RUN or name in found:
            continue
        if len(found) == SHOWN_MOVES:
            break
        what = _in_words(watched.main, command)
        found[name] = Move(what, command.state, command.applied_step, command.reason or "")
    return list(found.values())


def _in_words(run: Run, command: Command) -> str:
    if command.kind is not CommandKind.SET:
        return _kind_in_words(command)
    field = str(command.payload.get("field"))
    after = shown_value(field, command.payload.get("value"))
    before = shown_value(field, _before(run, command)) if split_name(field)[0] in fields() else "–"
    return f"{named_setting(field)} {before} → {after}"


def _kind_in_words(command: Command) -> str:
    match command.kind, dict(command.payload):
        case CommandKind.STEP, {"n": int(n)} if n > 1:
            return tr("{n} steps", n=n)
        case CommandKind.SLOW, {"seconds": float(seconds) | int(seconds)}:
            return speed_in_words(seconds)
        case CommandKind.EXTEND, {"epochs": int(epochs)}:
            return tr("{n} epochs more", n=epochs)
    return tr(command.kind.value.capitalize())


def speed_in_words(seconds: float) -> str:
    """Slow motion as the page names it."""
    return tr("{seconds} s a step", seconds=f"{seconds:g}") if seconds else tr("Full speed")


def named_setting(field: str) -> str:
    """A setting as the page names it, with its layer where it belongs to one."""
    title, layer = title_of(field)
    return tr("{setting} of {layer}", setting=tr(title), layer=layer) if layer else tr(title)


def _before(run: Run, move: Command) -> Any:
    """What a field stood at before a move."""
    first = min(_one_move(run, move))
    return get_value(live_settings(run, before=first), str(move.payload["field"]))


def _one_move(run: Run, move: Command) -> list[int]:
    """The turns that ended with ``move``: a knob that is dragged makes many turns, one move."""
    ids = [move.id]
    later = move
    for turned in reversed(_turns(run)):
        if turned.id >= move.id or turned.payload.get("field") != move.payload.get("field"):
            continue
        if UNDOES in turned.payload or later.created_at - turned.created_at > ONE_MOVE_SECONDS:
            break
        ids.append(turned.id)
        later = turned
    return ids


def _turns(run: Run) -> list[Command]:
    return [
        command
        for command in lab_store().commands(run.id)
        if command.kind is CommandKind.SET and command.state not in {"refused", "planned"}
    ]
