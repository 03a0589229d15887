"""What was asked of a run while it trained, so that it can be asked again. Needs no torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from vcr_core.config import (
    RunConfig,
    as_text,
    differences,
    get_value,
    live_fields,
    override,
    split_name,
)
from vcr_core.errors import ConfigError
from vcr_core.store import Command, CommandKind, Store

EPOCHS = "training.epochs"
ENDS = {"stop": CommandKind.STOP, "abort": CommandKind.ABORT}
#: These change no weight of the network, only what is shown of a run, and when.
ONLY_SHOWN = {
    CommandKind.PAUSE,
    CommandKind.RESUME,
    CommandKind.STEP,
    CommandKind.SLOW,
    CommandKind.SNAPSHOT,
    CommandKind.CADENCE,
}


@dataclass(frozen=True)
class Move:
    """Something asked of a run after ``step`` steps."""

    step: int
    kind: CommandKind
    payload: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Life:
    """How a run came to be: the settings it began with, and all that was asked of it, by step."""

    config: RunConfig
    moves: tuple[Move, ...]


def move_of(command: Command) -> Move:
    """An applied command as a move."""
    return Move(int(command.applied_step or 0), command.kind, dict(command.payload))


def life_of(store: Store, run_id: str) -> Life:
    """The life of a run so far; of a fork, from the beginning of the run that it goes on from.

    Raises:
        UnknownRunError: the store does not hold it, or the one that it goes on from.
    """
    run = store.run(run_id)
    own = tuple(map(move_of, store.history(run_id)))
    if run.parent_id is None:
        return Life(run.config, own)
    parent, at = life_of(store, run.parent_id), run.parent_step or 0
    before = tuple(move for move in parent.moves if move.step < at)
    changes = moves_to(live_after(parent.config, before), run.config, step=at)
    return Life(parent.config, (*before, *changes, *own))


def live_after(config: RunConfig, moves: Iterable[Move]) -> RunConfig:
    """The settings that hold after some moves."""
    live = config
    for move in moves:
        if move.kind is CommandKind.SET:
            live = override(live, {str(move.payload["field"]): move.payload["value"]})
        elif move.kind is CommandKind.EXTEND:
            live = override(live, {EPOCHS: live.training.epochs + int(move.payload["epochs"])})
    return live


def moves_to(before: RunConfig, after: RunConfig, *, step: int) -> tuple[Move, ...]:
    """What to ask at a step so that the settings ``before`` become those ``after``."""
    return tuple(
        Move(step, CommandKind.EXTEND, {"epochs": value - before.training.epochs})
        if name == EPOCHS
        else Move(step, CommandKind.SET, {"field": name, "value": _plain(value)})
        for name, value in differences(after, before).items()
    )


def parse_moves(texts: Iterable[str], config: RunConfig) -> tuple[Move, ...]:
    """Moves from what a person writes, in the order of their steps.

    ``120:regularizer.covariance_weight=5`` sets a live setting after 120 steps,
    ``300:training.epochs=40`` makes the run so long, ``400:stop`` ends it.

    Raises:
        ConfigError: a text that is none of these, or asks for what cannot be.
    """
    parts = [_split(text) for text in texts]
    live, moves = config, list[Move]()
    for step, what in sorted(parts, key=lambda part: part[0]):
        if what in ENDS:
            moves.append(Move(step, ENDS[what]))
            continue
        name, _, text = (part.strip() for part in what.partition("="))
        if split_name(name)[0] not in {*live_fields(), EPOCHS}:
            raise ConfigError(
                f"cannot change while a run trains; {', '.join((*live_fields(), EPOCHS))} can",
                field=name,
            )
        after = override(live, {name: text})
        if name == EPOCHS and after.training.epochs <= live.training.epochs:
            raise ConfigError(f"expected more than {live.training.epochs}, got {text}", field=name)
        moves += moves_to(live, after, step=step) if name == EPOCHS else [_set(step, name, after)]
        live = after
    return tuple(moves)


def moves_in_words(life: Life) -> list[str]:
    """What :func:`parse_moves` reads; what changes no weight of the network is left out."""
    words, live = list[str](), life.config
    for move in life.moves:
        if move.kind in ONLY_SHOWN:
            continue
        live = live_after(live, [move])
        match move.kind:
            case CommandKind.SET:
                name = str(move.payload["field"])
                what = f"{name}={as_text(move.payload['value'])}"
            case CommandKind.EXTEND:
                what = f"{EPOCHS}={live.training.epochs}"
            case _:
                what = move.kind.value
        words.append(f"{move.step}:{what}")
    return words


def _split(text: str) -> tuple[int, str]:
    step, colon, what = (part.strip() for part in text.partition(":"))
    if not (colon and step.isascii() and step.isdigit() and (what in ENDS or "=" in what)):
        raise ConfigError(
            f"expected step:setting=value or step:stop, got '{text}': for example "
            "120:regularizer.covariance_weight=5"
        )
    return int(step), what


def _set(step: int, name: str, after: RunConfig) -> Move:
    value = _plain(get_value(after, name))
    return Move(step, CommandKind.SET, {"field": name, "value": value})


def _plain(value: Any) -> Any:
    """A value as JSON keeps it."""
    return list(value) if isinstance(value, tuple) else value
