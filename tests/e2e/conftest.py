"""A real server and a real browser for the end-to-end tests."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import psutil
import pytest

pytest.importorskip("playwright")
from playwright.sync_api import Browser, Page, sync_playwright

StartStreamlit = Callable[..., str]
START_SECONDS = 60.0
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


class Servers:
    """The Streamlit servers that a test started, by their address."""

    def __init__(self, logs: Path) -> None:
        self.logs = logs
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, script: Path, env: Mapping[str, str] | None = None) -> str:
        """Start Streamlit on a free port and wait until it answers; returns its address."""
        port = free_port()
        log = self.logs / f"streamlit-{port}.log"
        options = {
            "server.port": port,
            "server.address": "127.0.0.1",
            "server.headless": "true",
            "server.fileWatcherType": "none",
            "runner.postScriptGC": "false",
            "browser.gatherUsageStats": "false",
        }
        flags = [word for name, value in options.items() for word in (f"--{name}", str(value))]
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "streamlit", "run", str(script), *flags],
                env={**os.environ, **(env or {})},
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        url = f"http://127.0.0.1:{port}"
        self.processes[url] = process
        wait_for_port(port, process, log)
        return url

    def stop(self) -> None:
        """End the servers and whatever they started."""
        for process in self.processes.values():
            started = psutil.Process(process.pid).children(recursive=True)
            process.terminate()
            process.wait(timeout=20)
            for child in started:
                if child.is_running():
                    child.kill()


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def wait_for_port(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    pytest.fail(f"the server did not answer on port {port}:\n{log.read_text()[-2000:]}")


@pytest.fixture
def servers(tmp_path: Path, lab_home: Path) -> Iterator[Servers]:
    started = Servers(tmp_path)
    try:
        yield started
    finally:
        started.stop()


@pytest.fixture
def start_streamlit(servers: Servers) -> StartStreamlit:
    """``start_streamlit(script, env=None) -> url``; the server sees the test's own VCR_LAB_HOME."""
    return servers.start


@pytest.fixture
def server_pid(servers: Servers) -> Callable[[str], int]:
    """``server_pid(url)``: the process that answers at an address."""
    return lambda url: servers.processes[url].pid


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Headless Chromium: the machine's own where it has one, else Playwright's."""
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.fixture
def browser_page(browser: Browser) -> Iterator[Page]:
    """A page of 1280 x 900 pixels; an error thrown in it fails the test."""
    errors: list[str] = []
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    page.close()
    assert errors == []
