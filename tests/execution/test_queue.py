"""A waiting run's place and wait, from the store alone."""

from __future__ import annotations

import pytest

from vcr_core.config import RunConfig, override
from vcr_core.errors import UnknownRunError
from vcr_core.execution import place, places
from vcr_core.store import RunState, Store

CONFIG = override(RunConfig(), {"data.dataset": "digits", "data.source": "parity"})


def finished(store: Store, config: RunConfig, seconds: float) -> None:
    run_id = store.create_run(config, state=RunState.FINISHED)
    store.update_run(run_id, training_seconds=seconds)


def training(store: Store, config: RunConfig, *, step: int, total: int, seconds: float) -> None:
    run_id = store.create_run(config, state=RunState.RUNNING)
    store.update_run(run_id, step=step, total_steps=total, training_seconds=seconds)


def test_nothing_is_known_before_any_run_finished(store: Store) -> None:
    run_id = store.create_run(CONFIG)
    training(store, CONFIG, step=0, total=0, seconds=0.0)
    found = place(store, run_id)
    assert found is not None
    assert (found.position, found.length, found.wait_seconds) == (1, 1, None)


def test_a_run_waits_for_the_slots_to_become_free(store: Store) -> None:
    training(store, CONFIG, step=10, total=40, seconds=10.0)  # 30 s left
    training(store, CONFIG, step=30, total=40, seconds=30.0)  # 10 s left
    finished(store, CONFIG, 100.0)
    first, second, third = (store.create_run(CONFIG) for _ in range(3))
    found = places(store)
    assert [found[run_id].position for run_id in (first, second, third)] == [1, 2, 3]
    waits = [found[run_id].wait_seconds for run_id in (first, second, third)]
    assert waits == pytest.approx([10.0, 30.0, 110.0])


def test_the_wait_goes_by_similar_runs_and_their_epochs(store: Store) -> None:
    finished(store, override(CONFIG, {"training.epochs": 10}), 50.0)
    finished(store, override(CONFIG, {"training.epochs": 10, "model.width": 64}), 5000.0)
    finished(store, RunConfig(), 9000.0)
    for _ in range(2):
        store.create_run(override(CONFIG, {"training.epochs": 20}))
    last = store.create_run(CONFIG)
    found = place(store, last)
    assert found is not None
    assert found.wait_seconds == pytest.approx(100.0)


def test_a_run_that_does_not_wait_has_no_place(store: Store) -> None:
    assert place(store, store.create_run(CONFIG, state=RunState.RUNNING)) is None
    with pytest.raises(UnknownRunError, match="got 'nobody'"):
        place(store, "nobody")
