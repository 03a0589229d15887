"""``vcr-lab stop | resume | fork | replay``: end runs, go on with them, repeat them."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

_Run = Annotated[str, typer.Argument(help="The id of a run.")]
_Json = Annotated[bool, typer.Option("--json", help="Print as JSON.")]


def register(app: typer.Typer) -> None:
    """Add this file's commands."""
    for command in (stop, resume, fork, replay):
        app.command()(command)


def stop(
    run: _Run,
    abort: Annotated[bool, typer.Option("--abort", help="Leave out the last measurement.")] = False,
    as_json: _Json = False,
) -> None:
    """End a run at its next step; what it has learned and reported is kept."""
    from vcr_core.execution.control import stop_run
    from vcr_core.store import open_store

    state = stop_run(open_store(), run, abort=abort)
    over = "it is stopped" if state.is_over else "it ends at its next step"
    _say({"run": run, "state": state.value}, f"run {run}: {over}", as_json)


def resume(run: _Run, as_json: _Json = False) -> None:
    """Let a paused or interrupted run go on from where it was."""
    from vcr_core.execution import ensure_dispatcher
    from vcr_core.execution.control import resume_run
    from vcr_core.store import open_store

    store = open_store()
    state = resume_run(store, run)
    ensure_dispatcher(store)
    _say({"run": run, "state": state.value}, f"run {run}: {state.value}", as_json)


def fork(
    run: _Run,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="A setting as key=value. Repeatable.")
    ] = None,
    step: Annotated[
        int | None,
        typer.Option(help="The step to fork at; the newest checkpoint's if not given.", min=0),
    ] = None,
    as_json: _Json = False,
) -> None:
    """Start a new run that goes on from a step of another one, with other weights or more epochs.

    It begins with the last checkpoint before that step and repeats what is between.
    """
    from vcr_core.cli import parse_settings
    from vcr_core.execution import ensure_dispatcher
    from vcr_core.store import open_store
    from vcr_core.training.fork import fork as make_fork

    store = open_store()
    child = make_fork(store, run, parse_settings(settings or []), step=step)
    ensure_dispatcher(store)
    found = store.run(child)
    begins, at = found.parent_step, found.parent_step if step is None else step
    repeats = "" if at == begins else f", repeats its steps from {begins} on"
    _say(
        {"run": child, "parent": run, "step": at, "begins": begins, "state": found.state.value},
        f"run {child}: queued, goes on from step {at} of run {run}{repeats}",
        as_json,
    )


def replay(run: _Run, as_json: _Json = False) -> None:
    """Repeat a run and compare every number with what it reported, bit for bit."""
    from vcr_core.store import open_store
    from vcr_core.training.replay import replay as repeat

    found = repeat(open_store(), run)
    lines = [f"run {run}, {found.steps} steps: {found.numbers} numbers, {found.matrices} matrices"]
    lines.append("all identical" if found.identical else f"first difference at {found.first}")
    lines += [f"{name} was {then}, is now {now}" for name, (then, now) in found.environment.items()]
    report = {
        "run": run,
        "identical": found.identical,
        "steps": found.steps,
        "numbers": found.numbers,
        "matrices": found.matrices,
        "first_difference": found.first or None,
        "environment": {name: list(values) for name, values in found.environment.items()},
    }
    _say(report, "\n".join(lines), as_json)
    if not found.identical:
        raise typer.Exit(1)


def _say(report: dict[str, Any], text: str, as_json: bool) -> None:
    typer.echo(json.dumps(report) if as_json else text)
