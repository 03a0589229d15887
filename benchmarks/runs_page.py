"""How fast the runs page is with 2,000 runs, and the compare page with 12, in a real browser.

    python benchmarks/runs_page.py [--runs 2000] [--trials 10] [--output FILE]

A real server on a store of its own; headless Chromium clicks and waits until what was asked for is
on the screen. First load is a new browser page; the server is warm after one visit. *Compare 12
runs*: from the press of **Compare these** on the runs page until curves and results are there;
matrices below the fold are drawn after that. *Load of that page*: by its link, in a browser that
has nothing in its cache.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from urllib.request import urlopen

import numpy as np
from playwright.sync_api import Browser, Page, expect, sync_playwright
from presets import machine

from vcr_core.config import RunConfig, override
from vcr_core.store import Report, RunState, Store, open_store

ROOT = Path(__file__).parents[1]
DEFAULT_OUTPUT = ROOT / "docs" / "results" / "runs_page.json"
PORT = 8799
PATIENCE_MS = 60_000
COMPARED = 12
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
ROWS = "tr[data-run]"
COMPARED_SEEN = "[data-chart='accuracy'] .plot-container"
LAST_DRAWN = "[data-chart='differences'] .panel:last-child image"


def main() -> None:
    """Fill, measure, write the result file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--trials", type=int, default=10)
    parser.add_argument("--output", type=Path, default=DEFAULT_OUTPUT)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        os.environ["VCR_LAB_HOME"] = home
        store = open_store()
        compared = fill(store, options.runs)
        store.hold_lease("dispatcher", "benchmark", patience=0)
        server = start_server()
        try:
            found = measure(compared, options.trials)
        finally:
            server.terminate()
            server.wait(timeout=20)
        store.close()
    result = {
        "made": datetime.now(tz=UTC).date().isoformat(),
        "machine": {**machine(), "streamlit": version("streamlit")},
        "runs": options.runs,
        "trials": options.trials,
        "seconds": found,
    }
    options.output.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    for name, seconds in found.items():
        print(f"{name:16} p50 {seconds['p50']:.2f} s, worst {seconds['worst']:.2f} s")


def fill(store: Store, runs: int) -> list[str]:
    """Finished runs with names and tags, the last ones with curves; returns those."""
    made = []
    for number in range(runs):
        weight = float(number % 3)
        config = override(RunConfig(), {"seed": number // 3, "regularizer.variance_weight": weight})
        run = store.create_run(config, preset="sprites-shape", tags=[f"tag{number % 9}"])
        result = {
            "source_accuracy": 0.9,
            "transfer": {"colour": number / runs},
            "effective_rank": 20.0,
        }
        store.update_run(
            run,
            state=RunState.FINISHED.value,
            total_steps=460,
            step=460,
            training_seconds=20.0,
            result=result,
            name=f"run number {number}",
        )
        made.append(run)
    for run in made[-COMPARED:]:
        give_curves(store, run)
    return made[-COMPARED:]


def give_curves(store: Store, run: str) -> None:
    """What a real run of 460 steps reports: 60 numbers a curve, a matrix a layer every 15 steps."""
    generator = np.random.default_rng(0)
    layers = store.run(run).config.layer_names
    reports = []
    for step in range(0, 460, 8):
        numbers = ("source/accuracy", "transfer/colour", "loss/task", "features/effective_rank")
        metrics = {name: float(generator.random()) for name in numbers}
        arrays = {}
        if step % 24 == 0:
            arrays = {
                (layer, "covariance"): np.cov(generator.normal(size=(64, 128))).astype(np.float32)
                for layer in layers
            }
        reports.append(Report(step, metrics, arrays))
    store.write_reports(run, reports, progress={})


def start_server() -> subprocess.Popen[bytes]:
    """The app on a port of its own, once it answers."""
    flags = ["--server.port", str(PORT), "--server.headless", "true"]
    command = [sys.executable, "-m", "streamlit", "run", str(ROOT / "app" / "server.py"), *flags]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for _ in range(200):
        try:
            urlopen(f"http://127.0.0.1:{PORT}/_stcore/health").close()
            break
        except OSError:
            time.sleep(0.1)
    return server


def measure(compared: list[str], trials: int) -> dict[str, dict[str, float]]:
    """Seconds of every kind of click."""
    url = f"http://127.0.0.1:{PORT}"
    path = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    times: dict[str, list[float]] = {}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        load(browser, f"{url}/runs", ROWS)
        for _ in range(trials):
            seconds, page = load(browser, f"{url}/runs", ROWS)
            times.setdefault("first load", []).append(seconds)
            for name, act in clicks(page):
                times.setdefault(name, []).append(timed(act))
            page.close()
            _, page = load(browser, f"{url}/runs", ROWS)
            for name, seconds in compare(page, compared).items():
                times.setdefault(name, []).append(seconds)
            page.close()
            link = f"{url}/compare?runs={','.join(compared)}"
            seconds, page = load(browser, link, COMPARED_SEEN)
            times.setdefault("load of that page", []).append(seconds)
            page.close()
        browser.close()
    return {
        name: {
            "p50": round(statistics.median(values), 3),
            "worst": round(max(values), 3),
        }
        for name, values in times.items()
    }


def compare(page: Page, runs: list[str]) -> dict[str, float]:
    """Seconds from the press of the button until curves and results are there, then the rest."""
    for run in runs:
        page.locator(f"tr[data-run='{run}'] input[type=checkbox]").check()
    button = page.get_by_role("button", name="Compare these")
    expect(button).to_be_enabled(timeout=PATIENCE_MS)

    def press() -> None:
        button.click()
        page.wait_for_selector(COMPARED_SEEN, timeout=PATIENCE_MS, state="attached")
        page.wait_for_selector(".vcr-table", timeout=PATIENCE_MS, state="attached")

    def rest() -> None:
        page.wait_for_selector(LAST_DRAWN, timeout=PATIENCE_MS, state="attached")

    return {"compare 12 runs": timed(press), "then until the last matrix": timed(rest)}


def load(browser: Browser, url: str, awaited: str) -> tuple[float, Page]:
    """Seconds until something stands on a new page."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})

    def act() -> None:
        page.goto(url)
        page.wait_for_selector(awaited, timeout=PATIENCE_MS, state="attached")

    return timed(act), page


def clicks(page: Page) -> list[tuple[str, Callable[[], None]]]:
    """What a visitor does, each ending when the list shows it."""
    first = page.locator(f"{ROWS} .field.name").first
    counted = page.get_by_text("of 2000 runs")

    def next_page() -> None:
        before = first.input_value()
        page.get_by_role("button", name="Next").click()
        expect(first).not_to_have_value(before, timeout=PATIENCE_MS)

    def another_order() -> None:
        page.get_by_role("combobox", name="Order").click()
        page.get_by_role("option", name="Oldest first").click()
        expect(first).to_have_value("run number 0", timeout=PATIENCE_MS)

    def search() -> None:
        page.get_by_label("Search").fill("tag4 1003")
        page.get_by_label("Search").press("Enter")
        expect(counted).to_have_count(0, timeout=PATIENCE_MS)
        expect(page.locator(ROWS).nth(1)).to_have_count(0, timeout=PATIENCE_MS)

    return [("another order", another_order), ("next page", next_page), ("search", search)]


def timed(act: Callable[[], None]) -> float:
    """Seconds that something takes."""
    start = time.perf_counter()
    act()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
