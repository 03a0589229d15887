"""What runs have reported of late, read once for all parts of a page that show it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, Protocol, TypeVar

from vcr_core.store import Command, Metric, Snapshot

MOST_NUMBERS = 2000  # at once
MOST_ARRAYS = 200


class Readable(Protocol):
    """What the figures read of a store."""

    def metrics(
        self,
        run_id: str,
        *,
        after: int = 0,
        names: Sequence[str] | None = None,
        limit: int | None = None,
    ) -> list[Metric]: ...

    def snapshots(
        self,
        run_id: str,
        *,
        kinds: Sequence[str] | None = None,
        layers: Sequence[str] | None = None,
        steps: Sequence[int] | None = None,
        after: int = 0,
        limit: int | None = None,
    ) -> list[Snapshot]: ...

    def latest_snapshot(
        self, run_id: str, layer: str, kind: str, *, after: int = 0, step: int | None = None
    ) -> Snapshot | None: ...

    def snapshot_steps(self, run_id: str, layer: str, kind: str) -> list[int]: ...

    def commands(self, run_id: str) -> list[Command]: ...


Row = TypeVar("Row", Metric, Snapshot)


class _Window(Generic[Row]):
    """All rows of a run after the row ``since``: those of the last look and of the one before.

    Cursors of readers stand at the last row that they wanted, somewhere in the look before.
    """

    def __init__(self, since: int) -> None:
        self.since = self._last_look = since
        self._rows: list[Row] = []
        self._asked = True

    @property
    def end(self) -> int:
        return self._rows[-1].id if self._rows else self._last_look

    def goes_on(self, new: list[Row], most: int) -> bool:
        """Take in what is new; not where nobody asked since, nor ``most``, which is a backlog.

        Whoever shows a backlog asks for what it needs of it.
        """
        if not self._asked or len(new) == most:
            return False
        self._asked = False
        if new:
            end = self.end
            self._rows = self.after(self._last_look) + new
            self.since, self._last_look = self._last_look, end
        return True

    def reaches(self, row: int) -> bool:
        """Whether it holds all rows after this one, which somebody asks for."""
        self._asked = True
        return row >= self.since

    def after(self, row: int) -> list[Row]:
        return [each for each in self._rows if each.id > row]


class Recent:
    """A store, as somebody reads it who looks at the same runs again and again.

    After :meth:`look`, what is asked about rows of late is answered from what it read; everything
    else goes on to the store.
    """

    def __init__(self, store: Readable) -> None:
        self._store = store
        self._numbers: dict[str, _Window[Metric]] = {}
        self._arrays: dict[str, _Window[Snapshot]] = {}

    def look(self) -> None:
        """Read what is new; arrays first, so that a report's numbers are there with them.

        Runs that nobody has asked for since the last look are left out from now on.
        """
        for run, arrays in list(self._arrays.items()):
            new = self._store.snapshots(run, after=arrays.end, limit=MOST_ARRAYS)
            if not arrays.goes_on(new, MOST_ARRAYS):
                del self._arrays[run]
        for run, numbers in list(self._numbers.items()):
            rows = self._store.metrics(run, after=numbers.end, limit=MOST_NUMBERS)
            if not numbers.goes_on(rows, MOST_NUMBERS):
                del self._numbers[run]

    def metrics(
        self,
        run_id: str,
        *,
        after: int = 0,
        names: Sequence[str] | None = None,
        limit: int | None = None,
    ) -> list[Metric]:
        """As :meth:`vcr_core.store.Store.metrics`."""
        window = self._numbers.get(run_id)
        if window is None or not window.reaches(after):
            rows = self._store.metrics(run_id, after=after, names=names, limit=limit)
            return _noted(self._numbers, run_id, rows)
        wanted = None if names is None else frozenset(names)
        found = [row for row in window.after(after) if wanted is None or row.name in wanted]
        return found[:limit]

    def snapshots(
        self,
        run_id: str,
        *,
        kinds: Sequence[str] | None = None,
        layers: Sequence[str] | None = None,
        steps: Sequence[int] | None = None,
        after: int = 0,
        limit: int | None = None,
    ) -> list[Snapshot]:
        """As :meth:`vcr_core.store.Store.snapshots`."""
        window = self._arrays.get(run_id)
        if window is None or not window.reaches(after):
            rows = self._store.snapshots(
                run_id, kinds=kinds, layers=layers, steps=steps, after=after, limit=limit
            )
            return _noted(self._arrays, run_id, rows)
        found = [
            row
            for row in window.after(after)
            if (kinds is None or row.kind in kinds)
            and (layers is None or row.layer in layers)
            and (steps is None or row.step in steps)
        ]
        return found[:limit]

    def latest_snapshot(
        self, run_id: str, layer: str, kind: str, *, after: int = 0, step: int | None = None
    ) -> Snapshot | None:
        """As :meth:`vcr_core.store.Store.latest_snapshot`."""
        return self._store.latest_snapshot(run_id, layer, kind, after=after, step=step)

    def snapshot_steps(self, run_id: str, layer: str, kind: str) -> list[int]:
        """As :meth:`vcr_core.store.Store.snapshot_steps`."""
        return self._store.snapshot_steps(run_id, layer, kind)

    def commands(self, run_id: str) -> list[Command]:
        """As :meth:`vcr_core.store.Store.commands`."""
        return self._store.commands(run_id)


def _noted(windows: dict[str, _Window[Row]], run: str, rows: list[Row]) -> list[Row]:
    """Rows that the store was asked for; from the last one on, :meth:`Recent.look` reads."""
    if rows and run not in windows:
        windows[run] = _Window(rows[-1].id)
    return rows
