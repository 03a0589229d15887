"""Lists of runs: every filter alone and together, every order, page by page, on both databases."""

from __future__ import annotations

import pytest

from vcr_core.config import RunConfig
from vcr_core.store import RunFilter, RunOrder, RunState, Store


def made(store: Store, *, preset: str = "custom", owner: str = "", **columns: object) -> str:
    run = store.create_run(RunConfig(), preset=preset, owner=owner)
    if columns:
        store.update_run(run, **columns)
    return run


def found(store: Store, wanted: RunFilter, order: RunOrder = RunOrder.NEWEST) -> list[str]:
    return [run.id for run in store.find_runs(wanted, order=order).runs]


def test_every_filter_finds_what_it_names_and_nothing_else(store: Store) -> None:
    plain = made(store)
    named = made(store, name="Warm 100% start", notes="see <b>Tuesday</b>", tags=["good", "日本"])
    other = made(store, preset="digits-parity", owner="kim", state=RunState.FAILED.value)
    study = store.create_run(RunConfig(), study_id="s1")
    store.delete_run(plain)
    for wanted, expected in (
        (RunFilter(), [study, other, named]),
        (RunFilter(text="warm"), [named]),
        (RunFilter(text="100%"), [named]),
        (RunFilter(text="10_%"), []),
        (RunFilter(text="tuesday START"), [named]),
        (RunFilter(text="日本"), [named]),
        (RunFilter(text="kim"), [other]),
        (RunFilter(text=named[:6]), [named]),
        (RunFilter(text="'; drop table runs; --"), []),
        (RunFilter(states=[RunState.FAILED]), [other]),
        (RunFilter(presets=["digits-parity"]), [other]),
        (RunFilter(tags=["good"]), [named]),
        (RunFilter(tags=["good", "日本"]), [named]),
        (RunFilter(tags=["goo"]), []),
        (RunFilter(owners=["kim"], presets=["custom"]), []),
        (RunFilter(studies=["s1"]), [study]),
        (RunFilter(deleted=True), [plain]),
    ):
        assert found(store, wanted) == expected, wanted


def test_orders_put_runs_without_the_number_last(store: Store) -> None:
    poor = made(store, name="b", result={"source_accuracy": 0.5, "transfer": {"x": 0.9, "y": 0.7}})
    rich = made(store, name="A", result={"source_accuracy": 0.9, "transfer": {"x": 0.6}})
    none = made(store, training_seconds=9.0)
    assert found(store, RunFilter(), RunOrder.NEWEST) == [none, rich, poor]
    assert found(store, RunFilter(), RunOrder.OLDEST) == [poor, rich, none]
    assert found(store, RunFilter(), RunOrder.NAME) == [rich, poor, none]
    assert found(store, RunFilter(), RunOrder.SOURCE) == [rich, poor, none]
    assert found(store, RunFilter(), RunOrder.TRANSFER) == [poor, rich, none]
    assert found(store, RunFilter(), RunOrder.LONGEST)[0] == none


@pytest.mark.parametrize("order", RunOrder)
def test_pages_together_are_the_whole_list_once(store: Store, order: RunOrder) -> None:
    runs = {made(store, name=str(number % 3)) for number in range(7)}
    pages = [store.find_runs(order=order, offset=start, limit=3) for start in (0, 3, 6, 9)]
    assert {page.total for page in pages} == {7}
    listed = [run.id for page in pages for run in page.runs]
    assert len(listed) == 7
    assert set(listed) == runs


def test_facets_are_the_values_that_occur(store: Store) -> None:
    made(store, preset="digits-parity", owner="kim", tags=["b", "a"])
    made(store, state=RunState.FINISHED.value, tags=["a"])
    store.delete_run(made(store, preset="gone", tags=["gone"]))
    facets = store.run_facets()
    assert facets.states == {RunState.QUEUED: 1, RunState.FINISHED: 1}
    assert facets.presets == ("custom", "digits-parity")
    assert (facets.tags, facets.owners, facets.studies) == (("a", "b"), ("kim",), ())
    assert facets.deleted == 1
