"""Fixtures that every room's tests share."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from vcr_core.store import Store, open_store

if TYPE_CHECKING:
    from postgres_server import PostgresServer

if "PYTEST_XDIST_WORKER" in os.environ:  # one core each: threads of both would get in their way
    os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(autouse=True)
def lab_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of its own for everything a test keeps; never the user's."""
    home = tmp_path / "vcr-lab-home"
    monkeypatch.setenv("VCR_LAB_HOME", str(home))
    monkeypatch.delenv("VCR_LAB_STORE", raising=False)
    return home


@pytest.fixture(autouse=True)
def main_module(monkeypatch: pytest.MonkeyPatch) -> None:
    """`__main__` as it was, after every test.

    AppTest leaves its script there, and processes that a later test spawns would run it.
    """
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])


@pytest.fixture
def store(lab_home: Path) -> Iterator[Store]:
    """An empty store in the test's own folder."""
    opened = open_store()
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A real PostgreSQL server, shared by the tests of a session."""
    if sys.platform == "win32":
        pytest.skip("the test set-up starts PostgreSQL on Linux and macOS only")
    from postgres_server import PostgresServer, find_programs

    programs = find_programs()
    if programs is None:
        pytest.skip("PostgreSQL is not installed (Debian: apt-get install postgresql)")
    server = PostgresServer(programs)
    yield server
    server.remove()


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> str:
    """The address of an empty PostgreSQL database of the test's own."""
    return postgres_server.new_database()
