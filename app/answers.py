"""Ask workers what needs torch, and show something in its place until the answers are there.

An answer that comes within a second is drawn by the script run that asked; for a later one a
fragment looks in twice a second. What was answered stays in this server's memory.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from typing import Any

import streamlit as st

from app.state import lab_store
from app.texts import plain, tr
from app.texts.errors import told
from vcr_core.execution.questions import Question
from vcr_core.store import Answer, RequestState

WAIT_SECONDS = 0.9
LOOK_SECONDS = 0.1
TICK_SECONDS = 0.5
POLL_SECONDS = 0.02
GRACE_SECONDS = 15.0  # the dispatcher gives up first, and says why
MOST_KEPT = 200
STARTING_SECONDS = 3.0

Show = Callable[..., None]


class _NotAnsweredError(Exception):
    """There is no answer yet; an exception, because those are not kept."""


class _Refused(Exception):  # noqa: N818  not an error of ours: there will be no answer
    """Why there will be no answer."""


def with_answers(
    questions: Sequence[Question], show: Show, waiting: Callable[[str], None], *, key: str
) -> None:
    """Call ``show`` with the answers, in order; until they are there, ``waiting`` with a sentence.

    Both draw into the same place. Where there will be no answer, the reason stands there, and a
    button to try again.
    """
    place = st.empty()
    try:
        found = _look(questions, 0.0)
        if found is None:
            with place.container():
                waiting("\u00a0")
            found = _look(questions, WAIT_SECONDS)
    except _Refused as error:
        with place.container():
            _say_why(questions, told(error), key)
        return
    with place.container():
        if found is None:
            st.fragment(_wait, run_every=TICK_SECONDS)(questions, waiting)
        else:
            show(*found)


def _wait(questions: Sequence[Question], waiting: Callable[[str], None]) -> None:
    """What stands there until the answers come; then the page draws itself anew."""
    try:
        found = _look(questions, LOOK_SECONDS)
    except _Refused:
        st.rerun()
    if found is not None:
        st.rerun()
    waiting(_why_it_takes_time(questions))


def _look(questions: Sequence[Question], seconds: float) -> list[Answer] | None:
    """The answers, if all are there within some seconds.

    Raises:
        _Refused: one of them will never come.
    """
    deadline = time.monotonic() + seconds
    while True:
        found = [_answer(question) for question in questions]
        answers = [answer for answer in found if answer is not None]
        if len(answers) == len(questions):
            return answers
        if time.monotonic() >= deadline:
            return None
        time.sleep(POLL_SECONDS)


def _answer(question: Question) -> Answer | None:
    try:
        return _kept(lab_store().url, question.kind, json.dumps(question.arguments()), question)
    except _NotAnsweredError:
        return None


@st.cache_data(show_spinner=False, max_entries=MOST_KEPT)
def _kept(url: str, kind: str, arguments: str, _question: Question) -> Answer:
    """The answer to a question, asked where it was not yet."""
    store, asked = lab_store(), _asked()
    name = f"{url} {kind} {arguments}"
    request_id, since = asked.get(name, (0, 0.0))
    if not request_id:
        request_id = store.ask(
            kind, _question.arguments(), patience=_question.patience, subject=_question.subject
        )
        asked[name] = request_id, time.monotonic()
        since = time.monotonic()
    request = store.request(request_id)
    if request is None:  # thrown away meanwhile
        asked.pop(name)
        raise _NotAnsweredError
    if request.state is RequestState.FAILED:
        raise _Refused(request.error or "")
    answer = store.answer_to(request_id) if request.state is RequestState.ANSWERED else None
    if answer is not None:
        asked.pop(name)
        return answer
    if time.monotonic() - since > _question.patience + GRACE_SECONDS:
        raise _Refused(tr("No worker has answered. Is the machine very busy?"))
    raise _NotAnsweredError


def _asked() -> dict[str, tuple[int, float]]:
    """The requests that this visitor waits for, and since when."""
    found: dict[str, tuple[int, float]] = st.session_state.setdefault("asked", {})
    return found


def _why_it_takes_time(questions: Sequence[Question]) -> str:
    """A sentence for who waits longer than a moment."""
    since = [moment for _, moment in _asked().values()]
    if since and time.monotonic() - min(since) > STARTING_SECONDS:
        return tr("A worker is getting ready. The first answer takes a few seconds.")
    return tr("One moment …")


def _say_why(questions: Sequence[Question], reason: str, key: str) -> None:
    st.warning(plain(reason), icon=":material/image_not_supported:")
    st.button(
        tr("Try again"),
        icon=":material/refresh:",
        key=f"{key}:again",
        on_click=_forget,
        args=(questions,),
    )


def _forget(questions: Sequence[Any]) -> None:
    """Ask anew what was refused."""
    _asked().clear()
