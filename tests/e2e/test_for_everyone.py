"""For everyone: contrast, keys, words, screens from a phone to a desk, in both themes.

One server, one browser and one real pair of twins serve all tests here, which follow each other:
the pages are looked at while the store is empty, while the pair trains, and when it is done.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

pytest.importorskip("playwright")
from everyone import (
    DESK,
    PATIENCE_MS,
    PHONE,
    STILL,
    WATCH_SHIFTS,
    Tour,
    largest_shift,
    pages_of,
    settle,
    stops,
    tab_to,
    visit,
)
from playwright.sync_api import Browser, Page, ViewportSize, expect
from servers import Servers
from test_main_job import wait_until

from vcr_core.store import CommandKind, RunState, Store, open_store

pytestmark = [pytest.mark.browser, pytest.mark.slow]
MAIN = Path(__file__).parents[2] / "app" / "server.py"
WATCHED_SECONDS = 20.0
LOADED_MS = 2000
SLOW_SECONDS = 0.5


@dataclass
class Lab:
    """A running app and what lies in its store."""

    url: str
    store: Store


@dataclass
class Pair:
    """Twins that were started with the keyboard, and a second viewer who only watches."""

    link: str
    runs: list[str]
    viewer: Page
    since: float


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    home = tmp_path_factory.mktemp("everyone")
    servers = Servers(home)
    store = open_store(f"sqlite:///{(home / 'runs.sqlite').as_posix()}")
    try:
        yield Lab(servers.start(MAIN, {"VCR_LAB_HOME": str(home)}), store)
    finally:
        servers.stop()
        store.close()


@pytest.fixture(scope="module")
def page(browser: Browser) -> Iterator[Page]:
    errors: list[str] = []
    context = browser.new_context(viewport=DESK, locale="en-GB")
    context.set_default_navigation_timeout(PATIENCE_MS)
    tab = context.new_page()
    tab.add_init_script(STILL)
    tab.on("pageerror", lambda error: errors.append(str(error)))
    yield tab
    context.close()
    assert errors == []


@pytest.fixture(scope="module")
def pair(lab: Lab, page: Page, browser: Browser) -> Iterator[Pair]:
    """Choose an experiment and start it with the keyboard alone, then slow it down."""
    visit(page, lab.url)
    tab_to(page, "^Experiment")
    page.keyboard.type("odd or")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Real scanned digits").first).to_be_visible(timeout=PATIENCE_MS)
    settle(page)
    tab_to(page, "Start pair")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"run=[0-9a-f]{12}"), timeout=PATIENCE_MS)
    runs = [run.id for run in lab.store.runs()]
    for run in runs:
        lab.store.add_command(run, CommandKind.SLOW, {"seconds": SLOW_SECONDS})
    viewer = browser.new_page(viewport=DESK)
    viewer.set_default_navigation_timeout(PATIENCE_MS)
    viewer.add_init_script(WATCH_SHIFTS)
    viewer.goto(page.url)
    wait_until(lambda: all(lab.store.run(run).step > 0 for run in runs))
    yield Pair(page.url, runs, viewer, time.monotonic())
    viewer.close()


@pytest.fixture(scope="module")
def finished(lab: Lab, pair: Pair) -> Pair:
    for run in pair.runs:
        lab.store.add_command(run, CommandKind.SLOW, {"seconds": 0.0})
    wait_until(lambda: all(lab.store.run(r).state is RunState.FINISHED for r in pair.runs))
    return pair


def test_pages_without_any_run(lab: Lab, page: Page) -> None:
    tour = Tour(page)
    for name, url in pages_of(page, lab.url).items():
        visit(page, url)
        tour.look(f"{name}-empty")
    assert not tour.wrong, "\n".join(tour.wrong)


def test_tab_leads_through_the_first_page_in_reading_order(lab: Lab, page: Page) -> None:
    visit(page, lab.url)
    found = list(stops(page, 22))
    names = " / ".join(stop["name"] for stop in found)
    order = [
        "Lab",
        "Experiment",
        "Start pair",
        "Start one",
        "Settings",
        "Command line",
        "Odd or even",
    ]
    places = [names.find(name) for name in order]
    assert -1 not in places, names
    assert places == sorted(places)
    unseen = [
        stop for stop in found if not stop["isVisible"] and stop["tag"] not in {"main", "body"}
    ]
    assert not unseen, unseen


def test_the_main_job_with_the_keyboard_alone(lab: Lab, page: Page, pair: Pair) -> None:
    main = pair.runs[0]
    tab_to(page, "^Variance weight", tag="input")
    page.keyboard.press("ArrowRight")
    expect(page.get_by_text(re.compile(r"Variance weight 1 → 3"))).to_be_visible(
        timeout=PATIENCE_MS
    )
    tab_to(page, "^blocks.0|Enlarge blocks.0", tag="button")
    page.keyboard.press("Enter")
    expect(page.get_by_text("blocks.0, enlarged")).to_be_visible(timeout=PATIENCE_MS)
    view = page.locator(".vcr-live")
    wait_until(lambda: len(lab.store.snapshot_steps(main, "blocks.0", "covariance")) > 2)
    tab_to(page, "^Time: which step", tag="input")
    page.keyboard.press("Home")
    expect(view).to_have_attribute("data-step", re.compile("^[01]$"), timeout=PATIENCE_MS)
    page.keyboard.press("End")
    expect(view).to_have_attribute("data-step", "live", timeout=PATIENCE_MS)
    tab_to(page, "Pause", tag="button")  # the whole page has that word as well
    page.keyboard.press("Enter")
    wait_until(lambda: all(lab.store.run(run).state is RunState.PAUSED for run in pair.runs))


def test_the_live_page(page: Page, pair: Pair) -> None:
    tour = Tour(page)
    tour.look("lab-live")
    assert not tour.wrong, "\n".join(tour.wrong)


def test_nothing_jumps_while_it_trains(lab: Lab, pair: Pair) -> None:
    for run in pair.runs:
        lab.store.add_command(run, CommandKind.RESUME)
    pair.viewer.wait_for_timeout(1000 * max(0.0, pair.since + WATCHED_SECONDS - time.monotonic()))
    shifts = pair.viewer.evaluate("window.shifts")
    assert largest_shift(shifts) <= 0.1, shifts


def test_pages_with_runs(lab: Lab, page: Page, finished: Pair) -> None:
    tour = Tour(page)
    for name, url in pages_of(page, lab.url).items():
        visit(page, url)
        tour.look(name)
    visit(page, finished.link)
    tour.look("lab-finished")
    visit(page, f"{lab.url}/compare?runs={','.join(finished.runs)}")
    tour.look("compare-two")
    assert not tour.wrong, "\n".join(tour.wrong)


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_nothing_jumps_while_a_page_loads(
    lab: Lab, browser: Browser, page: Page, finished: Pair, size: ViewportSize
) -> None:
    pages = {
        **pages_of(page, lab.url),
        "lab-finished": finished.link,
        "compare-two": f"{lab.url}/compare?runs={','.join(finished.runs)}",
    }
    for name, url in pages.items():
        visitor = browser.new_page(viewport=size)
        visitor.add_init_script(WATCH_SHIFTS)
        visit(visitor, url)
        visitor.wait_for_timeout(LOADED_MS)
        shifts = visitor.evaluate("window.shifts")
        visitor.close()
        assert largest_shift(shifts) <= 0.1, (name, shifts)
