"""How fast a large store is: 2,000 runs with 10 million numbers, on SQLite and PostgreSQL.

    python benchmarks/store.py [--url postgresql://…] [--runs 2000] [--numbers 5000] \
        [--trials 100] [--output docs/results/store.json]

Without addresses, a SQLite file and a PostgreSQL server of its own (where PostgreSQL is installed)
are made and thrown away. Empty databases are filled with SQL, then read and written through the
package. The last run is live: it is read by cursor, as a page does it, between reports that it
writes. Targets: the list of all runs 50 ms, a cursor read of a live run 5 ms.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import numpy as np
from presets import machine
from sqlalchemy import text

from vcr_core.config import RunConfig
from vcr_core.store import Report, RunState, Store, open_store

DEFAULT_OUTPUT = Path(__file__).parents[1] / "docs" / "results" / "store.json"
NAMES = 25
LAYERS = 4
RESULT = {
    "source_accuracy": 0.9,
    "transfer": {"colour": 0.8, "texture": 0.4, "background": 0.9, "scale": 0.8},
    "effective_rank": 30.0,
}


def main() -> None:
    """Fill, measure and write the result file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", action="append", help="an empty database; repeatable")
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--numbers", type=int, default=5000)
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--output", type=Path, default=DEFAULT_OUTPUT)
    options = parser.parse_args()
    found = {}
    with ExitStack() as stack:
        for url in options.url or own_databases(stack):
            store = open_store(url)
            if not store.count_runs():
                fill(store, options.runs, options.numbers)
            found[store.url.partition(":")[0].partition("+")[0]] = measure(store, options.trials)
            store.close()
    packages = {name: version(name) for name in ("sqlalchemy", "psycopg")}
    result = {
        "made": datetime.now(tz=UTC).date().isoformat(),
        "machine": {**machine(), **packages},
        "runs": options.runs,
        "numbers": options.runs * options.numbers,
        "trials": options.trials,
        "milliseconds": found,
    }
    options.output.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(result["milliseconds"], indent=1))


def own_databases(stack: ExitStack) -> list[str]:
    """Addresses of empty databases that are gone when ``stack`` closes."""
    folder = stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True))
    found = [f"sqlite:///{Path(folder) / 'large.sqlite'}"]
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
    from postgres_server import PostgresServer, find_programs

    programs = find_programs()
    if programs is not None:
        server = PostgresServer(programs, durable=True)
        stack.callback(server.remove)
        found.append(server.new_database())
    return found


def fill(store: Store, runs: int, numbers: int) -> None:
    """Runs with the settings of real ones; their numbers are made by the database itself."""
    run_ids = [store.create_run(RunConfig(seed=seed)) for seed in range(runs)]
    is_sqlite = store.url.startswith("sqlite")
    chance = "random() / 9.3e18" if is_sqlite else "random()"
    series = (
        "WITH RECURSIVE series(at) AS "
        f"(SELECT 0 UNION ALL SELECT at + 1 FROM series WHERE at < {numbers - 1})"
    )
    statement = (
        f"INSERT INTO metrics (run_id, step, name, value) {series} "
        f"SELECT :run, at / {NAMES}, 'layer/blocks.0/number_' || (at % {NAMES}), {chance} "
        "FROM series"
    )
    with store._engine.begin() as connection:
        if not is_sqlite:  # our rows are right: spare the server the check of each
            connection.exec_driver_sql("SET session_replication_role = replica")
        for run_id in run_ids:
            connection.execute(text(statement), {"run": run_id})
    for run_id in run_ids:
        store.update_run(
            run_id, state=RunState.FINISHED.value, result=RESULT, step=numbers // NAMES
        )
    if not is_sqlite:
        with store._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("ANALYZE")


def measure(store: Store, trials: int) -> dict[str, dict[str, float]]:
    """Milliseconds of what the page, the workers and the dispatcher do all the time."""
    live, old = store.summaries(limit=1)[0].id, store.summaries(limit=1000)[-1].id
    reports = random_reports()
    cursor = store.metrics(live)[-1].id

    def write() -> None:
        store.write_reports(live, [next(reports)], progress={"step": 1})

    def catch_up() -> None:
        nonlocal cursor
        cursor = store.metrics(live, after=cursor)[-1].id

    def write_and_read() -> tuple[float, float]:
        return milliseconds(write), milliseconds(catch_up)

    written, caught_up = zip(*(write_and_read() for _ in range(trials)), strict=True)
    reads: dict[str, Callable[[], object]] = {
        "list of all runs": lambda: store.summaries(limit=100_000),
        "list of the newest 200 runs": store.summaries,
        "newest 200 runs with settings": store.runs,
        "cursor read of a live run, no news": lambda: store.metrics(live, after=cursor),
        "newest matrix of a layer": lambda: store.latest_snapshot(live, "blocks.0", "covariance"),
        "all numbers of an old run": lambda: store.metrics(old),
        "order of the queue": store.queue,
        "open and close": lambda: open_store(store.url).close(),
    }
    return {
        "write a report": spread(written),
        "cursor read of a live run, a report": spread(caught_up),
        **{
            name: spread([milliseconds(read) for _ in range(trials + 1)][1:])
            for name, read in reads.items()
        },
    }


def random_reports() -> Iterator[Report]:
    """Reports as a run writes them: 25 numbers and one 64 x 64 matrix a layer."""
    random = np.random.default_rng(0)
    for step in itertools.count():
        numbers = {f"layer/blocks.0/number_{name}": float(random.random()) for name in range(NAMES)}
        arrays = {
            (f"blocks.{layer}", "covariance"): random.normal(size=(64, 64)).astype(np.float32)
            for layer in range(LAYERS)
        }
        yield Report(step, numbers, arrays)


def milliseconds(work: Callable[[], object]) -> float:
    """How long one call takes."""
    start = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - start)


def spread(times: Sequence[float]) -> dict[str, float]:
    """Median, 95th percentile and maximum."""
    ordered = sorted(times)
    return {
        "median": round(statistics.median(ordered), 3),
        "p95": round(ordered[int(0.95 * len(ordered))], 3),
        "max": round(ordered[-1], 3),
    }


if __name__ == "__main__":
    main()
