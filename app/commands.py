"""What the page asks of runs, what became of it, and how a turned knob is turned back."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st

from app.state import Watched, lab_store, watch
from app.texts import tr
from vcr_core.config import fields, get_value
from vcr_core.execution import ensure_dispatcher
from vcr_core.store import Command, CommandKind, Run, RunState

SHOWN_MOVES = 3
UNDOES = "undoes"
ONE_MOVE_SECONDS = 1.0  # turns of a knob that follow each other faster are one move


def asked_to_pause(run: Run) -> bool:
    """Whether the last thing asked leaves the run paused, applied yet or not."""
    kinds = {CommandKind.PAUSE, CommandKind.RESUME, CommandKind.STEP}
    asked = [
        c.kind for c in lab_store().commands(run.id) if c.kind in kinds and c.state != "refused"
    ]
    return bool(asked) and asked[-1] is not CommandKind.RESUME


@dataclass(frozen=True)
class Move:
    """One thing that was asked, in words, and what became of it."""

    what: str
    state: str
    step: int | None = None
    reason: str = ""


def send(runs: Sequence[Run], kind: CommandKind, payload: Mapping[str, Any] | None = None) -> None:
    """Ask something of a run, or the same of both twins, who do it at the same step."""
    if len(runs) == 2:
        lab_store().ask_both([run.id for run in runs], kind, payload)
        return
    for run in runs:
        lab_store().add_command(run.id, kind, payload)


def turn(watched: Watched, field: str, value: float, **more: Any) -> None:
    """Turn a knob: the learning rate of both twins, everything else of the regularised one."""
    runs = watched.active if field.startswith("optimizer") else (watched.main,)
    send(runs, CommandKind.SET, {"field": field, "value": value, **more})


def watch_fork(run_id: str) -> None:
    """Show a run that was just made from another one."""
    ensure_dispatcher(lab_store())
    watch(run_id)
    st.rerun()


def current_value(run: Run, field: str) -> Any:
    """What a setting stands at: the last value asked for and not refused, or the run's first."""
    asked = [c.payload["value"] for c in _turns(run) if c.payload.get("field") == field]
    return asked[-1] if asked else get_value(run.config, field)


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
    """The last things that were asked of a run, newest first; a knob only once."""
    found: dict[str, Move] = {}
    for command in reversed(lab_store().commands(watched.main.id)):
        name = str(command.payload.get("field", command.kind.value))
        if name not in found and len(found) < SHOWN_MOVES:
            what = _in_words(watched.main, command)
            found[name] = Move(what, command.state, command.applied_step, command.reason or "")
    return list(found.values())


def _in_words(run: Run, command: Command) -> str:
    if command.kind is not CommandKind.SET:
        return tr(command.kind.value.capitalize())
    field = str(command.payload.get("field"))
    title = tr(str(fields()[field].title)) if field in fields() else field
    before, after = (_shown(v) for v in (_before(run, command), command.payload.get("value")))
    return f"{title} {before} → {after}"


def _shown(value: Any) -> str:
    return f"{value:g}" if isinstance(value, int | float) else "–" if value is None else str(value)


def _before(run: Run, move: Command) -> Any:
    """What a field stood at before a move."""
    field, first = str(move.payload.get("field")), min(_one_move(run, move))
    earlier = [c for c in _turns(run) if c.id < first and c.payload.get("field") == field]
    if earlier:
        return earlier[-1].payload["value"]
    return get_value(run.config, field) if field in fields() else None


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
        if command.kind is CommandKind.SET and command.state != "refused"
    ]
