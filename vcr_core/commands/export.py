"""``vcr-lab export``: a run for other tools."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from vcr_core.errors import ConfigError, StoreError


def register(app: typer.Typer) -> None:
    """Add this file's commands."""
    app.command()(export)


def export(
    runs: Annotated[list[str], typer.Argument(help="Ids of runs.")],
    to: Annotated[
        Path | None, typer.Option(help="File for the numbers: .csv or .parquet.", metavar="FILE")
    ] = None,
    script: Annotated[
        Path | None,
        typer.Option(help="Write a Python script that repeats the run.", metavar="FILE"),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(help="Write an HTML report of 1 to 12 runs that needs nothing else."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print what was written as JSON.")
    ] = False,
) -> None:
    """Write the numbers of runs to a file; or an HTML report of them; or a run as a script."""
    from vcr_core.store import open_store
    from vcr_core.store.export import export_numbers

    if script is not None:
        _write_script(runs, script, force=force, as_json=as_json)
        return
    if report is not None:
        _write_report(runs, report, force=force, as_json=as_json)
        return
    if to is None and len(runs) != 1:
        raise ConfigError(f"expected --to FILE.csv or --to FILE.parquet for {len(runs)} runs")
    path = to or Path(f"{runs[0]}.csv")
    rows = export_numbers(open_store(), runs, path, replace=force)
    if as_json:
        typer.echo(json.dumps({"file": str(path), "rows": rows, "runs": runs}))
    else:
        typer.echo(f"{path}: {rows} numbers of {len(runs)} run{'s' if len(runs) > 1 else ''}")


def _write_script(runs: list[str], path: Path, *, force: bool, as_json: bool) -> None:
    from vcr_core.store import open_store
    from vcr_core.training.script import script_of

    if len(runs) != 1:
        raise ConfigError(f"expected one run to write as a script, got {len(runs)}")
    _write(path, script_of(open_store(), runs[0]), force=force)
    if as_json:
        typer.echo(json.dumps({"file": str(path), "run": runs[0]}))
    else:
        typer.echo(f"{path}: repeats run {runs[0]}; start it with python")


def _write_report(runs: list[str], path: Path, *, force: bool, as_json: bool) -> None:
    from vcr_core.comparison import html_report
    from vcr_core.store import open_store

    _write(path, html_report(open_store(), runs), force=force)
    if as_json:
        typer.echo(json.dumps({"file": str(path), "runs": runs}))
    else:
        typer.echo(f"{path}: report of {len(runs)} run{'s' if len(runs) > 1 else ''}")


def _write(path: Path, text: str, *, force: bool) -> None:
    if path.exists() and not force:
        raise ConfigError(f"expected a new file, but {path} is there: choose another, or --force")
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise StoreError(f"cannot write {path} ({error.strerror}): choose another place") from error
