"""The part of the store that knows requests: what a page needs from torch, and the answers.

A page asks (:meth:`RequestRows.ask`), the dispatcher claims the request for a worker that has
nothing to train, the worker answers. An answer is plain facts (JSON) and arrays, never a pickle.
"""

from __future__ import annotations

import hashlib
import io
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Row, select, update

from vcr_core.store import schema
from vcr_core.store.connection import Connected
from vcr_core.store.runs import clean

KEPT_SECONDS = 3600.0
"""An answer is kept for so long, so that whoever asks the same has it at once."""
PLAIN = "biuf"  # kinds of NumPy types: booleans, whole numbers, floats
_requests = schema.requests
_OPEN = ("waiting", "working")
_WITHOUT_ANSWER = [column for column in _requests.c if column.name not in {"facts", "arrays"}]


class RequestState(StrEnum):
    """The life of a request."""

    WAITING = "waiting"
    WORKING = "working"
    ANSWERED = "answered"
    FAILED = "failed"


@dataclass(frozen=True)
class Request:
    """One thing that somebody asked, and how it stands.

    ``subject`` names what must be in memory to answer: a worker that answered about the same
    before is the quickest. ``patience`` are the seconds in which an answer is of use. ``tries``
    counts the workers that got it. ``error`` says why there is no answer.
    """

    id: int
    kind: str
    arguments: Mapping[str, Any]
    subject: str
    patience: float
    state: RequestState
    tries: int
    worker: str
    error: str | None


@dataclass(frozen=True)
class Answer:
    """What a worker found: ``facts`` are plain JSON, ``arrays`` booleans, whole numbers, floats."""

    facts: Mapping[str, Any] = field(default_factory=dict)
    arrays: Mapping[str, NDArray[Any]] = field(default_factory=dict)


class RequestRows(Connected):
    """Rows of the table ``requests``."""

    def ask(
        self,
        kind: str,
        arguments: Mapping[str, Any],
        *,
        patience: float,
        subject: str = "",
    ) -> int:
        """Ask something of any worker; returns the request's id.

        What is being asked already, or was answered lately, is not asked again: its id comes back.
        """
        key = _key(kind, arguments)
        row = {
            "kind": kind,
            "arguments": dict(arguments),
            "key": key,
            "subject": subject,
            "patience": patience,
            "state": RequestState.WAITING.value,
            "asked_at": time.time(),
        }
        same = (
            select(_requests.c.id)
            .where(_requests.c.key == key, _requests.c.state != RequestState.FAILED.value)
            .order_by(_requests.c.id.desc())
            .limit(1)
        )
        with self._writing() as connection:
            known = connection.scalar(same)
            if known is not None:
                return int(known)
            made = connection.execute(_requests.insert().values(**row)).inserted_primary_key
        return int(made[0]) if made else 0

    def request(self, request_id: int) -> Request | None:
        """A request by its id; None where it was thrown away."""
        query = select(*_WITHOUT_ANSWER).where(_requests.c.id == request_id)
        with self._reading() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else _request(row)

    def answer_to(self, request_id: int) -> Answer | None:
        """The answer to a request; None where there is none (yet)."""
        query = select(_requests.c.facts, _requests.c.arrays).where(
            _requests.c.id == request_id, _requests.c.state == RequestState.ANSWERED.value
        )
        with self._reading() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else Answer(row.facts or {}, unpack(row.arrays or b""))

    def open_requests(self, *, limit: int = 100) -> list[Request]:
        """The requests that wait for a worker or for its answer, the oldest first."""
        query = (
            select(*_WITHOUT_ANSWER)
            .where(_requests.c.state.in_(_OPEN))
            .order_by(_requests.c.id)
            .limit(limit)
        )
        with self._reading() as connection:
            return [_request(row) for row in connection.execute(query)]

    def claim_request(self, request_id: int, *, worker: str) -> bool:
        """Give a waiting request to a worker; says whether it still was waiting."""
        with self._writing() as connection:
            moved = connection.execute(
                update(_requests)
                .where(_requests.c.id == request_id)
                .where(_requests.c.state == RequestState.WAITING.value)
                .values(
                    state=RequestState.WORKING.value,
                    worker=worker,
                    tries=_requests.c.tries + 1,
                )
            )
        return moved.rowcount == 1

    def return_request(self, request_id: int) -> None:
        """Let a request wait again whose worker is gone."""
        with self._writing() as connection:
            connection.execute(
                update(_requests)
                .where(_requests.c.id == request_id)
                .where(_requests.c.state == RequestState.WORKING.value)
                .values(state=RequestState.WAITING.value, worker="")
            )

    def answer_request(self, request_id: int, answer: Answer) -> None:
        """Write the answer down, unless the request is settled already or was thrown away.

        Raises:
            TypeError: an array of Python objects, which only a pickle could hold.
        """
        self._settle(
            request_id,
            state=RequestState.ANSWERED.value,
            facts=dict(answer.facts),
            arrays=pack(answer.arrays),
        )

    def fail_request(self, request_id: int, error: str) -> None:
        """Write down why there is no answer, unless the request is settled already."""
        self._settle(request_id, state=RequestState.FAILED.value, error=error)

    def _settle(self, request_id: int, **values: Any) -> None:
        with self._writing() as connection:
            connection.execute(
                update(_requests)
                .where(_requests.c.id == request_id, _requests.c.state.in_(_OPEN))
                .values(answered_at=time.time(), **clean(values))
            )

    def purge_requests(self, *, older_than: float = KEPT_SECONDS) -> int:
        """Throw away what was settled over ``older_than`` seconds ago; returns how many."""
        gone = (
            _requests.delete()
            .where(_requests.c.answered_at <= time.time() - older_than)
            .where(_requests.c.state.not_in(_OPEN))
        )
        with self._writing() as connection:
            return int(connection.execute(gone).rowcount)


def pack(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Arrays as the bytes of an ``.npz`` file.

    Raises:
        TypeError: an array of Python objects.
    """
    for name, array in arrays.items():
        if array.dtype.kind not in PLAIN:
            raise TypeError(
                f"expected booleans, whole numbers or floats for '{name}', got {array.dtype}"
            )
    stream = io.BytesIO()
    np.savez(stream, **dict(arrays))  # type: ignore[arg-type]  # a name may not be 'allow_pickle'
    return stream.getvalue()


def unpack(data: bytes) -> dict[str, NDArray[Any]]:
    """The arrays of :func:`pack`."""
    if not data:
        return {}
    with np.load(io.BytesIO(data), allow_pickle=False) as found:
        return {name: found[name] for name in found.files}


def _key(kind: str, arguments: Mapping[str, Any]) -> str:
    text = json.dumps([kind, arguments], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _request(row: Row[Any]) -> Request:
    return Request(
        row.id,
        row.kind,
        row.arguments,
        row.subject,
        row.patience,
        RequestState(row.state),
        row.tries,
        row.worker,
        row.error,
    )
