"""What the benchmarks of the page share: the app as a server, a browser, what travels between."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil
from playwright.sync_api import Browser, Page, sync_playwright
from presets import machine
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from vcr_core.execution.launch import DISPATCHER_LEASE
from vcr_core.store import Store, open_store

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "docs" / "results"
APP = ROOT / "app" / "server.py"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
SETTLED = "[data-testid=stApp][data-test-script-state=notRunning]"
PATIENCE_SECONDS = 60.0
PATIENCE_MS = 60_000
WIDTH, HEIGHT = 1280, 900


@contextlib.contextmanager
def a_store() -> Iterator[Store]:
    """An empty store in a folder of its own, for this process and those that it starts."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        os.environ["VCR_LAB_HOME"] = home
        store = open_store()
        try:
            yield store
        finally:
            end_dispatcher(store)
            store.close()


def end_dispatcher(store: Store) -> None:
    """End this store's dispatcher and its workers, if it has one on this machine."""
    lease = store.lease(DISPATCHER_LEASE)
    if lease is None or "pid" not in lease[2]:
        return
    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(int(lease[2]["pid"]))
        family = [*process.children(recursive=True), process]
        for member in family:
            member.kill()
        psutil.wait_procs(family, timeout=10)


@contextlib.contextmanager
def served(script: Path = APP) -> Iterator[tuple[str, psutil.Process]]:
    """A Streamlit script on a free port, as ``vcr-lab app`` starts the app; without its workers."""
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
    command = [sys.executable, "-m", "streamlit", "run", str(script)]
    command += [word for name, value in flags.items() for word in (f"--{name}", str(value))]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with ended(subprocess.Popen(command, **quiet)) as process:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while socket.socket().connect_ex(("127.0.0.1", port)):
            if time.monotonic() > deadline or process.poll() is not None:
                raise TimeoutError(f"the server did not answer on port {port}")
            time.sleep(0.02)
        yield f"http://127.0.0.1:{port}", psutil.Process(process.pid)


@contextlib.contextmanager
def ended(process: subprocess.Popen[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    """A process that does not outlive the block."""
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextlib.contextmanager
def browsing() -> Iterator[Browser]:
    """Headless Chromium: the machine's own where it has one, else Playwright's."""
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Script:
    """One run of the script, whole or of a fragment, as its messages came over the websocket."""

    at: float
    bytes: int = 0
    is_fragment: bool = True
    live: list[dict[str, Any]] = field(default_factory=list)

    @property
    def is_fresh(self) -> bool:
        """Whether it brought a live view all that there is."""
        return any(message.get("fresh") for message in self.live)


class Traffic:
    """Notes what a page receives over its websocket, by script run."""

    def __init__(self, page: Page) -> None:
        self._frames: list[tuple[float, bytes]] = []
        self._session = page.context.new_cdp_session(page)
        self._session.on("Network.webSocketFrameReceived", self._note)
        self._session.send("Network.enable")

    def _note(self, event: dict[str, Any]) -> None:
        raw = base64.b64decode(event["response"]["payloadData"])
        self._frames.append((time.monotonic(), raw))

    def scripts(self) -> list[Script]:
        """Every finished run of the script so far."""
        found: list[Script] = []
        script = Script(0.0)
        for at, raw in self._frames:
            message = ForwardMsg.FromString(raw)
            kind = message.WhichOneof("type")
            if kind == "new_session":
                script = Script(at)
            script.bytes += len(raw)
            if kind == "delta" and (live := live_message(message)) is not None:
                script.live.append(live)
            if kind == "navigation":  # only a run of the whole page says which pages there are
                script.is_fragment = False
            if kind == "script_finished":
                found.append(script)
        return found


def live_message(message: ForwardMsg) -> dict[str, Any] | None:
    """What a message tells a live view; None where it tells it nothing."""
    element = message.delta.new_element
    if element.WhichOneof("type") != "bidi_component" or not element.bidi_component.bytes:
        return None
    told = json.loads(element.bidi_component.bytes)
    return told if "sequence" in told else None


def summary(values: Sequence[float], digits: int = 2) -> dict[str, float]:
    """Number, median, 95th percentile, smallest and largest."""
    ordered = sorted(values)
    return {
        "n": len(ordered),
        "median": round(statistics.median(ordered), digits),
        "p95": round(ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))], digits),
        "min": round(ordered[0], digits),
        "max": round(ordered[-1], digits),
    }


def write_result(path: Path, found: dict[str, Any], *, part: str = "") -> None:
    """Keep what was measured, with machine and versions; ``part`` leaves other parts alone."""
    result = {
        "made": datetime.now(tz=UTC).date().isoformat(),
        "machine": {
            **machine(),
            "streamlit": version("streamlit"),
            "plotly": version("plotly"),
        },
        **found,
    }
    if part:
        kept = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        result = {**kept, part: result}
    path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(found, indent=1))
