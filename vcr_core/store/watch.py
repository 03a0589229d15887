"""How long something has been silent, by this process's own clock.

Clocks of computers are set back and forth and differ between machines. So nobody subtracts the
time that another process wrote: one looks whether the sign of life *changed*, and counts the time
since then on a clock that only goes forward.
"""

from __future__ import annotations

import time


class SilenceWatch:
    """Remembers when each sign of life was first seen."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[object, float]] = {}

    def silence(self, name: str, sign: object) -> float:
        """Seconds since ``sign`` of ``name`` was first seen here; 0 where it just changed."""
        now = time.monotonic()
        last, since = self._seen.get(name, (None, now))
        if name not in self._seen or last != sign:
            self._seen[name] = (sign, now)
            return 0.0
        return now - since

    def forget(self, name: str) -> None:
        """Stop watching ``name``."""
        self._seen.pop(name, None)
