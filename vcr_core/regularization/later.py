"""Numbers of a device that the host looks at once they have come, without waiting for them.

    late = LateNumbers()
    late.add(loss, step)                      # in every step
    for value, step in late.arrived(): ...    # those of past steps that have come since

A number is copied to pinned memory behind all that the device still has to do, with an event after
it: once the event has happened, the number is there. On a processor it is there at once. Where a
device has no events, a number is looked at ``PATIENCE`` steps later; one that is not there even
then reads as 0.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Generic, NamedTuple, TypeVar

import torch
from torch import Tensor

T = TypeVar("T")

PATIENCE = 8
#: More steps than a device can be behind: CUDA's queue holds about a thousand operations.
MOST_ON_THEIR_WAY = 256


class _Late(NamedTuple, Generic[T]):
    """A number on the device, its copy on the host, the event after the copy, what it is about."""

    number: Tensor
    copy: Tensor
    event: torch.Event | None
    about: T


class LateNumbers(Generic[T]):
    """Scalars on their way to the host, in the order of adding, each with what it is about."""

    def __init__(self) -> None:
        self._queue: deque[_Late[T]] = deque()

    def add(self, number: Tensor, about: T) -> None:
        """Send a scalar on its way."""
        number = number.detach()
        copy, event = _sent(number)
        self._queue.append(_Late(number, copy, event, about))

    def arrived(self) -> Iterator[tuple[float, T]]:
        """Those that have come since the last call, oldest first.

        A device ``MOST_ON_THEIR_WAY`` numbers behind is waited for, so that memory stays bounded.
        """
        while self._queue and self._first_is_there():
            late = self._queue.popleft()
            yield late.copy.item(), late.about
        while len(self._queue) > MOST_ON_THEIR_WAY:
            yield self._waited_for()

    def all(self) -> Iterator[tuple[float, T]]:
        """All of them, oldest first; the host waits for those that are still to come."""
        while self._queue:
            yield self._waited_for()

    def _first_is_there(self) -> bool:
        first = self._queue[0]
        if first.event is not None:
            return first.event.query()
        return first.copy is first.number or len(self._queue) > PATIENCE

    def _waited_for(self) -> tuple[float, T]:
        late = self._queue.popleft()
        return late.number.item(), late.about


def _sent(number: Tensor) -> tuple[Tensor, torch.Event | None]:
    """A copy on the host that need not be there yet, and the event after it."""
    if number.is_cpu:
        return number, None
    copy = torch.zeros(number.shape, dtype=number.dtype, pin_memory=True)
    copy.copy_(number, non_blocking=True)
    try:
        return copy, torch.accelerator.current_stream(number.device).record_event()
    except RuntimeError:  # this kind of device has none
        return copy, None
