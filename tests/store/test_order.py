"""Whose run is next: fair between owners, first come first served within each."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from vcr_core.config import RunConfig
from vcr_core.store import RunState, Store
from vcr_core.store.order import Waiting, fair_order


def line(*owners: str) -> list[Waiting]:
    return [Waiting(f"{owner}{number}", owner, None, number) for number, owner in enumerate(owners)]


def test_one_owner_is_served_in_the_order_of_asking() -> None:
    assert fair_order(line("a", "a", "a"), []) == ["a0", "a1", "a2"]


def test_thirty_runs_of_one_do_not_hold_up_the_first_of_another() -> None:
    order = fair_order(line(*"a" * 30, "b"), [])
    assert order.index("b30") == 1


def test_owners_take_turns() -> None:
    assert fair_order(line("a", "a", "b", "b", "c"), []) == ["a0", "b2", "c4", "a1", "b3"]


def test_who_was_served_lately_waits_for_those_who_were_not() -> None:
    assert fair_order(line("a", "b", "b"), ["a", "a"]) == ["b1", "b2", "a0"]


def test_twins_stay_together() -> None:
    runs = [
        Waiting("a-base", "a", "pair", 1),
        Waiting("b1", "b", None, 2),
        Waiting("a-vcr", "a", "pair", 3),
        Waiting("a4", "a", None, 4),
    ]
    assert fair_order(runs, []) == ["a-base", "a-vcr", "b1", "a4"]


@given(st.lists(st.sampled_from("abc"), max_size=20), st.lists(st.sampled_from("abc")))
def test_nobody_is_lost_and_nobody_overtakes_within_an_owner(
    owners: list[str], served: list[str]
) -> None:
    runs = line(*owners)
    order = fair_order(runs, served)
    assert sorted(order) == sorted(run.id for run in runs)
    for owner in set(owners):
        own = [run.id for run in runs if run.owner == owner]
        assert [run_id for run_id in order if run_id in own] == own


def test_the_store_counts_runs_in_work_and_those_started_lately(store: Store) -> None:
    for state in (RunState.RUNNING, RunState.FINISHED):
        started = store.create_run(RunConfig(), owner="busy", state=state)
        store.update_run(started, started_at=1000.0)
    first = store.create_run(RunConfig(), owner="busy")
    second = store.create_run(RunConfig(), owner="idle")
    third = store.create_run(RunConfig(), owner="idle")
    assert store.queue() == [second, third, first]
