"""A real server and a real browser for the end-to-end tests."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytest.importorskip("playwright")
from playwright.sync_api import Browser, Page, sync_playwright
from servers import Servers

StartStreamlit = Callable[..., str]
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


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
