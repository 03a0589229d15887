"""Start the dispatcher where there is none, and hand it runs."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from vcr_core import paths
from vcr_core.config import RunConfig, override
from vcr_core.execution.devices import process_is_dead, threads_per_worker
from vcr_core.execution.limits import load_limits
from vcr_core.store import RunState, Store

DISPATCHER_LEASE = "dispatcher"
LEASE_PATIENCE_SECONDS = 3.0

# Dispatchers that this process started, by the store's address: so that no second one is started
# while the first gets going, and that ended ones are reaped, not left as zombies.
_started: dict[str, subprocess.Popen[bytes]] = {}
_starting = threading.Lock()


def submit(
    store: Store,
    config: RunConfig,
    *,
    preset: str = "custom",
    owner: str = "",
    auto_resume: bool = False,
    **details: Any,
) -> str:
    """Queue one run; returns its id. ``details`` go to :meth:`Store.create_run`.

    Raises:
        ConfigError: the run asks for more than this server allows.
        LimitError: too many of this owner's runs wait already.
    """
    ready = _allowed(store, config, owner=owner, adding=1)
    return store.create_run(ready, preset=preset, owner=owner, auto_resume=auto_resume, **details)


def submit_pair(
    store: Store,
    config: RunConfig,
    *,
    preset: str = "custom",
    owner: str = "",
    auto_resume: bool = False,
) -> tuple[str, str]:
    """Queue twins that differ in the two weights alone; returns (baseline, regularised).

    Raises:
        ConfigError: the runs ask for more than this server allows.
        LimitError: too many of this owner's runs wait already.
    """
    ready = _allowed(store, config, owner=owner, adding=2)
    return store.create_pair(ready, preset=preset, owner=owner, auto_resume=auto_resume)


def _allowed(store: Store, config: RunConfig, *, owner: str, adding: int) -> RunConfig:
    """The configuration as it is stored, once it is within this server's limits."""
    limits = load_limits()
    limits.check(config)
    if limits.queued_per_owner is not None:
        queued = store.count_runs(states=[RunState.QUEUED], owner=owner)
        limits.check_queue(owner, queued=queued, adding=adding)
    return with_threads(config)


def with_threads(config: RunConfig) -> RunConfig:
    """The configuration with its number of threads spelt out, as it is stored."""
    if config.execution.threads is not None:
        return config
    return override(config, {"execution.threads": threads_per_worker()})


def dispatcher_alive(store: Store) -> bool:
    """Whether a dispatcher has beaten lately, as far as this machine's clock can tell."""
    lease = store.lease(DISPATCHER_LEASE)
    return lease is not None and lease[1] < LEASE_PATIENCE_SECONDS and not holder_is_dead(lease[2])


def holder_is_dead(detail: Mapping[str, Any]) -> bool:
    """Whether a lease's holder was a process of this machine that is no more."""
    return process_is_dead(str(detail.get("machine")), int(detail.get("pid", 0)))


def ensure_dispatcher(store: Store, *, owner_pid: int | None = None, delay: float = 0.0) -> None:
    """Start a dispatcher for this store unless one is there; it starts workers after ``delay`` s.

    It ends by itself when ``owner_pid`` (default: this process) is gone and no run is left.
    """
    with _starting:  # thirty sessions that open together start one
        for url, process in list(_started.items()):
            if process.poll() is not None:
                del _started[url]
        if store.url in _started or dispatcher_alive(store):
            return
        owner = str(owner_pid or os.getpid())
        with (paths.log_folder() / "dispatcher.log").open("ab") as log:
            _started[store.url] = start_detached(
                "vcr_core.execution.dispatcher",
                ["--owner", owner, "--delay", str(delay)],
                log=log,
                environment={"VCR_LAB_STORE": store.url},  # a command line shows its password
            )


def start_detached(
    module: str,
    arguments: Sequence[str],
    *,
    log: IO[bytes],
    environment: Mapping[str, str] | None = None,
    talks: bool = False,
) -> subprocess.Popen[bytes]:
    """Run a module in a process group of its own, out of reach of the terminal's Ctrl-C.

    A process that ``talks`` has pipes for standard input and output; else both are closed.
    """
    options: dict[str, Any] = {"start_new_session": True}
    if sys.platform == "win32":
        flags = subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW
        options = {"creationflags": flags}
    root = str(Path(__file__).parents[2])
    path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH", ""))))
    return subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        stdin=subprocess.PIPE if talks else subprocess.DEVNULL,
        stdout=subprocess.PIPE if talks else log,
        stderr=log,
        env={**os.environ, "PYTHONPATH": path, **(environment or {})},
        **options,
    )
