"""How long a visitor waits for the page: first load, later loads, and from page to page.

    python benchmarks/page_load.py [--trials 5] [--output FILE]

Every trial starts a server of its own on one store of 30 finished runs. *Cold*: the first browser
that this server ever sees opens the lab, until **Start pair** can be pressed. *Warm*: another
browser profile, with nothing in its cache, does the same. *Load of a run*: it opens a finished run,
until the charts in sight are drawn (*all drawn*: also the others, which are drawn when the browser
is idle). *Again*: that page is reloaded. Then clicks in the navigation, each until what the page is
for is on the screen. Processor seconds of the server are noted beside the cold load, since they do
not depend on what else the machine does.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import psutil
from browsing import (
    HEIGHT,
    PATIENCE_MS,
    RESULTS,
    WIDTH,
    a_store,
    browsing,
    served,
    summary,
    write_result,
)
from playwright.sync_api import Browser, Page
from runs_page import ROWS, fill

RUNS = 30
NOTHING_TO_COMPARE = "[data-testid=stAlert] >> text=Select 2 to 12 runs"
ALL_DRAWN = ".vcr-live [data-panel='features/effective_rank'] .plot-container"  # drawn last but two
IN_SIGHT = ".vcr-live [data-panel='transfer/colour'] .plot-container"  # the second of two in sight
Waits = dict[str, list[float]]


def main() -> None:
    """Measure and write the result file."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=5)
    parser.add_argument("--output", type=Path, default=RESULTS / "page_load.json")
    options = parser.parse_args()
    waits: Waits = {}
    with a_store() as store, browsing() as browser:
        shown = fill(store, RUNS)[-1]
        store.hold_lease("dispatcher", "benchmark", patience=0)
        for _ in range(options.trials):
            trial(browser, shown, waits)
    found = {name: summary(seconds) for name, seconds in waits.items()}
    write_result(options.output, {"trials": options.trials, "runs": RUNS, "seconds": found})


def trial(browser: Browser, shown: str, waits: Waits) -> None:
    """One server's life."""

    def note(name: str, act: Callable[[], object], *, charts: bool = False) -> None:
        start = time.perf_counter()
        act()
        waits.setdefault(name, []).append(time.perf_counter() - start)
        if charts:
            page.locator(ALL_DRAWN).wait_for(timeout=PATIENCE_MS)
            waits.setdefault(f"{name}, all drawn", []).append(time.perf_counter() - start)

    start = time.perf_counter()
    with served() as (url, server):
        waits.setdefault("server answers", []).append(time.perf_counter() - start)
        before = cpu_seconds(server)
        page = new_page(browser)
        note("cold load", lambda: open_lab(page, url))
        waits.setdefault("cold load, server's processor", []).append(cpu_seconds(server) - before)
        page.context.close()
        page = new_page(browser)
        note("warm load", lambda: open_lab(page, url))
        page.context.close()
        page = new_page(browser)
        note("load of a run", lambda: open_run(page, f"{url}/?run={shown}"), charts=True)
        note("load of a run again", lambda: open_run(page, f"{url}/?run={shown}"), charts=True)
        for _ in range(2):  # the second round finds everything imported
            note("lab to runs", lambda: click(page, "Runs", ROWS))
            note("runs to compare", lambda: click(page, "Compare", NOTHING_TO_COMPARE))
            note("compare to lab", lambda: click(page, "Lab", IN_SIGHT), charts=True)
        page.context.close()


def new_page(browser: Browser) -> Page:
    """A page of a browser profile that has never been here."""
    return browser.new_context(viewport={"width": WIDTH, "height": HEIGHT}).new_page()


def open_lab(page: Page, url: str) -> None:
    """Until a pair can be started."""
    page.goto(url, wait_until="commit")
    page.get_by_role("button", name="Start pair").wait_for(timeout=PATIENCE_MS)


def open_run(page: Page, url: str) -> None:
    """Until the charts of a run that are in sight are drawn."""
    page.goto(url, wait_until="commit")
    page.locator(IN_SIGHT).wait_for(timeout=PATIENCE_MS)


def click(page: Page, name: str, awaited: str) -> None:
    """Go to another page by the navigation, until something is to be seen there."""
    page.get_by_test_id("stTopNavLink").filter(has_text=name).click()
    page.locator(awaited).first.wait_for(timeout=PATIENCE_MS)


def cpu_seconds(process: psutil.Process) -> float:
    """Seconds of processor time that a process has used."""
    times = process.cpu_times()
    return times.user + times.system


if __name__ == "__main__":
    main()
