"""What live charts cost the browser: our live view against ``st.plotly_chart``, the same charts.

    python benchmarks/browser_cpu.py [--rounds 5] [--seconds 30] [--output FILE]

Each time a new pair with 57 reports gets another report of both twins every second, and a page of
headless Chromium shows the charts of the lab (without the row of layers, which only the live view
can draw) at one tick a second. Processor seconds of all of the browser's processes are taken over
``--seconds``, after the page has settled. The two ways take turns, so that what else the machine
does hits both. Cores are processor seconds a second. *A tick*: where the server of one way does not
get a tick done within a second, its browser has less to draw; so the share is told by tick, too.
"""

from __future__ import annotations

import argparse
import threading
from operator import truediv
from pathlib import Path
from typing import Any

import numpy as np
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
from page_tick import STEPS, report
from playwright.sync_api import Browser, Page

from vcr_core.presets import DEFAULT_PRESET, find_preset
from vcr_core.store import RunState, Store

SCRIPT = Path(__file__).with_name("browser_cpu_app.py")
WAYS = {"live": ".vcr-live .plot-container", "plotly": ".stPlotlyChart .plot-container"}
REPORTS_BEFORE = 57
REPORT_EVERY = 4
SETTLE_SECONDS = 6.0


def main() -> None:
    """Measure and write the result file."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--output", type=Path, default=RESULTS / "browser_cpu.json")
    options = parser.parse_args()
    load = psutil.getloadavg()[0]
    cores: dict[str, list[float]] = {way: [] for way in WAYS}
    ticks: dict[str, list[float]] = {way: [] for way in WAYS}
    with a_store() as store, served(SCRIPT) as (url, _), browsing() as browser:
        store.hold_lease("dispatcher", "benchmark", patience=0)
        for place in range(options.rounds):
            for way in list(WAYS) if place % 2 == 0 else reversed(WAYS):
                used, seen = watched(store, browser, url, way, options.seconds)
                cores[way].append(used / options.seconds)
                ticks[way].append(seen / options.seconds)
    a_tick = {way: list(map(truediv, cores[way], ticks[way])) for way in WAYS}
    found: dict[str, Any] = {
        "rounds": options.rounds,
        "seconds": options.seconds,
        "load_average_before": round(load, 1),
        "cores": {way: summary(values, 3) for way, values in cores.items()},
        "ticks_a_second": {way: summary(values, 3) for way, values in ticks.items()},
        "live_as_share_of_plotly": {
            "cores": summary(list(map(truediv, *cores.values())), 3),
            "a_tick": summary(list(map(truediv, *a_tick.values())), 3),
        },
    }
    write_result(options.output, found)


def watched(
    store: Store, browser: Browser, url: str, way: str, seconds: float
) -> tuple[float, int]:
    """Processor seconds of the browser and ticks that it got, while a page shows a pair that
    reports each second.
    """
    config, random = find_preset(DEFAULT_PRESET).config, np.random.default_rng(0)
    pair, ending = store.create_pair(config, preset=DEFAULT_PRESET), threading.Event()

    def write(number: int) -> None:
        step = REPORT_EVERY * number
        for run in pair:
            store.write_reports(run, [report(config, step, random)], progress={"step": step})

    def feed() -> None:
        number = REPORTS_BEFORE
        while not ending.wait(1.0):
            write(number)
            number += 1

    for run in pair:
        store.update_run(run, state=RunState.RUNNING.value, total_steps=STEPS)
    for number in range(REPORTS_BEFORE):
        write(number)
    feeder = threading.Thread(target=feed)
    feeder.start()
    page = browser.new_context(viewport={"width": WIDTH, "height": HEIGHT}).new_page()
    try:
        page.goto(f"{url}/?run={pair[1]}&draw={way}")
        page.locator(WAYS[way]).first.wait_for(timeout=PATIENCE_MS)
        page.wait_for_timeout(1e3 * SETTLE_SECONDS)
        first, before = ticks_of(page), browser_seconds()
        page.wait_for_timeout(1e3 * seconds)
        return browser_seconds() - before, ticks_of(page) - first
    finally:
        page.context.close()
        ending.set()
        feeder.join()


def ticks_of(page: Page) -> int:
    """How often the page's charts were told what there is."""
    return int(page.get_by_text("tick ").inner_text().split()[1])


def browser_seconds() -> float:
    """Processor seconds of all living processes of the browser that this process has started."""
    total = 0.0
    for process in psutil.Process().children(recursive=True):
        try:
            if "chrom" in process.name():
                times = process.cpu_times()
                total += times.user + times.system
        except psutil.NoSuchProcess:
            continue
    return total


if __name__ == "__main__":
    main()
