"""Parts of the page that many visitors ask for each second take turns.

Python runs one thread at a time. Thirty that want the same second do not get on faster at once:
they interrupt each other in the middle of what the others wait for, and all of them are late.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from threading import BoundedSemaphore
from typing import ParamSpec

from app.state import lab_store

AT_ONCE = 2  # while one waits for the store, another can go on
_turns = BoundedSemaphore(AT_ONCE)
Arguments = ParamSpec("Arguments")


def in_turn(part: Callable[Arguments, None]) -> Callable[Arguments, None]:
    """A part of the page that is drawn when it is its turn, and reads over one connection."""

    @wraps(part)
    def shown(*args: Arguments.args, **kwargs: Arguments.kwargs) -> None:
        with _turns, lab_store().one_connection():
            part(*args, **kwargs)

    return shown
