"""Workers on a Ray cluster (the extra ``ray``): one actor a slot, with its share of CPU or GPU.

The cluster exists already and is known by its address: ``host:6379`` from one of its machines,
``ray://host:10001`` from outside, or ``auto``. VCR Lab is installed on all of them. Workers talk
to the store themselves, so it is a PostgreSQL server that all of them reach, and keep checkpoints
at an address that all of them reach (``VCR_LAB_CHECKPOINTS``). Ray tells that an actor died when
it finds out; a run that falls silent is given up before that. Where the dispatcher dies its actors
die too, and the next dispatcher finds their runs interrupted.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from importlib.util import find_spec
from typing import Any
from urllib.parse import urlsplit

from vcr_core.errors import ClusterError, VcrLabError
from vcr_core.execution.devices import Slot, slots_per_device

VARIABLE = "VCR_LAB_RAY"
CONNECT_SECONDS = 5.0
SILENCE_SECONDS = 4.0
PASSED_ON = (
    "VCR_LAB_CHECKPOINTS",
    "VCR_LAB_LIMITS",
    "VCR_LAB_LOCKSTEP",
    "VCR_LAB_SLOTS",
    "PYTHONPATH",
)


def check_cluster(address: str, store_url: str) -> None:
    """See that a cluster can reach the store, that Ray is installed and somebody answers.

    Raises:
        ClusterError: one of them is not so.
    """
    if find_spec("ray") is None:
        raise ClusterError(
            "expected Ray for training on a cluster, and it is not installed: "
            "pip install 'vcr-lab[ray]'"
        )
    if store_url.startswith("sqlite"):
        raise ClusterError(
            "expected a store that every machine of the cluster reaches, got a SQLite file: "
            "set VCR_LAB_STORE to the address of a PostgreSQL server, "
            "postgresql+psycopg://user:password@host/database"
        )
    if address != "auto":
        _check_answer(address)


def _check_answer(address: str) -> None:
    """Raises ClusterError where nobody listens at an address."""
    parts = urlsplit(address if "://" in address else f"//{address}")
    try:
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host or not port:
        raise ClusterError(
            f"expected the address of a Ray cluster, host:6379 or ray://host:10001, got '{address}'"
        )
    try:
        socket.create_connection((host, port), timeout=CONNECT_SECONDS).close()
    except OSError as error:
        raise ClusterError(
            f"expected a Ray cluster at {address}, and nobody answers there "
            f"({error.strerror or error}): start one with `ray start --head`, or mend --ray or "
            f"{VARIABLE}"
        ) from error


class RayCrew:
    """Workers on the nodes of a cluster."""

    def __init__(self, store_url: str, address: str) -> None:
        """Connect.

        Raises:
            ClusterError: the cluster cannot be reached, or the store is one machine's file.
        """
        check_cluster(address, store_url)
        import ray

        try:
            ray.init(address=address, namespace="vcr-lab", log_to_driver=False)
        except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
            raise ClusterError(
                f"expected a Ray cluster at {address}, and it cannot be joined ({error}): look at "
                "its version and state with `ray status`"
            ) from error
        self._ray: Any = ray
        self.store_url = store_url
        self.bell = threading.Event()
        self.threads = self._threads()

    def slots(self) -> Sequence[Slot]:
        """One for each run that the living nodes train at a time."""
        found: list[Slot] = []
        for node in self._nodes():
            gpus = int(node.get("GPU", 0))
            if gpus:
                found += [Slot("ray cuda")] * (gpus * slots_per_device())
            else:
                found += [Slot("ray cpu")] * int(node.get("CPU", 0) // self.threads)
        return found

    def _nodes(self) -> list[Mapping[str, float]]:
        return [node["Resources"] for node in self._ray.nodes() if node["Alive"]]

    def _threads(self) -> int:
        """CPU threads of every run, equal everywhere: what the smallest node has for each slot."""
        shares = [
            node["CPU"] // (max(1.0, node.get("GPU", 0)) * slots_per_device())
            for node in self._nodes()
            if node.get("CPU", 0) >= 1
        ]
        return max(1, int(min(shares, default=1)))

    def hire(self, slot: Slot) -> RayWorker:
        """Start an actor where the cluster has room."""
        share = {"num_gpus": 1 / slots_per_device()} if slot.device == "ray cuda" else {}
        passed_on = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        actor = self._ray.remote(Trainer).options(
            num_cpus=self.threads,
            max_restarts=0,
            scheduling_strategy="SPREAD",
            runtime_env={"env_vars": passed_on},
            **share,
        )
        return RayWorker(self._ray, actor.remote(self.store_url, self.threads), slot, self.bell)

    def hire_helper(self) -> None:
        """All room is for training: requests wait for a worker that has nothing to train."""

    def close(self) -> None:
        """Leave the cluster; actors that are left end with it."""
        self._ray.shutdown()


class Trainer:
    """A worker on a node of the cluster, as a Ray actor."""

    def __init__(self, store_url: str, threads: int) -> None:
        from vcr_core.presets import DEFAULT_PRESET, PRESETS
        from vcr_core.store import open_store
        from vcr_core.training.warmup import warm_up

        warm_up(PRESETS[DEFAULT_PRESET].config, threads=threads)
        self._store = open_store(store_url)

    def name(self) -> str:
        """``host:pid``, once it is ready."""
        return f"{socket.gethostname()}:{os.getpid()}"

    def carry_out(self, run_id: str) -> None:
        """One run; what goes wrong with it already stands in its row."""
        from vcr_core.execution.runner import execute

        with suppress(VcrLabError, RuntimeError):
            execute(self._store, run_id)

    def answer(self, request_id: int) -> None:
        """One request; what goes wrong with it already stands in its row."""
        from vcr_core.execution.answers import answer

        answer(self._store, request_id)


class RayWorker:
    """The dispatcher's side of an actor: one answer is always being waited for, or none."""

    patience = SILENCE_SECONDS

    def __init__(self, ray: Any, actor: Any, slot: Slot, bell: threading.Event) -> None:
        self.slot = slot
        self.run_id: str | None = None
        self.request_id: int | None = None
        self.name = ""
        self._ray = ray
        self._actor = actor
        self._bell = bell
        self._answer = self._listen(actor.name.remote())

    def _listen(self, reference: Any) -> Future[Any]:
        answer: Future[Any] = reference.future()
        answer.add_done_callback(lambda _: self._bell.set())
        return answer

    @property
    def was_ready(self) -> bool:
        if not self.name and self._answer.done() and self._answer.exception() is None:
            self.name = self._answer.result()
        return bool(self.name)

    @property
    def is_ready(self) -> bool:
        return self.was_ready and not self.has_work and self.is_alive

    @property
    def said_over(self) -> bool:
        return self.has_work and self._answer.done()

    @property
    def has_work(self) -> bool:
        return self.run_id is not None or self.request_id is not None

    @property
    def is_alive(self) -> bool:
        return not self._answer.done() or self._answer.exception() is None

    def give(self, run_id: str) -> None:
        self.run_id = run_id
        self._answer = self._listen(self._actor.carry_out.remote(run_id))

    def ask(self, request_id: int) -> None:
        self.request_id = request_id
        self._answer = self._listen(self._actor.answer.remote(request_id))

    def free(self) -> None:
        self.run_id = self.request_id = None

    def kill(self) -> None:
        self._ray.kill(self._actor)

    def dismiss(self) -> None:
        if self.run_id is None:
            self.kill()

    def obituary(self) -> str:
        return "the worker died with its machine or its process on the cluster"

    def last_words(self) -> str:
        error = self._answer.exception() if self._answer.done() else None
        return " ".join(str(error).split()) if error is not None else ""
