"""Fixtures that every room's tests share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from vcr_core.store import Store, open_store


@pytest.fixture(autouse=True)
def lab_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of its own for everything a test keeps; never the user's."""
    home = tmp_path / "vcr-lab-home"
    monkeypatch.setenv("VCR_LAB_HOME", str(home))
    monkeypatch.delenv("VCR_LAB_STORE", raising=False)
    return home


@pytest.fixture
def store(lab_home: Path) -> Iterator[Store]:
    """An empty store in the test's own folder."""
    opened = open_store()
    yield opened
    opened.close()
