"""Streamlit servers for the end-to-end tests: started on free ports, ended completely."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import psutil
import pytest

START_SECONDS = 60.0


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
