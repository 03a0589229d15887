"""Keeps checkpoints of a run while it trains: often enough, cheaply enough, within a budget."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from vcr_core.errors import CheckpointError
from vcr_core.training.checkpoint import Checkpoint, Folder

EVERY_SECONDS = 5.0
#: A checkpoint may hold the training up for this share of the time.
LARGEST_SHARE = 0.01
MOST_CHECKPOINTS = 8
NEWEST = 2
DEFAULT_BUDGET_MIB = 512

Kept = Callable[[int, str], None]
log = logging.getLogger("vcr_lab.checkpoints")


class Keeper:
    """Writes checkpoints in a thread of its own. Use as a context manager.

    ``on_kept(step, address)`` is called, in that thread, once a checkpoint is safe.
    A checkpoint that cannot be written is logged, and the run goes on.

    At most ``VCR_LAB_CHECKPOINT_MIB`` (512) MiB and 8 checkpoints stay: the two newest, those that
    a person asked for, and of the others those that are spread best over the run.
    """

    def __init__(self, folder: Folder, *, on_kept: Kept, every: float | None = None) -> None:
        self.folder = folder
        self._on_kept = on_kept
        self._every = EVERY_SECONDS if every is None else every
        self._pause = self._every
        self._last = time.monotonic()
        self._asked_for: set[int] = set(folder.steps()[:1])
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="checkpoints")
        self._writing: Future[None] | None = None

    def __enter__(self) -> Keeper:
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.shutdown(wait=True)

    @property
    def is_due(self) -> bool:
        """Whether it is time for the next one."""
        busy = self._writing is not None and not self._writing.done()
        return not busy and time.monotonic() - self._last >= self._pause

    def keep(self, make: Callable[[], Checkpoint], *, wait: bool, asked_for: bool = False) -> None:
        """Keep what ``make`` returns; ``wait`` until it is safe, or let training go on."""
        self._finish()
        began = time.monotonic()
        checkpoint = make()
        if asked_for:
            self._asked_for.add(checkpoint.step)
        self._writing = self._writer.submit(self._write, checkpoint)
        if wait:
            self._finish()
        self._last = time.monotonic()
        self._pause = max(self._every, (self._last - began) / LARGEST_SHARE)

    def _finish(self) -> None:
        if self._writing is not None:
            self._writing.result()
            self._writing = None

    def _write(self, checkpoint: Checkpoint) -> None:
        try:
            self.folder.write(checkpoint)
            self._thin()
        except CheckpointError as error:
            log.warning("%s", error)
            return
        self._on_kept(checkpoint.step, self.folder.address)

    def _thin(self) -> None:
        """Remove the one whose neighbours are closest, until the rest fits."""
        budget = budget_bytes()
        steps = self.folder.steps()
        sizes = {step: self.folder.size(step) for step in steps}
        while len(steps) > NEWEST and (
            len(steps) > MOST_CHECKPOINTS or sum(sizes[step] for step in steps) > budget
        ):
            places = [
                place for place in range(len(steps) - NEWEST) if steps[place] not in self._asked_for
            ]
            if not places:
                return
            gaps = {
                place: steps[place + 1] - (steps[place - 1] if place else 0) for place in places
            }
            self.folder.remove(steps.pop(min(places, key=gaps.__getitem__)))


def budget_bytes() -> int:
    """What the checkpoints of one run may take: ``VCR_LAB_CHECKPOINT_MIB``, or 512 MiB."""
    chosen = os.environ.get("VCR_LAB_CHECKPOINT_MIB", "")
    return (int(chosen) if chosen.isdigit() else DEFAULT_BUDGET_MIB) * 2**20
