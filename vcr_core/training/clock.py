"""Where the seconds of a run go."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Clock:
    """Seconds of training, pauses and waiting left out; ``probing`` are those of evaluations."""

    def __init__(self, seconds: float = 0.0) -> None:
        self._spent = seconds
        self._since: float | None = time.perf_counter()
        self.probing = 0.0
        self.last_probe = 0.0

    @property
    def seconds(self) -> float:
        running = time.perf_counter() - self._since if self._since is not None else 0.0
        return self._spent + running

    @property
    def runs(self) -> bool:
        return self._since is not None

    def pause(self) -> None:
        self._spent, self._since = self.seconds, None

    def resume(self) -> None:
        self._since = time.perf_counter()

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Leave out what happens inside."""
        began = time.perf_counter()
        yield
        if self._since is not None:
            self._since += time.perf_counter() - began

    @contextmanager
    def probe(self) -> Iterator[None]:
        """Count what happens inside as an evaluation."""
        began = self.seconds
        yield
        self.last_probe = self.seconds - began
        self.probing += self.last_probe
