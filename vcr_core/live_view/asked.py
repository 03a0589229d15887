"""What persons asked of a run, what became of it, and where its knobs stand by now."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from vcr_core.config import BY_LAYER, RunConfig, fields, get_value, override, split_name, title_of
from vcr_core.errors import ConfigError
from vcr_core.figures.history import shown_value
from vcr_core.live_view.language import Say
from vcr_core.store import Command, CommandKind, CommandSource, Run, RunState, Store

SHOWN_MOVES = 3
UNDOES = "undoes"
ONE_MOVE_SECONDS = 1.0  # turns of a knob that follow each other faster are one move
BECAME = {
    "requested": "requested",
    "planned": "planned for step {step}",
    "applied": "applied at step {step}",
    "refused": "refused: {reason}",
}
WORDS = {
    "steps": "{n} steps",
    "epochs": "{n} epochs more",
    "slow": "{seconds} s a step",
    "fast": "Full speed",
    "of layer": "{setting} of {layer}",
}


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


def asked(store: Store, run: Run) -> tuple[tuple[int, str], ...]:
    """What persons asked of a run, and what became of it: ids and states."""
    return tuple(
        (command.id, command.state)
        for command in store.commands(run.id)
        if command.source is CommandSource.PERSON
    )


def asked_to_pause(store: Store, run: Run) -> bool:
    """Whether the last thing asked leaves the run paused, applied yet or not."""
    if run.state is RunState.INTERRUPTED:
        return True
    kinds = {CommandKind.PAUSE, CommandKind.RESUME, CommandKind.STEP}
    commands = store.commands(run.id)
    kept = [each.kind for each in commands if each.kind in kinds and each.state != "refused"]
    return bool(kept) and kept[-1] is not CommandKind.RESUME


def asked_speed(store: Store, run: Run) -> float:
    """The seconds that a run was asked to wait before every step."""
    waits = [
        command.payload.get("seconds")
        for command in store.commands(run.id)
        if command.kind is CommandKind.SLOW and command.state != "refused"
    ]
    return float(waits[-1]) if waits and isinstance(waits[-1], int | float) else 0.0


def live_settings(store: Store, run: Run, *, before: int | None = None) -> RunConfig:
    """The settings of a run as asked so far and not refused, or before a command."""
    turns = [turn for turn in _turns(store, run) if before is None or turn.id < before]
    config = run.config
    try:
        return override(config, _last_values(turns))
    except ConfigError:  # something was asked that will be refused
        return override(config, _last_values(each for each in turns if each.state == "applied"))


def current_value(store: Store, run: Run, field: str) -> Any:
    """What a setting stands at: the last value asked for and not refused, or the run's first."""
    return get_value(live_settings(store, run), field)


def last_move(store: Store, run: Run) -> Command | None:
    """The newest turn of a knob that was neither refused nor undone."""
    turns = _turns(store, run)
    undone = {step for command in turns for step in command.payload.get(UNDOES, ())}
    left = [c for c in turns if UNDOES not in c.payload and c.id not in undone]
    return left[-1] if left else None


def turns_of(store: Store, run: Run, move: Command) -> list[int]:
    """The turns that ended with ``move``: a knob that is dragged makes many turns, one move."""
    ids = [move.id]
    later = move
    for turned in reversed(_turns(store, run)):
        if turned.id >= move.id or turned.payload.get("field") != move.payload.get("field"):
            continue
        if UNDOES in turned.payload or later.created_at - turned.created_at > ONE_MOVE_SECONDS:
            break
        ids.append(turned.id)
        later = turned
    return ids


def value_before(store: Store, run: Run, move: Command) -> Any:
    """What a setting stood at before a move."""
    first = min(turns_of(store, run, move))
    return get_value(live_settings(store, run, before=first), str(move.payload["field"]))


def moves(store: Store, run: Run, say: Say) -> list[Move]:
    """The last things that a person asked of a run, newest first; a knob only once."""
    found: dict[str, Move] = {}
    for command in reversed(store.commands(run.id)):
        name = str(command.payload.get("field", command.kind.value))
        if command.source is CommandSource.RUN or name in found:
            continue
        if len(found) == SHOWN_MOVES:
            break
        what = _in_words(store, run, command, say)
        found[name] = Move(what, command.state, command.applied_step, command.reason or "")
    return list(found.values())


def speed_in_words(seconds: float, say: Say) -> str:
    """Slow motion as a person reads it."""
    return say(WORDS["slow"], seconds=f"{seconds:g}") if seconds else say(WORDS["fast"])


def _in_words(store: Store, run: Run, command: Command, say: Say) -> str:
    if command.kind is not CommandKind.SET:
        return _kind_in_words(command, say)
    field = str(command.payload.get("field"))
    after, before = shown_value(field, command.payload.get("value")), "–"
    if split_name(field)[0] in fields():
        before = shown_value(field, value_before(store, run, command))
    return f"{_named_setting(field, say)} {before} → {after}"


def _kind_in_words(command: Command, say: Say) -> str:
    match command.kind, dict(command.payload):
        case CommandKind.STEP, {"n": int(n)} if n > 1:
            return say(WORDS["steps"], n=n)
        case CommandKind.SLOW, {"seconds": float(seconds) | int(seconds)}:
            return speed_in_words(seconds, say)
        case CommandKind.EXTEND, {"epochs": int(epochs)}:
            return say(WORDS["epochs"], n=epochs)
    return say(command.kind.value.capitalize())


def _named_setting(field: str, say: Say) -> str:
    """A setting by its title, with its layer where it belongs to one."""
    title, layer = title_of(field)
    return say(WORDS["of layer"], setting=say(title), layer=layer) if layer else say(title)


def _last_values(turns: Iterable[Command]) -> dict[str, Any]:
    """What every setting was turned to last; all layers at once replace what each was set to."""
    values: dict[str, Any] = {}
    for command in turns:
        field = str(command.payload.get("field"))
        if field in BY_LAYER:
            values = {name: each for name, each in values.items() if split_name(name)[0] != field}
        values[field] = command.payload.get("value")
    return values


def _turns(store: Store, run: Run) -> list[Command]:
    return [
        command
        for command in store.commands(run.id)
        if command.kind is CommandKind.SET and command.state not in {"refused", "planned"}
    ]
