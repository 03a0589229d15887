"""Many viewers of one server: what reaches them, how soon, and what the server pays.

    python benchmarks/viewers.py                  30 viewers, each on its own live pair, 15 minutes
    python benchmarks/viewers.py --training       10 viewers of 2 runs that really train
    python benchmarks/viewers.py --cold           30 sessions that open together on a cold server

A viewer is a client that speaks the browser's protocol: it opens the lab page of a run, asks for
the live part every second and for the line below the knobs every half, as the browser does, and
reads all that comes back. Without --training
another process writes a report of both twins of every pair each second. The viewers' seconds begin
at random moments, as those of browsers do. *Delivered*: the answer came within the second; a tick
counts as fresh when it brought numbers. One result file collects the three.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from latency import end_dispatcher
from page_tick import STEPS, report
from presets import machine
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from vcr_core.config import override
from vcr_core.execution import ensure_dispatcher, submit_pair
from vcr_core.presets import DEFAULT_PRESET, find_preset
from vcr_core.store import CommandKind, RunState, Store, open_store

ROOT = Path(__file__).parents[1]
DEFAULT_OUTPUT = ROOT / "docs" / "results" / "viewers.json"
TICK_SECONDS = 1.0
REPORTS = 64
PATIENCE_SECONDS = 60.0
MEGABYTE = 2**20


@dataclass
class Viewer:
    """One browser's worth of traffic."""

    url: str
    run: str
    phase: float = 0.0  # seconds after the others' clocks at which this one's starts
    loaded: float | None = None
    milliseconds: list[float] = field(default_factory=list)
    asked: int = 0
    fresh: int = 0
    sizes: list[int] = field(default_factory=list)
    page: str = ""
    fragments: dict[str, float] = field(default_factory=dict)  # and every how many seconds
    sequence: int = -1

    async def watch(self, seconds: float, ready: asyncio.Barrier) -> None:
        """Open the page; when all have, ask for its parts as often as they want, for so long."""
        start = time.monotonic()
        async with connect(self.url, subprotocols=[Subprotocol("streamlit")], max_size=None) as to:
            await self._answer(to, self._request())
            self.loaded = time.monotonic() - start
            await ready.wait()
            begin = time.monotonic() + self.phase
            due = dict.fromkeys(self.fragments, begin)
            while due and min(due.values()) < begin + seconds:
                fragment = min(due, key=lambda each: due[each])
                await asyncio.sleep(max(0.0, due[fragment] - time.monotonic()))
                every = self.fragments[fragment]
                await self._tick(to, fragment, is_live=every == TICK_SECONDS)
                due[fragment] = max(due[fragment] + every, time.monotonic())

    async def _tick(self, connection: ClientConnection, fragment: str, *, is_live: bool) -> None:
        start, before = time.monotonic(), self.sequence
        size = await self._answer(connection, self._request(fragment))
        if is_live:
            self.asked += 1
            self.milliseconds.append(1e3 * (time.monotonic() - start))
            self.sizes.append(size)
            self.fresh += self.sequence != before

    def _request(self, fragment: str = "") -> BackMsg:
        message = BackMsg()
        state = message.rerun_script
        state.query_string = f"run={self.run}" if self.run else ""
        state.page_script_hash = self.page
        state.fragment_id = fragment
        state.is_auto_rerun = bool(fragment)
        return message

    async def _answer(self, connection: ClientConnection, request: BackMsg) -> int:
        """Send, and read until the script has ended; returns the number of bytes read."""
        await connection.send(request.SerializeToString())
        size = 0
        while True:
            raw = await asyncio.wait_for(connection.recv(decode=False), PATIENCE_SECONDS)
            size += len(raw)
            message = ForwardMsg.FromString(raw)
            kind = message.WhichOneof("type")
            if kind == "new_session":
                self.page = message.new_session.page_script_hash
            elif kind == "auto_rerun":
                self.fragments[message.auto_rerun.fragment_id] = message.auto_rerun.interval
            elif kind == "delta":
                self._note_sequence(message)
            elif kind == "script_finished" and message.script_finished != 2:
                return size

    def _note_sequence(self, message: ForwardMsg) -> None:
        element = message.delta.new_element
        if element.WhichOneof("type") == "bidi_component" and element.bidi_component.bytes:
            self.sequence = json.loads(element.bidi_component.bytes).get("sequence", -1)


