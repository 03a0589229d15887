"""What whoever watches can ask of a run, as a page or a widget sends it: a word and its numbers.

======================  ====================================================================
``{"do": "set", …}``    turn the live setting ``field`` to ``value``
``{"do": "pause"}``     wait at the next step boundary
``{"do": "resume"}``    go on; an interrupted run goes on from its checkpoint
``{"do": "step", …}``   do ``n`` steps (1) and pause
``{"do": "slow", …}``   wait ``seconds`` before every step
``{"do": "extend", …}`` train ``epochs`` more
``{"do": "stop"}``      end now and keep the results
``{"do": "undo"}``      turn the knob of the last move back
======================  ====================================================================

A run does it at its next step boundary, or refuses it with a reason: the numbers themselves are
checked there (:mod:`vcr_core.training.control`), and :mod:`vcr_core.live_view.asked` tells what
became of it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from vcr_core.config import live_fields, split_name
from vcr_core.errors import ConfigError
from vcr_core.execution import ensure_dispatcher
from vcr_core.execution.control import resume_run
from vcr_core.live_view.asked import UNDOES, asked_to_pause, last_move, turns_of, value_before
from vcr_core.live_view.watched import Watched
from vcr_core.store import CommandKind, Run, RunState, Store

Payload = Mapping[str, Any]


def obey(store: Store, watched: Watched, asked: Payload) -> None:
    """Ask of the watched run, or of both twins, what a message says.

    Raises:
        ConfigError: it says nothing of the above, or names a setting that cannot be turned.
    """
    rest = dict(asked)
    word = rest.pop("do", None)
    if not isinstance(word, str) or word not in _HANDLERS:
        raise ConfigError(f"expected one of {', '.join(_HANDLERS)}, got {word!r}", field="do")
    handler, names = _HANDLERS[word]
    strangers = [name for name in rest if name not in names]
    if strangers:
        known = ", ".join(names) or "nothing more"
        raise ConfigError(f"expected {known}, got {', '.join(strangers)}", field=word)
    handler(store, watched, rest)


def _set(store: Store, watched: Watched, payload: Payload) -> None:
    field = payload.get("field")
    if not isinstance(field, str) or split_name(field)[0] not in live_fields():
        raise ConfigError(
            f"{field!r} cannot change while a run trains; {', '.join(live_fields())} can",
            field="set",
        )
    if "value" not in payload:
        raise ConfigError(f"expected a value for {field}, got none", field="set")
    _turn(store, watched, field, payload["value"])


def _turn(store: Store, watched: Watched, field: str, value: Any, **more: Any) -> None:
    """Turn a knob: the learning rate of both twins, everything else of the regularised one."""
    runs = watched.active if field.startswith("optimizer") else (watched.main,)
    _send(store, runs, CommandKind.SET, {"field": field, "value": value, **more})


def _pause(store: Store, watched: Watched, _payload: Payload) -> None:
    """A pause that was asked for already may be the same click once more."""
    if not asked_to_pause(store, watched.main):
        _send(store, watched.active, CommandKind.PAUSE)


def _resume(store: Store, watched: Watched, _payload: Payload) -> None:
    """Let paused runs go on; interrupted ones are queued, to go on from their checkpoints."""
    if not asked_to_pause(store, watched.main):
        return
    cut_off = [run for run in watched.active if run.state is RunState.INTERRUPTED]
    for run in cut_off:
        resume_run(store, run.id)
    if cut_off:
        ensure_dispatcher(store)
    _send(store, [run for run in watched.active if run not in cut_off], CommandKind.RESUME)


def _stop(store: Store, watched: Watched, _payload: Payload) -> None:
    """What is still in the queue is taken out of it."""
    started = [run for run in watched.active if not _withdraw(store, run)]
    _send(store, started, CommandKind.STOP)


def _withdraw(store: Store, run: Run) -> bool:
    """Take a run out of the queue; False where it has started already."""
    return store.move_run(
        run.id, before=RunState.QUEUED, after=RunState.STOPPED, finished_at=time.time()
    )


def _undo(store: Store, watched: Watched, _payload: Payload) -> None:
    run = watched.main
    move = last_move(store, run)
    if move is None:
        return
    field, ids = str(move.payload["field"]), turns_of(store, run, move)
    _turn(store, watched, field, value_before(store, run, move), **{UNDOES: ids})


def _step(store: Store, watched: Watched, payload: Payload) -> None:
    _send(store, watched.active, CommandKind.STEP, payload)


def _slow(store: Store, watched: Watched, payload: Payload) -> None:
    _send(store, watched.active, CommandKind.SLOW, payload)


def _extend(store: Store, watched: Watched, payload: Payload) -> None:
    _send(store, watched.active, CommandKind.EXTEND, payload)


def _send(
    store: Store, runs: Sequence[Run], kind: CommandKind, payload: Payload | None = None
) -> None:
    """Ask something of a run, or the same of both twins, who do it at the same step."""
    if len(runs) == 2:
        store.ask_both([run.id for run in runs], kind, payload)
        return
    for run in runs:
        store.add_command(run.id, kind, payload)


_Handler = Callable[[Store, Watched, Payload], None]
_HANDLERS: Mapping[str, tuple[_Handler, tuple[str, ...]]] = {
    "set": (_set, ("field", "value")),
    "pause": (_pause, ()),
    "resume": (_resume, ()),
    "step": (_step, ("n",)),
    "slow": (_slow, ("seconds",)),
    "extend": (_extend, ("epochs",)),
    "stop": (_stop, ()),
    "undo": (_undo, ()),
}
