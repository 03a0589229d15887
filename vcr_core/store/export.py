"""The numbers of runs as a file for other tools: CSV, or Parquet with the configurations in it.

One row a number: run, step, name, value; a number that was not finite has no value. A Parquet
file's schema carries the runs (configuration, result, applied commands) as JSON under ``vcr-lab``.
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from vcr_core.errors import ConfigError, StoreError
from vcr_core.store.records import Metric, Run
from vcr_core.store.store import Store

ROWS_AT_A_TIME = 50_000
COLUMNS = ("run", "step", "name", "value")
ENDINGS = (".csv", ".parquet")


def export_numbers(
    store: Store, run_ids: Sequence[str], path: Path, *, replace: bool = False
) -> int:
    """Write the numbers of runs to ``path`` (.csv or .parquet); returns the number of rows.

    The file appears under its name when it is complete.

    Raises:
        ConfigError: the name ends otherwise, or there is a file already and ``replace`` is not set.
        UnknownRunError: the store holds no such run; nothing is written.
        StoreError: the file cannot be written.
    """
    if path.suffix not in ENDINGS:
        raise ConfigError(f"expected a file name that ends in .csv or .parquet, got '{path.name}'")
    if path.exists() and not replace:
        raise ConfigError(f"expected a new file, but {path} is there: give another name or --force")
    runs = [store.run(run_id) for run_id in run_ids]
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    write = _write_csv if path.suffix == ".csv" else _write_parquet
    try:
        count = write(store, runs, partial)
        partial.replace(path)
    except OSError as error:
        raise StoreError(f"cannot write {path} ({error.strerror}): choose another place") from error
    finally:
        partial.unlink(missing_ok=True)
    return count


def describe_run(store: Store, run: Run) -> dict[str, Any]:
    """Everything about a run but its numbers and matrices, as plain data."""
    return {
        **{name: getattr(run, name) for name in run.__dataclass_fields__ if name != "config_tree"},
        "config": run.config_tree,
        "history": [
            {"kind": command.kind, "payload": command.payload, "step": command.applied_step}
            for command in store.history(run.id)
        ],
    }


def parts(store: Store, run_id: str, *, after: int = 0) -> Iterator[list[Metric]]:
    """A run's numbers in order, some at a time."""
    while part := store.metrics(run_id, after=after, limit=ROWS_AT_A_TIME):
        yield part
        after = part[-1].id


def _write_csv(store: Store, runs: Sequence[Run], path: Path) -> int:
    count = 0
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for run in runs:
            for part in parts(store, run.id):
                writer.writerows((run.id, row.step, row.name, row.value) for row in part)
                count += len(part)
    return count


def _write_parquet(store: Store, runs: Sequence[Run], path: Path) -> int:
    import pyarrow
    from pyarrow import parquet

    about = json.dumps([describe_run(store, run) for run in runs])
    types = (pyarrow.string(), pyarrow.int64(), pyarrow.string(), pyarrow.float64())
    layout = pyarrow.schema(
        list(zip(COLUMNS, types, strict=True)), metadata={"vcr-lab": about.encode()}
    )
    count = 0
    with parquet.ParquetWriter(path, layout) as writer:
        for run in runs:
            for part in parts(store, run.id):
                columns = [
                    [run.id] * len(part),
                    [row.step for row in part],
                    [row.name for row in part],
                    [row.value for row in part],
                ]
                writer.write_table(pyarrow.table(columns, schema=layout))
                count += len(part)
    return count
