"""Requests: asked once, claimed once, answered once, kept for a while, never a pickle."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import update

from vcr_core.store import Answer, RequestState, Store, schema
from vcr_core.store.cleaning import clean_store
from vcr_core.store.requests import KEPT_SECONDS

QUESTION = {"data": "digits", "page": 0}


def ask(store: Store, **changes: object) -> int:
    return store.ask("samples", {**QUESTION, **changes}, patience=5.0, subject="digits")


def test_the_same_question_is_one_request_until_it_fails(store: Store) -> None:
    first, other = ask(store), ask(store, page=1)
    assert first != other
    assert ask(store) == first
    store.answer_request(first, Answer({"total": 3}))
    assert ask(store) == first
    store.fail_request(other, "no such file")
    assert ask(store, page=1) not in {first, other}


def test_an_answer_comes_back_as_it_was_given(store: Store) -> None:
    request = ask(store)
    assert store.answer_to(request) is None
    images = np.arange(24, dtype=np.uint8).reshape(2, 3, 2, 2)
    arrays = {"images": images, "labels/shape": np.array([1, 0]), "points": np.zeros((0, 2))}
    store.answer_request(request, Answer({"total": 2, "names": ["a", "b"]}, arrays))
    answer = store.answer_to(request)
    assert answer is not None
    assert answer.facts == {"total": 2, "names": ["a", "b"]}
    assert answer.arrays.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(answer.arrays[name], array)
        assert answer.arrays[name].dtype == array.dtype


def test_objects_that_only_a_pickle_could_hold_are_refused(store: Store) -> None:
    request = ask(store)
    with pytest.raises(TypeError, match="expected booleans, whole numbers or floats for 'x'"):
        store.answer_request(request, Answer({}, {"x": np.array([{"a": 1}])}))
    assert store.answer_to(request) is None


def test_one_worker_gets_a_request_and_the_first_word_on_it_stands(store: Store) -> None:
    request = ask(store)
    assert store.claim_request(request, worker="here:1")
    assert not store.claim_request(request, worker="here:2")
    store.return_request(request)
    assert store.claim_request(request, worker="here:2")
    found = store.request(request)
    assert found is not None
    assert (found.state, found.worker, found.tries) == (RequestState.WORKING, "here:2", 2)
    store.fail_request(request, "too slow\x00")
    store.answer_request(request, Answer({"late": True}))
    found = store.request(request)
    assert found is not None
    assert (found.state, found.error) == (RequestState.FAILED, "too slow")
    assert store.answer_to(request) is None


def test_open_requests_are_listed_in_order_and_outlive_a_purge(store: Store) -> None:
    waiting, answered, working = ask(store), ask(store, page=1), ask(store, page=2)
    store.answer_request(answered, Answer())
    store.claim_request(working, worker="here:1")
    assert [request.id for request in store.open_requests()] == [waiting, working]
    assert store.purge_requests(older_than=KEPT_SECONDS) == 0
    assert store.purge_requests(older_than=-1.0) == 1
    assert store.request(answered) is None
    assert store.request(waiting) is not None


def test_cleaning_a_store_takes_old_answers_along(store: Store, tmp_path: Path) -> None:
    old, young, waiting = ask(store), ask(store, page=1), ask(store, page=2)
    for request in (old, young):
        store.answer_request(request, Answer({"total": 1}))
    table = schema.requests
    with store._engine.begin() as connection:
        connection.execute(update(table).where(table.c.id == old).values(answered_at=1.0))
    clean_store(store, older_than=0.0, root=str(tmp_path), dry_run=True)
    assert store.request(old) is not None
    clean_store(store, older_than=0.0, root=str(tmp_path))
    assert store.request(old) is None
    assert store.answer_to(young) is not None
    assert store.request(waiting) is not None
