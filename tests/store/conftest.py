"""The same tests on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from vcr_core.store import Store, open_store


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, lab_home: Path) -> Iterator[Store]:
    """An empty store, on SQLite and on PostgreSQL."""
    url = request.getfixturevalue("postgres_url") if request.param == "postgresql" else None
    opened = open_store(url)
    yield opened
    opened.close()


@pytest.fixture
def sqlite_store(lab_home: Path) -> Iterator[Store]:
    """An empty store in the test's own folder."""
    opened = open_store()
    yield opened
    opened.close()
