"""What a viewer asks in the protocol's words, and what the store then holds."""

from __future__ import annotations

from typing import Any

import pytest

from vcr_core.config import RunConfig
from vcr_core.errors import ConfigError
from vcr_core.live_view import ENGLISH
from vcr_core.live_view.asked import current_value, moves
from vcr_core.live_view.commands import obey
from vcr_core.live_view.knobs import KNOBS, buttons, knobs
from vcr_core.live_view.watched import Watched, find_watched
from vcr_core.store import CommandKind, RunState, Store

VARIANCE, RATE = "regularizer.variance_weight", "optimizer.learning_rate"


def pair(store: Store, state: RunState = RunState.RUNNING) -> Watched:
    runs = store.create_pair(RunConfig())
    for run in runs:
        store.update_run(run, state=state.value, total_steps=460)
    return find_watched(store, runs[1])


def asked(store: Store, watched: Watched) -> list[list[tuple[str, dict[str, Any]]]]:
    """Kinds and payloads of all commands, of the baseline and of the regularised run."""
    return [
        [(each.kind.value, dict(each.payload)) for each in store.commands(run.id)]
        for run in watched.runs
    ]


def test_a_weight_turns_the_regularised_run_and_the_learning_rate_both(store: Store) -> None:
    watched = pair(store)
    obey(store, watched, {"do": "set", "field": VARIANCE, "value": 3.0})
    obey(store, watched, {"do": "set", "field": RATE, "value": 0.01})
    rate = ("set", {"field": RATE, "value": 0.01})
    assert asked(store, watched) == [[rate], [("set", {"field": VARIANCE, "value": 3.0}), rate]]


@pytest.mark.parametrize(
    ("message", "payload"),
    [
        ({"do": "step"}, {}),
        ({"do": "step", "n": 5}, {"n": 5}),
        ({"do": "slow", "seconds": 0.5}, {"seconds": 0.5}),
        ({"do": "extend", "epochs": 2}, {"epochs": 2}),
        ({"do": "pause"}, {}),
        ({"do": "stop"}, {}),
    ],
)
def test_both_twins_are_asked_at_once(
    store: Store, message: dict[str, Any], payload: dict[str, Any]
) -> None:
    watched = pair(store)
    obey(store, watched, message)
    assert asked(store, watched) == [[(message["do"], payload)]] * 2


def test_a_pause_that_comes_twice_counts_once_and_only_what_is_paused_is_resumed(
    store: Store,
) -> None:
    watched = pair(store)
    obey(store, watched, {"do": "resume"})
    assert buttons(store, watched) == ("pause", "step", "stop")
    for _ in range(2):
        obey(store, watched, {"do": "pause"})
    assert buttons(store, watched) == ("resume", "step", "stop")
    obey(store, watched, {"do": "resume"})
    assert [kind for kind, _ in asked(store, watched)[1]] == ["pause", "resume"]


def test_a_run_that_waits_in_the_queue_is_stopped_without_being_asked(store: Store) -> None:
    watched = pair(store, RunState.QUEUED)
    obey(store, watched, {"do": "stop"})
    assert asked(store, watched) == [[], []]
    assert [store.run(run.id).state for run in watched.runs] == [RunState.STOPPED] * 2


def test_undo_turns_a_dragged_knob_back_in_one_go(store: Store) -> None:
    watched = pair(store)
    for value in (3.0, 10.0, 30.0):
        obey(store, watched, {"do": "set", "field": VARIANCE, "value": value})
    (move,) = moves(store, watched.main, ENGLISH.say)
    assert (move.what, move.state) == ("Variance weight 1 → 30", "requested")
    obey(store, watched, {"do": "undo"})
    assert current_value(store, watched.main, VARIANCE) == 1.0
    obey(store, watched, {"do": "undo"})
    assert len(asked(store, watched)[1]) == 4


def test_knobs_stand_where_they_were_turned_also_between_their_stops(store: Store) -> None:
    watched = pair(store)
    obey(store, watched, {"do": "set", "field": VARIANCE, "value": 2.5})
    shown = {knob.field: knob for knob in knobs(store, watched, ENGLISH.say)}
    assert shown.keys() == KNOBS.keys()
    assert shown[VARIANCE].value == 2.5
    assert shown[VARIANCE].options == tuple(sorted({*KNOBS[VARIANCE], 2.5}))
    assert "both twins" in shown[RATE].help
    assert "both twins" not in shown[VARIANCE].help


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ({}, "do: expected one of set, pause, .*, got None"),
        ({"do": "delete"}, "expected one of set, pause, .*, got 'delete'"),
        ({"do": ["set"]}, r"expected one of .*, got \['set'\]"),
        ({"do": "pause", "seconds": 3}, "pause: expected nothing more, got seconds"),
        ({"do": "step", "steps": 3}, "step: expected n, got steps"),
        ({"do": "set", "field": VARIANCE}, f"expected a value for {VARIANCE}, got none"),
        ({"do": "set", "field": "data.source", "value": "x"}, "cannot change while a run trains"),
        ({"do": "set", "field": 3, "value": "x"}, "3 cannot change while a run trains"),
    ],
)
def test_what_is_no_command_is_refused_and_nothing_is_asked(
    store: Store, message: dict[str, Any], said: str
) -> None:
    watched = pair(store)
    with pytest.raises(ConfigError, match=said):
        obey(store, watched, message)
    assert asked(store, watched) == [[], []]


def test_what_was_refused_moves_no_knob(store: Store) -> None:
    watched = pair(store)
    obey(store, watched, {"do": "set", "field": VARIANCE, "value": -3.0})
    (command,) = store.commands(watched.main.id)
    assert command.kind is CommandKind.SET
    store.settle_command(command.id, applied_step=None, reason="negative")
    assert current_value(store, watched.main, VARIANCE) == 1.0
    (move,) = moves(store, watched.main, ENGLISH.say)
    assert (move.state, move.reason) == ("refused", "negative")
