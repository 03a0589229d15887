"""What one tick of the lab page costs the server, while two runs report something new.

    python benchmarks/page_tick.py [--ticks 200] [--output docs/results/page_tick.json]

The live part of the real page runs in Streamlit's test runner against a store of its own. Between
two ticks both runs write a report with every metric and one 64 x 64 matrix a layer. The numbers are
random, because their values do not change what a tick costs. Time is the whole script run.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import numpy as np
from presets import machine
from streamlit.testing.v1 import AppTest

from vcr_core.config import RunConfig
from vcr_core.presets import DEFAULT_PRESET, find_preset
from vcr_core.store import Report, RunState, Store, open_store

DEFAULT_OUTPUT = Path(__file__).parents[1] / "docs" / "results" / "page_tick.json"
QUANTILES = ("std_q05", "std_q25", "std_q50", "std_q75", "std_q95")
OF_A_LAYER = ("rms_correlation", "active_hinges", "effective_rank", "gradient_ratio")
FEATURES, SAMPLES = 64, 8192
STEPS = 460


def tick_script() -> None:
    """The live part of the lab page, alone."""
    import streamlit as st

    from app.live_page import _live, _states
    from app.state import find_watched, lab_store

    run_id = st.query_params["run"]
    _live(run_id, _states(find_watched(lab_store(), run_id)))


def main() -> None:
    """Measure and write the result file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ticks", type=int, default=200)
    parser.add_argument("--output", type=Path, default=DEFAULT_OUTPUT)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        os.environ["VCR_LAB_HOME"] = home
        store = open_store()
        milliseconds = measure(store, options.ticks)
        store.close()
    ordered = sorted(milliseconds)
    result = {
        "made": datetime.now(tz=UTC).date().isoformat(),
        "machine": {**machine(), "streamlit": version("streamlit")},
        "ticks": len(ordered),
        "milliseconds": {
            "median": round(statistics.median(ordered), 2),
            "p95": round(ordered[int(0.95 * len(ordered))], 2),
            "max": round(ordered[-1], 2),
        },
    }
    options.output.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(result["milliseconds"]))


def measure(store: Store, ticks: int) -> list[float]:
    """Milliseconds of every tick, the first (which sends the drawings) left out."""
    config = find_preset(DEFAULT_PRESET).config
    pair = store.create_pair(config, preset=DEFAULT_PRESET)
    for run_id in pair:
        store.update_run(run_id, state=RunState.RUNNING.value, total_steps=STEPS)
    page = AppTest.from_function(tick_script, default_timeout=30)
    page.query_params["run"] = pair[1]
    random = np.random.default_rng(0)
    spent = []
    for tick in range(ticks + 1):
        for run_id in pair:
            store.write_reports(run_id, [report(config, tick, random)], progress={"step": tick})
        start = time.perf_counter()
        page.run()
        spent.append(1000 * (time.perf_counter() - start))
        if page.exception:
            raise RuntimeError(page.exception[0].message)
    return spent[1:]


def report(config: RunConfig, step: int, random: np.random.Generator) -> Report:
    """One report as a run writes it: the same numbers and arrays, of random features."""
    layers = config.layer_names
    names = ["loss/task", "loss/penalty", "loss/variance", "loss/covariance", "source/accuracy"]
    names += ["optimizer/learning_rate", "features/effective_rank"]
    names += ["regularizer/variance_weight", "regularizer/covariance_weight"]
    names += [f"transfer/{target}" for target in config.targets]
    names += [f"layer/{layer}/{name}" for layer in layers for name in (*QUANTILES, *OF_A_LAYER)]
    numbers = {name: float(random.random()) for name in names}
    numbers |= {f"layer/{layer}/count": SAMPLES for layer in layers}
    arrays: dict[tuple[str, str], np.ndarray] = {}
    for layer in layers:
        features = random.normal(size=(2 * FEATURES, FEATURES))
        covariance = np.cov(features.T)
        arrays[layer, "covariance"] = covariance.astype(np.float32)
        arrays[layer, "std"] = np.sqrt(covariance.diagonal()).astype(np.float32)
        arrays[layer, "spectrum"] = np.linspace(1, 0, FEATURES, dtype=np.float32)
    return Report(step, numbers, arrays)


if __name__ == "__main__":
    main()
