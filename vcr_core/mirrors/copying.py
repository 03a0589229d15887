"""Copy what is new in the store into a mirror, and remember how far one got."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from importlib import import_module
from itertools import groupby
from pathlib import Path
from typing import Protocol

from vcr_core import paths
from vcr_core.errors import ConfigError
from vcr_core.store import Metric, Run, Snapshot, Store

MIRRORS = ("tensorboard", "mlflow", "wandb")
ROWS_AT_A_TIME = 10_000
ARRAYS_AT_A_TIME = 50
EVERYTHING = 1_000_000
LOOK_SECONDS = 1.0


class RunMirror(Protocol):
    """One run there. ``known_as`` is what it is called there."""

    known_as: str

    def numbers(self, step: int, values: dict[str, float]) -> None:
        """Write the numbers of a step; what was not finite comes as NaN."""

    def matrix(self, snapshot: Snapshot) -> None:
        """Write a matrix as a picture."""

    def flush(self) -> None:
        """Have everything written that came so far."""

    def close(self, run: Run) -> None:
        """Nothing more comes for now; ``run`` says how it stands."""


class Mirror(Protocol):
    """Where numbers and matrices of runs are shown besides our own page."""

    def open(self, run: Run, known_as: str) -> RunMirror:
        """Begin a run with its settings, or go on with the one that is ``known_as`` something."""


def open_mirror(name: str, destination: str | None = None) -> Mirror:
    """The mirror of a name (one of :data:`MIRRORS`) that writes to ``destination``.

    Raises:
        ConfigError: there is no such mirror, or its library is not installed.
    """
    if name not in MIRRORS:
        raise ConfigError(f"expected a mirror out of {', '.join(MIRRORS)}, got '{name}'")
    try:
        module = import_module(f"vcr_core.mirrors.to_{name}")
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"the mirror {name} needs the package {error.name}: install it with "
            f'`pip install "vcr-lab[{name}]"`'
        ) from error
    opened: Mirror = module.open_mirror(destination)
    return opened


def mirror_runs(
    store: Store,
    run_ids: Sequence[str],
    mirror: Mirror,
    *,
    place: str,
    follow: bool = False,
    on_progress: Callable[[str, int, int], None] | None = None,
) -> dict[str, tuple[int, int]]:
    """Copy what is new of these runs (of all, where none is named) into a mirror.

    With ``follow`` this lasts until the named runs are over. ``place`` names the mirror and its
    destination: how far one got is remembered by it. Returns how many numbers and matrices were
    written by run; ``on_progress`` gets the same while it grows.

    Raises:
        UnknownRunError: the store holds no such run; nothing is written.
    """
    for run_id in run_ids:
        store.run(run_id)
    copies: dict[str, RunCopy] = {}
    try:
        while True:
            wanted = run_ids or [run.id for run in store.summaries(limit=EVERYTHING)]
            for run_id in wanted:
                copy = copies.setdefault(run_id, RunCopy(store, run_id, mirror, place))
                if copy.catch_up() and on_progress is not None:
                    on_progress(run_id, copy.numbers, copy.matrices)
            ended = bool(run_ids) and all(copies[run_id].is_over for run_id in run_ids)
            if not follow or ended:
                return {run_id: (copy.numbers, copy.matrices) for run_id, copy in copies.items()}
            time.sleep(LOOK_SECONDS)
    finally:
        for copy in copies.values():
            copy.close()


class RunCopy:
    """One run's way into one mirror: cursors in a small file, so that nothing is written twice."""

    def __init__(self, store: Store, run_id: str, mirror: Mirror, place: str) -> None:
        self.numbers = self.matrices = 0
        self._there: RunMirror | None = None
        self.is_over = False
        self._store, self._run_id, self._mirror = store, run_id, mirror
        key = hashlib.sha256(f"{store.identity} {place}".encode()).hexdigest()[:16]
        self._file = paths.home() / "mirrors" / "progress" / key / f"{run_id}.json"
        self._metric, self._snapshot, self._known_as = _read(self._file)

    def catch_up(self) -> bool:
        """Write what came since the last time; says whether there was something."""
        if self.is_over:
            return False
        run = self._store.run(self._run_id)  # before its rows: what came before its end is there
        before = self.numbers, self.matrices
        metrics = self._store.metrics(run.id, after=self._metric, limit=ROWS_AT_A_TIME)
        snapshots = self._new_snapshots()
        if (metrics or snapshots or not self._known_as) and self._there is None:
            self._there = self._mirror.open(run, self._known_as)
            self._known_as = self._there.known_as
        if self._there is not None:
            while metrics or snapshots:
                self._write(self._there, metrics, snapshots)
                metrics = self._store.metrics(run.id, after=self._metric, limit=ROWS_AT_A_TIME)
                snapshots = self._new_snapshots()
            self._there.flush()
            self._remember()
        self.is_over = run.state.is_over
        if self.is_over:
            self.close()
        return before != (self.numbers, self.matrices)

    def close(self) -> None:
        """Nothing more is written for now."""
        if self._there is not None:
            self._there.close(self._store.run(self._run_id))
            self._there = None

    def _new_snapshots(self) -> list[Snapshot]:
        return self._store.snapshots(self._run_id, after=self._snapshot, limit=ARRAYS_AT_A_TIME)

    def _write(
        self, there: RunMirror, metrics: Sequence[Metric], snapshots: Sequence[Snapshot]
    ) -> None:
        for step, group in groupby(metrics, key=lambda metric: metric.step):
            values = {
                metric.name: float("nan") if metric.value is None else metric.value
                for metric in group
            }
            there.numbers(step, values)
        for snapshot in snapshots:
            if snapshot.values.ndim == 2:
                there.matrix(snapshot)
                self.matrices += 1
        self.numbers += len(metrics)
        self._metric = metrics[-1].id if metrics else self._metric
        self._snapshot = snapshots[-1].id if snapshots else self._snapshot

    def _remember(self) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        partial = self._file.with_suffix(".partial")
        partial.write_text(json.dumps([self._metric, self._snapshot, self._known_as]))
        partial.replace(self._file)


def _read(file: Path) -> tuple[int, int, str]:
    if not file.exists():
        return 0, 0, ""
    metric, snapshot, known_as = json.loads(file.read_text())
    return int(metric), int(snapshot), str(known_as)
