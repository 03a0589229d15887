"""The wheel brings the whole app; it and the clone start from a folder that holds nothing."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).parents[1]
START_SECONDS = 60.0


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from the clone."""
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the wheel installs, far from the clone."""
    folder = tmp_path_factory.mktemp("site-packages")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    folder = tmp_path / "empty"
    folder.mkdir()
    return folder


def surroundings(packages: Path | None = None) -> dict[str, str]:
    """The environment with nothing but ``packages`` on the path, and one warm worker."""
    known = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    path = {} if packages is None else {"PYTHONPATH": str(packages)}
    return {**known, **path, "PYTHONUTF8": "1", "VCR_LAB_SLOTS": "1"}


def test_the_wheel_holds_the_whole_app_and_no_tests(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    shipped = {
        f"vcr_core/_bundle/{path.relative_to(ROOT).as_posix()}"
        for folder in ("app", "pages")
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert shipped <= names
    assert {
        "vcr_core/_bundle/app/main.py",
        "vcr_core/_bundle/app/server.py",
        "vcr_core/_bundle/app/.streamlit/config.toml",
        "vcr_core/_bundle/app/page.css",
        "vcr_core/_bundle/app/built/run_list.js",
        "vcr_core/_bundle/app/built/streamlit.js",
        "vcr_core/_bundle/app/built/welcome.js",
        "vcr_core/live_view/built/live_view.js",
        "vcr_core/_bundle/pages/lab.py",
        "vcr_core/_bundle/pages/runs.py",
        "vcr_core/py.typed",
    } <= names
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)
    tops = {name.partition("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"vcr_core"}
    assert not [name for name in names if "test_" in name or name.endswith(".pyc")]


def test_every_module_of_the_core_is_in_the_wheel(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    modules = {path.relative_to(ROOT).as_posix() for path in (ROOT / "vcr_core").rglob("*.py")}
    assert modules <= names


def test_the_installed_page_runs_without_the_clone(
    installed: Path, empty: Path, lab_home: Path
) -> None:
    main = installed / "vcr_core" / "_bundle" / "app" / "main.py"
    code = f"""
import sys, vcr_core
from streamlit.testing.v1 import AppTest
from vcr_core.store import open_store
open_store().hold_lease("dispatcher", "test", patience=0)
page = AppTest.from_file({str(main)!r}, default_timeout=60).run()
assert not page.exception, page.exception
assert "Start pair" in [button.label for button in page.button]
page.switch_page("../pages/runs.py").run()
assert not page.exception, page.exception
ours = [m.__file__ for n, m in sys.modules.items() if n.split(".")[0] in ("vcr_core", "app")]
assert all(file.startswith({str(installed)!r}) for file in ours), ours
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=empty,
        env=surroundings(installed),
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_the_installed_command_serves_the_page_to_this_machine_alone(
    installed: Path, empty: Path
) -> None:
    port = free_port()
    command = ["-m", "vcr_core", "app", "--no-browser", "--port", str(port)]
    with serving(command, port, cwd=empty, env=surroundings(installed)) as process:
        assert_page_with_our_styles(answer(f"http://127.0.0.1:{port}/"))
        assert listening_addresses(process, port) == {"127.0.0.1"}
    assert list(empty.iterdir()) == []


def test_streamlit_run_serves_the_page_of_the_clone_with_its_settings(empty: Path) -> None:
    port = free_port()
    script = str(ROOT / "app" / "server.py")
    options = ["--server.port", str(port), "--server.headless", "true"]
    command = ["-m", "streamlit", "run", script, *options]
    with serving(command, port, cwd=empty, env=surroundings()) as process:
        assert_page_with_our_styles(answer(f"http://127.0.0.1:{port}/"))
        assert listening_addresses(process, port) == {"127.0.0.1"}
        assert_answers_leave_at_once(process)


def assert_answers_leave_at_once(process: psutil.Process) -> None:
    """The server runs on libraries that do not let a packet wait for the last one's receipt.

    Without them every file of the page took 40 ms (docs/log.md).
    """
    if not psutil.LINUX:  # elsewhere the files of a process cannot be listed
        return
    used = "\n".join(file.path for file in process.memory_maps())
    assert "uvloop" in used
    assert "httptools" in used


def assert_page_with_our_styles(page: bytes) -> None:
    style = (ROOT / "app" / "page.css").read_bytes()
    assert page.startswith(b"<!")
    assert style in page


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def serving(
    arguments: list[str], port: int, *, cwd: Path, env: Mapping[str, str]
) -> Iterator[psutil.Process]:
    """A server that is healthy; it and whatever it started is ended afterwards."""
    log = cwd.parent / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, *arguments], cwd=cwd, env=env, stdout=output, stderr=output
        )
    watched = psutil.Process(process.pid)
    try:
        wait_until_healthy(port, process, log)
        yield watched
    finally:
        everyone = [*watched.children(recursive=True), watched] if watched.is_running() else []
        for one in reversed(everyone):
            end(one)
        process.wait(timeout=20)


def end(process: psutil.Process) -> None:
    try:
        process.kill()
    except psutil.NoSuchProcess:
        return


def wait_until_healthy(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if answer(f"http://127.0.0.1:{port}/_stcore/health") == b"ok":
                return
        except urllib.error.URLError:
            time.sleep(0.1)
    pytest.fail(f"the server did not answer on port {port}:\n{log.read_text('utf-8')[-2000:]}")


def answer(url: str) -> bytes:
    request = urllib.request.Request(url, headers={"Accept": "text/html"})
    with urllib.request.urlopen(request, timeout=10) as response:
        assert response.status == 200
        return bytes(response.read())


def listening_addresses(process: psutil.Process, port: int) -> set[str]:
    return {
        connection.laddr.ip
        for connection in process.net_connections(kind="tcp")
        if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port
    }
