"""Requests at the dispatcher's desk: who gets them, what becomes of them when a worker does not."""

from __future__ import annotations

import threading

import pytest

from vcr_core.execution.desk import HELPER_IDLE_SECONDS, Desk
from vcr_core.execution.devices import Slot
from vcr_core.store import Answer, RequestState, Store


class Hand:
    """A worker that does what a test says."""

    slot = Slot("cpu")
    patience = 15.0
    was_ready = True

    def __init__(self, name: str = "here:7", run_id: str | None = None) -> None:
        self.name = name
        self.run_id = run_id
        self.request_id: int | None = None
        self.is_alive = True
        self.said_over = False
        self.killed = False

    @property
    def has_work(self) -> bool:
        return self.run_id is not None or self.request_id is not None

    @property
    def is_ready(self) -> bool:
        return self.is_alive and not self.has_work

    def give(self, run_id: str) -> None:
        self.run_id = run_id

    def ask(self, request_id: int) -> None:
        self.request_id = request_id

    def free(self) -> None:
        self.run_id = self.request_id = None

    def kill(self) -> None:
        self.killed, self.is_alive = True, False

    def dismiss(self) -> None:
        self.killed = True

    def obituary(self) -> str:
        return "the worker process died (killed by SIGKILL)"

    def last_words(self) -> str:
        return ""


class Hands:
    """A crew whose helper a test can hold."""

    threads = 1

    def __init__(self) -> None:
        self.bell = threading.Event()
        self.helpers: list[Hand] = []

    def hire_helper(self) -> Hand:
        self.helpers.append(Hand("here:helper"))
        return self.helpers[-1]


class Clock:
    """A clock that only goes forward when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr("vcr_core.execution.desk.time.monotonic", made)
    return made


@pytest.fixture
def crew() -> Hands:
    return Hands()


@pytest.fixture
def desk(store: Store, crew: Hands, clock: Clock) -> Desk:
    return Desk(store, crew)  # type: ignore[arg-type]


def ask(store: Store, page: int = 0, subject: str = "digits") -> int:
    return store.ask("samples", {"page": page}, patience=5.0, subject=subject)


def state(store: Store, request: int) -> RequestState:
    found = store.request(request)
    assert found is not None
    return found.state


def test_a_worker_that_trains_is_left_alone_and_one_at_leisure_answers(
    store: Store, desk: Desk
) -> None:
    request, busy, idle = ask(store), Hand("here:1", run_id="run"), Hand("here:2")
    desk.give_out([busy, idle])
    assert (busy.request_id, idle.request_id) == (None, request)
    assert state(store, request) is RequestState.WORKING
    store.answer_request(request, Answer())
    idle.said_over = True
    desk.settle(idle)
    assert idle.is_ready
    assert state(store, request) is RequestState.ANSWERED


def test_who_answered_about_the_same_images_is_asked_again(store: Store, desk: Desk) -> None:
    first, second = Hand("here:1"), Hand("here:2")
    for worker, subject in ((first, "digits"), (second, "sprites")):
        request = ask(store, subject=subject, page=len(subject))
        desk.give_out([worker])
        store.answer_request(request, Answer())
        worker.free()
    again = ask(store, page=99, subject="sprites")
    desk.give_out([first, second])
    assert (first.request_id, second.request_id) == (None, again)


def test_where_all_train_a_helper_is_called_and_let_go_when_idle(
    store: Store, desk: Desk, crew: Hands, clock: Clock
) -> None:
    request, busy = ask(store), Hand("here:1", run_id="run")
    desk.give_out([busy])
    desk.give_out([busy])
    assert len(crew.helpers) == 1
    assert crew.helpers[0].request_id == request
    store.answer_request(request, Answer())
    crew.helpers[0].said_over = True
    desk.give_out([busy])
    desk.look([busy])
    assert not crew.helpers[0].killed
    clock.now += HELPER_IDLE_SECONDS + 1
    desk.look([busy])
    assert crew.helpers[0].killed
    assert desk.helper is None


def test_a_worker_that_gets_ready_is_waited_for(store: Store, desk: Desk, crew: Hands) -> None:
    ask(store)
    starting = Hand("here:1")
    starting.is_alive = False  # not ready
    desk.give_out([Hand("here:2", run_id="run"), starting])
    desk.give_out([])
    assert crew.helpers == []


def test_a_worker_that_dies_is_replaced_once(store: Store, desk: Desk) -> None:
    request = ask(store)
    for expected in (RequestState.WAITING, RequestState.FAILED):
        worker = Hand()
        desk.give_out([worker])
        worker.is_alive = False
        desk.settle(worker)
        assert state(store, request) is expected
    found = store.request(request)
    assert found is not None
    assert "the worker process died (killed by SIGKILL), 2 times" in (found.error or "")


def test_what_takes_too_long_is_given_up_and_its_worker_ended(
    store: Store, desk: Desk, clock: Clock
) -> None:
    request, worker = ask(store), Hand()
    desk.give_out([worker])
    desk.look([worker])
    clock.now += 4.0
    desk.look([worker])
    assert not worker.killed
    clock.now += 2.0
    desk.look([worker])
    assert worker.killed
    found = store.request(request)
    assert found is not None
    assert found.error == "This could not be computed within 5 s: try again in a moment."


def test_requests_of_a_former_dispatcher_are_given_out_anew(store: Store, desk: Desk) -> None:
    request = ask(store)
    store.claim_request(request, worker="gone:1")
    desk.look([])
    worker = Hand()
    desk.give_out([worker])
    assert worker.request_id == request


def test_patience_is_for_the_work_and_not_for_the_queue_before_it(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr("vcr_core.execution.desk.time.monotonic", lambda: now[0])
    request, desk, worker = ask(store), Desk(store, Hands()), Hand("here:1")
    patience = store.open_requests()[0].patience
    desk.look([])
    now[0] += 0.8 * patience
    desk.give_out([worker])
    now[0] += 0.8 * patience
    desk.look([worker])
    assert state(store, request) is RequestState.WORKING
    assert not worker.killed
    now[0] += 0.8 * patience
    desk.look([worker])
    assert worker.killed


def test_a_helper_comes_where_one_worker_trains_and_the_other_answers(store: Store) -> None:
    hands = Hands()
    desk, answering = Desk(store, hands), Hand("here:2")
    answering.ask(99)
    ask(store)
    desk.give_out([Hand("here:1", run_id="run"), answering])
    assert len(hands.helpers) == 1
