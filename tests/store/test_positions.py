"""What twins tell each other: how far they are, and what both were asked."""

from __future__ import annotations

import threading

import pytest

from vcr_core.config import RunConfig
from vcr_core.errors import RunTakenError, UnknownRunError
from vcr_core.store import CommandKind, RunState, Store

Pair = tuple[str, str]


@pytest.fixture
def pair(store: Store) -> Pair:
    return store.create_pair(RunConfig())


def test_twins_find_each_other_and_others_find_nobody(store: Store, pair: Pair) -> None:
    assert [store.twin_of(run_id) for run_id in pair] == [pair[1], pair[0]]
    assert store.twin_of(store.create_run(RunConfig())) is None
    assert store.twin_of("nobody") is None


def test_a_position_is_what_the_newest_attempt_wrote(store: Store, pair: Pair) -> None:
    run_id = pair[0]
    for attempt in (1, 2):
        before = RunState.QUEUED if attempt == 1 else RunState.INTERRUPTED
        assert store.move_run(run_id, before=before, after=RunState.STARTING)
        found = store.position(run_id)
        assert found is not None
        assert (found.reached, found.attempt) == (None, attempt)
        store.begin_position(run_id, attempt=attempt, reached=10 * attempt, hears=False)
        store.update_run(run_id, state=RunState.INTERRUPTED.value)
    store.write_position(run_id, attempt=1, reached=99, shown=99, hears=True)  # it was taken over
    found = store.position(run_id)
    assert found is not None
    assert (found.reached, found.shown, found.hears) == (20, 20, False)
    with pytest.raises(RunTakenError):
        store.begin_position(run_id, attempt=1, reached=5, hears=True)
    store.write_position(run_id, attempt=2, reached=30, shown=25, hears=True)
    found = store.position(run_id)
    assert found is not None
    assert (found.reached, found.shown, found.hears) == (30, 25, True)
    assert store.position("nobody") is None


def test_a_position_goes_with_its_run(store: Store, pair: Pair) -> None:
    store.begin_position(pair[0], attempt=0, reached=1, hears=True)
    store.delete_run(pair[0])
    found = store.position(pair[0])
    assert found is not None
    assert found.deleted
    assert store.purge() == [pair[0]]
    assert store.position(pair[0]) is None
    assert store.twin_of(pair[1]) is None


def test_what_both_are_asked_has_one_name_and_each_says_when_it_heard(
    store: Store, pair: Pair
) -> None:
    asked = store.ask_both(pair, CommandKind.SET, {"field": "a", "value": 1})
    first, second = (store.commands(run_id)[0] for run_id in pair)
    assert asked == {pair[0]: first.id, pair[1]: second.id}
    assert first.joint == second.joint != None  # noqa: E711
    assert (first.payload, first.offered_step) == ({"field": "a", "value": 1}, None)
    store.offer_step(first.id, 7)
    heard = store.joint_command(pair[0], str(first.joint))
    assert heard is not None
    assert (heard.id, heard.offered_step, heard.state) == (first.id, 7, "requested")
    assert store.joint_command(pair[1], "another") is None


def test_a_twin_that_is_over_refuses_and_one_that_is_not_there_stops_both(
    store: Store, pair: Pair
) -> None:
    store.update_run(pair[0], state=RunState.FINISHED.value)
    store.ask_both(pair, CommandKind.PAUSE)
    states = [store.commands(run_id)[0].state for run_id in pair]
    assert states == ["refused", "requested"]
    with pytest.raises(UnknownRunError):
        store.ask_both([pair[1], "nobody"], CommandKind.RESUME)
    assert len(store.commands(pair[1])) == 1


def test_twins_hear_what_both_are_asked_in_the_same_order(store: Store, pair: Pair) -> None:
    """Else each could wait for the other's answer to another command."""

    def ask(twins: list[str]) -> None:
        for _ in range(5):
            store.ask_both(twins, CommandKind.STEP)

    threads = [
        threading.Thread(target=ask, args=([*pair][:: 1 if place % 2 else -1],))
        for place in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    orders = [[command.joint for command in store.commands(run_id)] for run_id in pair]
    assert len(orders[0]) == 20
    assert orders[0] == orders[1]
