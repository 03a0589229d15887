"""Fixtures of the page's tests."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def no_dispatcher(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody else seems to dispatch: the page starts no workers for a test."""
    monkeypatch.setattr("vcr_core.execution.launch.dispatcher_alive", lambda store: True)