@dataclass
class Watch:
    """What a server process uses, read every few seconds."""

    process: psutil.Process
    memory: list[float] = field(default_factory=list)
    started: tuple[float, float] = (0.0, 0.0)

    async def look(self, seconds: float, ready: asyncio.Barrier) -> None:
        """Note memory for so long, from when all viewers are ready."""
        await ready.wait()
        until = time.monotonic() + seconds
        self.started = (time.monotonic(), self.cpu_seconds())
        while time.monotonic() < until:
            self.memory.append(self.process.memory_info().rss / MEGABYTE)
            await asyncio.sleep(min(5.0, max(0.1, until - time.monotonic())))

    def cpu_seconds(self) -> float:
        """Seconds of processor time so far."""
        times = self.process.cpu_times()
        return times.user + times.system

    def cores(self) -> float:
        """Processor cores in use on average since ``look`` began."""
        moment, cpu = self.started
        return (self.cpu_seconds() - cpu) / (time.monotonic() - moment)


def main() -> None:
    """Measure one of the three and put it into the result file."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument("--training", action="store_true")
    choice.add_argument("--cold", action="store_true")
    parser.add_argument("--viewers", type=int)
    parser.add_argument("--seconds", type=float, default=900.0)
    parser.add_argument("--feed", nargs="*", help=argparse.SUPPRESS)
    parser.add_argument("--output", type=Path, default=DEFAULT_OUTPUT)
    options = parser.parse_args()
    if options.feed is not None:
        feed(options.feed)
        return
    viewers = options.viewers or (10 if options.training else 30)
    name = "training" if options.training else "cold" if options.cold else "live"
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        os.environ["VCR_LAB_HOME"] = home
        store = open_store()
        if options.training:
            found = beside_training(store, viewers, options.seconds)
        elif options.cold:
            found = cold(viewers)
        else:
            found = live(store, viewers, options.seconds)
        store.close()
    results = json.loads(options.output.read_text()) if options.output.exists() else {}
    results[name] = {
        "made": datetime.now(tz=UTC).date().isoformat(),
        "machine": {**machine(), "streamlit": version("streamlit")},
        **found,
    }
    options.output.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(found, indent=1))


def live(store: Store, count: int, seconds: float) -> dict[str, Any]:
    """Every viewer on a pair of its own, which somebody writes."""
    config = find_preset(DEFAULT_PRESET).config
    pairs = [store.create_pair(config, preset=DEFAULT_PRESET) for _ in range(count)]
    for run_id in (run_id for pair in pairs for run_id in pair):
        store.update_run(run_id, state=RunState.RUNNING.value, total_steps=STEPS)
    command = [sys.executable, __file__, "--feed", *(run_id for pair in pairs for run_id in pair)]
    with served() as (url, server), ended(subprocess.Popen(command)):
        return asyncio.run(together(url, server, [pair[1] for pair in pairs], seconds))


def feed(runs: Sequence[str]) -> None:
    """Write a report of every run each second, all of the same second at once; until ended.

    Made before, so that making them takes nothing from the server; each run takes turns at them.
    """
    store, config = open_store(), find_preset(DEFAULT_PRESET).config
    random = np.random.default_rng(0)
    made = [report(config, 0, random) for _ in range(REPORTS)]
    for step in range(10**6):
        began = time.monotonic()
        for place, run_id in enumerate(runs):
            news = replace(made[(step + place) % REPORTS], step=step)
            store.write_reports(run_id, [news], progress={"step": step})
        time.sleep(max(0.0, TICK_SECONDS - (time.monotonic() - began)))


def beside_training(store: Store, count: int, seconds: float) -> dict[str, Any]:
    """Viewers of a pair that trains meanwhile in two workers."""
    long = {"training.epochs": 1000, "telemetry.reports": 2000, "telemetry.snapshots": 1000}
    config = override(find_preset(DEFAULT_PRESET).config, long)
    ensure_dispatcher(store)
    pair = submit_pair(store, config, preset=DEFAULT_PRESET)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while min(store.run(run_id).step for run_id in pair) == 0:
        if time.monotonic() > deadline:
            raise TimeoutError("the pair did not begin to train: see the logs of its workers")
        time.sleep(0.2)
    try:
        with served() as (url, server):
            before, start = [store.run(run_id).step for run_id in pair], time.monotonic()
            found = asyncio.run(together(url, server, [pair[1]] * count, seconds))
            spent = time.monotonic() - start
        steps = [store.run(run_id).step - at for run_id, at in zip(pair, before, strict=True)]
        return {**found, "training_steps_per_second": [round(each / spent, 1) for each in steps]}
    finally:
        for run_id in pair:
            store.add_command(run_id, CommandKind.ABORT)
        end_dispatcher(store)


def cold(count: int) -> dict[str, Any]:
    """Sessions that open in the moment in which the server answers for the first time."""
    start = time.monotonic()
    with served() as (url, _):
        answering = time.monotonic() - start
        viewers = [Viewer(url, "") for _ in range(count)]
        asyncio.run(_opened(viewers))
    loads = sorted(viewer.loaded for viewer in viewers if viewer.loaded is not None)
    return {
        "sessions": count,
        "loaded": len(loads),
        "seconds_to_answer": round(answering, 2),
        "seconds_to_load": _summary(loads),
    }


async def together(
    url: str, server: psutil.Process, runs: Sequence[str], seconds: float
) -> dict[str, Any]:
    """All viewers at the same time, the server watched beside them."""
    clocks = np.random.default_rng(0).uniform(0, TICK_SECONDS, len(runs))
    viewers = [Viewer(url, run, phase) for run, phase in zip(runs, clocks, strict=True)]
    watch = Watch(server)
    ready = asyncio.Barrier(len(viewers) + 1)
    await _all(*(viewer.watch(seconds, ready) for viewer in viewers), watch.look(seconds, ready))
    waits = sorted(wait for viewer in viewers for wait in viewer.milliseconds)
    third = max(1, len(watch.memory) // 3)
    return {
        "viewers": len(viewers),
        "seconds": seconds,
        "ticks": sum(viewer.asked for viewer in viewers),
        "delivered": round(sum(wait <= 1e3 * TICK_SECONDS for wait in waits) / len(waits), 5),
        "fresh": round(sum(viewer.fresh for viewer in viewers) / len(waits), 5),
        "milliseconds": _summary(waits),
        "kilobytes_a_tick": round(
            statistics.median(size for viewer in viewers for size in viewer.sizes) / 1e3, 1
        ),
        "server_cores": round(watch.cores(), 3),
        "server_mib": {
            "first": round(watch.memory[0], 1),
            "median_of_first_third": round(statistics.median(watch.memory[:third]), 1),
            "median_of_last_third": round(statistics.median(watch.memory[-third:]), 1),
            "last": round(watch.memory[-1], 1),
        },
    }


async def _opened(viewers: Sequence[Viewer]) -> None:
    ready = asyncio.Barrier(len(viewers))
    await _all(*(viewer.watch(0.0, ready) for viewer in viewers))


async def _all(*jobs: Any) -> None:
    try:
        async with asyncio.TaskGroup() as group:
            for job in jobs:
                group.create_task(job)
    except* ConnectionClosed as closed:
        raise ConnectionError(f"the server closed {len(closed.exceptions)} connections") from closed


def _summary(values: Sequence[float]) -> dict[str, float]:
    ordered = sorted(values)
    return {
        "median": round(statistics.median(ordered), 2),
        "p95": round(ordered[int(0.95 * (len(ordered) - 1))], 2),
        "max": round(ordered[-1], 2),
    }


@contextlib.contextmanager
def served() -> Iterator[tuple[str, psutil.Process]]:
    """The app on a free port of this machine, as ``vcr-lab app`` starts it, without workers."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    flags = {
        "server.port": port,
        "server.address": "127.0.0.1",
        "server.headless": "true",
        "server.fileWatcherType": "none",
        "runner.postScriptGC": "false",
        "browser.gatherUsageStats": "false",
    }
    command = [sys.executable, "-m", "streamlit", "run", str(ROOT / "app" / "server.py")]
    command += [word for name, value in flags.items() for word in (f"--{name}", str(value))]
    with ended(
        subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    ) as process:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while socket.socket().connect_ex(("127.0.0.1", port)):
            if time.monotonic() > deadline:
                raise TimeoutError(f"the server did not answer on port {port}")
            time.sleep(0.05)
        yield f"ws://127.0.0.1:{port}/_stcore/stream", psutil.Process(process.pid)


@contextlib.contextmanager
def ended(process: subprocess.Popen[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    """A process that does not outlive the block."""
    try:
        yield process
    finally:
        process.terminate()
        process.wait(timeout=20)


if __name__ == "__main__":
    main()
