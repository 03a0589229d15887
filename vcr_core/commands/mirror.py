"""``vcr-lab mirror``: runs in TensorBoard, MLflow or Weights & Biases."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add this file's commands."""
    app.command()(mirror)


def mirror(
    runs: Annotated[list[str] | None, typer.Argument(help="Ids of runs; all if none.")] = None,
    to: Annotated[str, typer.Option(help="tensorboard, mlflow or wandb.")] = "tensorboard",
    at: Annotated[
        str | None,
        typer.Option(help="Folder, or tracking address of MLflow.", metavar="DESTINATION"),
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", help="Go on until the runs are over, or Ctrl-C.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print what was written as JSON.")
    ] = False,
) -> None:
    """Show runs in TensorBoard, MLflow or Weights & Biases too; again: what is new is added."""
    from vcr_core.mirrors import mirror_runs, open_mirror
    from vcr_core.store import open_store

    written: dict[str, tuple[int, int]] = {}

    def show(run_id: str, numbers: int, matrices: int) -> None:
        written[run_id] = numbers, matrices
        if not as_json:
            typer.echo(f"{run_id}: {numbers} numbers, {matrices} matrices → {to}")

    store = open_store()
    target = open_mirror(to, at)
    with suppress(KeyboardInterrupt):
        mirror_runs(store, runs or [], target, place=f"{to} {at}", follow=follow, on_progress=show)
    if as_json:
        names = ("numbers", "matrices")
        found = {run: dict(zip(names, counts, strict=True)) for run, counts in written.items()}
        typer.echo(json.dumps({"to": to, "runs": found}))
    elif not written:
        typer.echo("nothing new to write")
