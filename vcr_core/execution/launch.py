"""Start the dispatcher where there is none, and hand it runs."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import psutil

from vcr_core import paths
from vcr_core.config import RunConfig, override
from vcr_core.store import Store

DISPATCHER_LEASE = "dispatcher"
LEASE_PATIENCE_SECONDS = 5.0
DEFAULT_SLOTS = 2

# Dispatchers that this process started: held so that ended ones are reaped, not left as zombies.
_started: list[subprocess.Popen[bytes]] = []


def slots() -> int:
    """How many runs train at a time on this machine: 2, so that twins run side by side.

    ``VCR_LAB_SLOTS`` sets another number.
    """
    chosen = os.environ.get("VCR_LAB_SLOTS", "")
    return max(1, int(chosen)) if chosen.isdigit() else DEFAULT_SLOTS


def threads_per_worker() -> int:
    """CPU threads of every run: cores ÷ slots. More would make twins slow each other down."""
    cores = psutil.cpu_count(logical=False) or psutil.cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):  # a container or a batch system may give us fewer
        cores = min(cores, len(os.sched_getaffinity(0)))
    return max(1, cores // slots())


def submit(store: Store, config: RunConfig, *, preset: str = "custom") -> str:
    """Queue one run; returns its id."""
    return store.create_run(with_threads(config), preset=preset)


def submit_pair(store: Store, config: RunConfig, *, preset: str = "custom") -> tuple[str, str]:
    """Queue twins that differ in the two weights alone; returns (baseline, regularised)."""
    return store.create_pair(with_threads(config), preset=preset)


def with_threads(config: RunConfig) -> RunConfig:
    """The configuration with its number of threads spelt out, as it is stored."""
    if config.execution.threads is not None:
        return config
    return override(config, {"execution.threads": threads_per_worker()})


def dispatcher_alive(store: Store) -> bool:
    """Whether a dispatcher has beaten lately."""
    lease = store.lease(DISPATCHER_LEASE)
    return lease is not None and lease[1] < LEASE_PATIENCE_SECONDS


def ensure_dispatcher(store: Store, *, owner_pid: int | None = None, delay: float = 0.0) -> None:
    """Start a dispatcher for this store unless one is there; it starts workers after ``delay`` s.

    It ends by itself when ``owner_pid`` (default: this process) is gone and no run is left.
    """
    if dispatcher_alive(store):
        return
    owner = str(owner_pid or os.getpid())
    arguments = ["--store", store.url, "--owner", owner, "--delay", str(delay)]
    with (paths.log_folder() / "dispatcher.log").open("ab") as log:
        _started[:] = [process for process in _started if process.poll() is None]
        _started.append(start_detached("vcr_core.execution.dispatcher", arguments, log=log))


def start_detached(
    module: str, arguments: Sequence[str], *, log: IO[bytes], stdin: int = subprocess.DEVNULL
) -> subprocess.Popen[bytes]:
    """Run a module in a process group of its own, out of reach of the terminal's Ctrl-C."""
    options: dict[str, Any] = {"start_new_session": True}
    if sys.platform == "win32":
        flags = subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW
        options = {"creationflags": flags}
    root = str(Path(__file__).parents[2])
    known = os.environ.get("PYTHONPATH", "")
    return subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        stdin=stdin,
        stdout=log,
        stderr=log,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, (root, known)))},
        **options,
    )
