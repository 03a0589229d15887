"""``vcr-lab ls | show | rm | gc | backup``: look at runs, delete them, keep a copy of them all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vcr_core.errors import ConfigError

if TYPE_CHECKING:
    from vcr_core.store import RunState, RunSummary

DAYS = 30.0
_Json = Annotated[bool, typer.Option("--json", help="Print as JSON.")]


def register(app: typer.Typer) -> None:
    """Add this file's commands."""
    for command in (ls, show, rm, gc, backup):
        app.command()(command)


def ls(
    state: Annotated[
        list[str] | None, typer.Option(help="Only runs in this state. Repeatable.")
    ] = None,
    owner: Annotated[str | None, typer.Option(help="Only this owner's runs.")] = None,
    deleted: Annotated[bool, typer.Option("--deleted", help="Deleted runs as well.")] = False,
    limit: Annotated[int, typer.Option(help="How many, the newest first.", min=1)] = 20,
    as_json: _Json = False,
) -> None:
    """List runs, the newest first."""
    from vcr_core.store import open_store

    runs = open_store().summaries(
        states=_states(state), owner=owner, include_deleted=deleted, limit=limit
    )
    if as_json:
        print_json([_row(run) for run in runs])
        return
    _print_table(runs)


def show(
    run: Annotated[str, typer.Argument(help="The id of a run.")], as_json: _Json = False
) -> None:
    """Everything about a run but its numbers: settings, state, result, what was asked of it."""
    from rich.console import Console
    from rich.table import Table

    from vcr_core.store import open_store
    from vcr_core.store.export import describe_run

    store = open_store()
    found = describe_run(store, store.run(run))
    if as_json:
        print_json(found)
        return
    table = Table(title=f"run {run}", title_justify="left", show_header=False)
    for name, value in found.items():
        if value not in (None, "", [], {}):
            text = json.dumps(value, indent=1) if isinstance(value, dict | list) else str(value)
            table.add_row(name, text)
    Console().print(table)


def rm(
    runs: Annotated[list[str], typer.Argument(help="Ids of runs.")],
    undo: Annotated[bool, typer.Option("--undo", help="Bring deleted runs back.")] = False,
    as_json: _Json = False,
) -> None:
    """Delete runs; `rm --undo` brings them back until `gc` throws them away."""
    from vcr_core.store import open_store

    store = open_store()
    change = store.restore_runs if undo else store.delete_runs
    change(runs)
    if as_json:
        print_json({"restored" if undo else "deleted": runs})
        return
    what = "restored" if undo else "deleted; `vcr-lab rm --undo` brings them back"
    _say(f"{len(runs)} run{'s' if len(runs) > 1 else ''} {what}")


def gc(
    older_than: Annotated[
        float, typer.Option(help="Days since a run was deleted.", min=0.0, metavar="DAYS")
    ] = DAYS,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    as_json: _Json = False,
) -> None:
    """Throw deleted runs away for good, and checkpoints that belong to no run."""
    from vcr_core import paths
    from vcr_core.store import open_store
    from vcr_core.store.cleaning import DAY, clean_store

    cleaned = clean_store(
        open_store(),
        older_than=older_than * DAY,
        root=paths.checkpoint_address(),
        dry_run=dry_run,
    )
    if as_json:
        print_json({**cleaned._asdict(), "dry_run": dry_run})
        return
    verb = "would go" if dry_run else "thrown away"
    _say(f"{verb}: {len(cleaned.runs)} runs, {len(cleaned.checkpoints)} folders of checkpoints")


def backup(
    path: Annotated[Path, typer.Argument(help="A new file.", metavar="FILE")],
    as_json: _Json = False,
) -> None:
    """Copy the whole store to one file, safely while runs write; VCR_LAB_STORE=FILE opens it."""
    from vcr_core.store import open_store

    size = open_store().backup(path)
    if as_json:
        print_json({"file": str(path), "bytes": size})
        return
    _say(f"{path}: {size / 2**20:.1f} MiB")


def print_json(value: Any) -> None:
    """Print plain data as JSON on standard output."""
    typer.echo(json.dumps(value))


def _say(text: str) -> None:
    typer.echo(text)


def _states(names: list[str] | None) -> list[RunState] | None:
    from vcr_core.store import RunState

    if not names:
        return None
    known = [state.value for state in RunState]
    for name in names:
        if name not in known:
            raise ConfigError(f"expected a state out of {', '.join(known)}, got '{name}'")
    return [RunState(name) for name in names]


def _row(run: RunSummary) -> dict[str, Any]:
    return {name: getattr(run, name) for name in run.__dataclass_fields__}


def _print_table(runs: list[RunSummary]) -> None:
    from datetime import datetime

    from rich.console import Console
    from rich.table import Column, Table

    if not runs:
        _say("no runs; `vcr-lab run` or the page makes some")
        return
    whole = Column("run", no_wrap=True), Column("state", no_wrap=True)
    table = Table(whole[0], "name", "learns", whole[1], "step", "source", "transfer", "made")
    for run in runs:
        transfer = list(run.result.get("transfer", {}).values())
        table.add_row(
            run.id,
            run.name or run.preset,
            f"{run.dataset}: {run.source}" + (" (baseline)" if run.role == "baseline" else ""),
            "deleted" if run.deleted_at else run.state.value,
            f"{run.step}/{run.total_steps}",
            _accuracy(run.result.get("source_accuracy")),
            _accuracy(sum(transfer) / len(transfer) if transfer else None),
            datetime.fromtimestamp(run.created_at).astimezone().strftime("%d %b %H:%M"),
        )
    Console().print(table)


def _accuracy(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
