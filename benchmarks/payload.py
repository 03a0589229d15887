"""How much a tick of the lab page weighs: websocket bytes while a real pair trains.

    python benchmarks/payload.py [--preset sprites-shape] [--output FILE]

Headless Chromium opens the page, presses **Start pair** and watches until both twins are over. A
tick is one run of the live part (a fragment): all of its messages together, as the browser gets
them. Ticks that brought everything anew (*fresh*: the first one, or after a gap) and runs of the
whole page are counted apart.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from browsing import (
    HEIGHT,
    PATIENCE_MS,
    RESULTS,
    WIDTH,
    Script,
    Traffic,
    a_store,
    browsing,
    served,
    summary,
    write_result,
)

from vcr_core.execution import ensure_dispatcher
from vcr_core.presets import DEFAULT_PRESET
from vcr_core.store import RunState, Store

LONGEST_SECONDS = 300.0


def main() -> None:
    """Measure and write the result file."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--preset", default=DEFAULT_PRESET)
    parser.add_argument("--output", type=Path, default=RESULTS / "payload.json")
    options = parser.parse_args()
    with a_store() as store:
        ensure_dispatcher(store)
        scripts, seconds = watch(store, options.preset)
    found = {"preset": options.preset, "seconds": round(seconds, 1), **weigh(scripts)}
    write_result(options.output, found)


def watch(store: Store, preset: str) -> tuple[list[Script], float]:
    """What one viewer's browser received from **Start pair** until both twins were over."""
    with served() as (url, _), browsing() as browser:
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        traffic = Traffic(page)
        page.goto(f"{url}/?preset={preset}")
        button = page.get_by_role("button", name="Start pair")
        button.wait_for(timeout=PATIENCE_MS)
        start = time.monotonic()
        button.click()
        while not ended(store):
            if time.monotonic() - start > LONGEST_SECONDS:
                raise TimeoutError(f"the pair was not over after {LONGEST_SECONDS:g} s")
            page.wait_for_timeout(500)
        spent = time.monotonic() - start
        page.wait_for_timeout(3000)
        return [script for script in traffic.scripts() if script.at >= start], spent


def ended(store: Store) -> bool:
    """Whether both twins are over.

    Raises:
        RuntimeError: one of them failed.
    """
    runs = store.runs()
    if any(run.state is RunState.FAILED for run in runs):
        raise RuntimeError("a twin failed: " + "; ".join(run.error or "" for run in runs))
    return bool(runs) and all(run.state.is_over for run in runs)


def weigh(scripts: Sequence[Script]) -> dict[str, Any]:
    """Kilobytes (1,000 bytes) by what a script run was for."""
    ticks = [script for script in scripts if script.is_fragment and script.live]
    kinds = {
        "ordinary_ticks": [tick for tick in ticks if not tick.is_fresh],
        "fresh_ticks": [tick for tick in ticks if tick.is_fresh],
        "whole_page": [script for script in scripts if not script.is_fragment],
        "other_fragments": [s for s in scripts if s.is_fragment and not s.live],
    }
    return {
        "kilobytes": {
            name: summary([script.bytes / 1e3 for script in chosen])
            for name, chosen in kinds.items()
            if chosen
        },
        "kilobytes_in_all": round(sum(script.bytes for script in scripts) / 1e3, 1),
    }


if __name__ == "__main__":
    main()
