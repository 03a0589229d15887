"""How soon the page shows what happens: an event in a worker → pixels, a moved slider → its effect.

    python benchmarks/interaction.py [--seconds 120] [--moves 40] [--output FILE]

A pair of the default preset really trains in two workers; headless Chromium watches it on the lab
page. *Event to pixels*: from the moment at which a worker's training loop reports a step to the
first frame, after painting, in which the curve of the task's loss reaches that step. *Asked to
applied and shown*: from the key that moves the slider of the variance weight to the frame that says
at which step that was applied; *marked*: until the live view names the move at that step, too. All
clocks are this machine's.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import threading
import time
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
from browsing import (
    HEIGHT,
    PATIENCE_MS,
    RESULTS,
    WIDTH,
    a_store,
    browsing,
    ended,
    served,
    summary,
    write_result,
)
from latency import wait_until
from playwright.sync_api import Page

from vcr_core.config import override
from vcr_core.presets import DEFAULT_PRESET, find_preset
from vcr_core.store import CommandKind, RunState, Store, open_store

LONG = {"training.epochs": 1000, "telemetry.reports": 2000, "telemetry.snapshots": 1000}
FIRST, SECOND = "1", "3"
PAUSE_SECONDS = 1.3
WATCH = """root => {
    const panel = root.querySelector('[data-panel="loss/task"] .plot');
    window.painted = [];
    const look = () => {
        const lasts = panel.data.map(({ x }) => x.at(-1) ?? -1);
        window.painted.push([Date.now() / 1000, lasts]);
    };
    // After the frame in which it was drawn: a task that a frame's callback starts comes later.
    const afterPaint = () => requestAnimationFrame(() => setTimeout(look));
    new MutationObserver(afterPaint).observe(root, { attributeFilter: ['data-draws'] });
}"""
Events = list[tuple[float, int]]


def main() -> None:
    """Measure and write the result file."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--moves", type=int, default=40)
    parser.add_argument("--work", help=argparse.SUPPRESS)
    parser.add_argument("--output", type=Path, default=RESULTS / "interaction.json")
    options = parser.parse_args()
    if options.work:
        work(options.work)
        return
    load = psutil.getloadavg()[0]
    with a_store() as store, training(store) as (pair, events), served() as (url, _):
        wait_until(lambda: all(store.run(run).step for run in pair), look=0.1)
        with browsing() as browser:
            page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
            page.goto(f"{url}/?run={pair[1]}")
            plot = page.locator("[data-panel='loss/task'] .plot-container")
            plot.wait_for(timeout=PATIENCE_MS)
            plot.scroll_into_view_if_needed()  # as a visitor who looks at it
            pixels = event_to_pixels(page, events, options.seconds)
            moves = moved(page, options.moves)
    found = {
        "preset": DEFAULT_PRESET,
        "load_average_before": round(load, 1),
        "milliseconds": {"event_to_pixels": summary(pixels, 0), **moves},
    }
    write_result(options.output, found)


def work(run_id: str) -> None:
    """Train a run as a worker does, and print when each step was reported."""
    from vcr_core.execution.runner import execute  # takes seconds

    def note(step: int, _total: int, _metrics: Mapping[str, float]) -> None:
        print(f"{time.time():.4f} {step}", flush=True)

    execute(open_store(), run_id, on_progress=note)


@contextmanager
def training(store: Store) -> Iterator[tuple[tuple[str, str], Mapping[str, Events]]]:
    """A pair that trains in a process each, and what these have reported so far."""
    store.hold_lease("dispatcher", "benchmark", patience=0)  # the page starts no workers
    config = override(find_preset(DEFAULT_PRESET).config, LONG)
    pair = store.create_pair(config, preset=DEFAULT_PRESET)
    events: dict[str, Events] = {run: [] for run in pair}
    for run in pair:
        store.update_run(run, state=RunState.STARTING.value)
    environment = {**os.environ, "VCR_LAB_SLOTS": str(len(pair))}
    commands = [[sys.executable, __file__, "--work", run] for run in pair]
    first, second = (
        subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) for command in commands
    )
    with ended(first), ended(second):
        for run, process in zip(pair, (first, second), strict=True):
            threading.Thread(target=listen, args=(process, events[run]), daemon=True).start()
        yield pair, events
        for run in pair:
            store.add_command(run, CommandKind.ABORT)


def listen(process: subprocess.Popen[bytes], events: Events) -> None:
    """Note what a worker prints, until it ends."""
    assert process.stdout is not None
    for line in process.stdout:
        moment, step = line.split()
        events.append((float(moment), int(step)))


def event_to_pixels(page: Page, events: Mapping[str, Events], seconds: float) -> list[float]:
    """Milliseconds of every report of both twins that was made and shown in this time."""
    page.locator(".vcr-live").evaluate(WATCH)
    begin = time.time()
    page.wait_for_timeout(1000 * seconds)
    painted: list[tuple[float, list[int]]] = page.evaluate("window.painted")
    found = []
    for place, noted in enumerate(events.values()):
        lasts = [steps[place] for _, steps in painted]
        for moment, step in noted:
            frame = bisect_left(lasts, step)
            if moment >= begin and frame < len(painted):
                found.append(1e3 * (painted[frame][0] - moment))
    return found


def moved(page: Page, moves: int) -> dict[str, dict[str, float]]:
    """Milliseconds until a moved slider's effect is said, and until the charts name it."""
    slider = page.get_by_role("slider", name=re.compile("^Variance weight"))
    said, marked = [], []
    for move in range(moves):
        old, new = (FIRST, SECOND) if move % 2 == 0 else (SECOND, FIRST)
        start = time.time()
        slider.press("ArrowRight" if move % 2 == 0 else "ArrowLeft")
        told = page.get_by_text(re.compile(rf"Variance weight {old} → {new} applied at step \d+"))
        told.wait_for(timeout=PATIENCE_MS)
        said.append(1e3 * (time.time() - start))
        step = told.inner_text().rpartition("step ")[2].split()[0]
        mark = page.get_by_text(f"Variance weight → {new} at step {step}").first
        mark.wait_for(timeout=PATIENCE_MS)
        marked.append(1e3 * (time.time() - start))
        page.wait_for_timeout(1e3 * (PAUSE_SECONDS + 0.037 * (move % 13)))
    return named(said=said, marked=marked)


def named(said: Sequence[float], marked: Sequence[float]) -> dict[str, Any]:
    """Both waits of a move by their names in the result file."""
    return {
        "asked_to_applied_and_shown": summary(said, 0),
        "asked_to_marked_in_charts": summary(marked, 0),
    }


if __name__ == "__main__":
    main()
