"""Fixtures of the page's tests."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def no_dispatcher(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lease that a test holds is good for as long as the test takes: no worker is started."""
    monkeypatch.setattr("vcr_core.execution.launch.LEASE_PATIENCE_SECONDS", 3600.0)
