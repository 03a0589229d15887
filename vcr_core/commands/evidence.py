"""``vcr-lab evidence | advise``: run the studies, and ask what they say about a run of yours."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vcr_core.errors import ConfigError

if TYPE_CHECKING:
    from vcr_core.evidence.conduct import Progress
    from vcr_core.evidence.rows import ResultFile
    from vcr_core.store import Store

FOLDER = Path("docs/evidence")
INTERRUPTED = 130  # as a shell counts a command that Ctrl-C ended


def register(app: typer.Typer) -> None:
    """Add this file's commands."""
    app.command("evidence")(evidence)
    app.command("advise")(advise)


def evidence(
    name: Annotated[
        str | None, typer.Argument(help="A study; without one, they are listed.")
    ] = None,
    quick: Annotated[bool, typer.Option(help="A few settings on three seeds: minutes.")] = False,
    out: Annotated[Path, typer.Option(help="Folder of the result files.")] = FOLDER,
    report: Annotated[bool, typer.Option(help="Run nothing: write what was found so far.")] = False,
    repeat: Annotated[
        int | None, typer.Option(help="Run one row of the result file again, and compare.")
    ] = None,
) -> None:
    """Run a study of evidence, or go on with it; then write its table, figure and JSON."""
    from vcr_core.evidence.rows import open_results
    from vcr_core.evidence.studies import find_study
    from vcr_core.store import open_store

    if name is None:
        _list_studies(out)
        return
    study = find_study(name)
    if quick:
        study = study.shortened()
    path = out / f"{study.name}.jsonl"
    if report and not path.exists():
        raise ConfigError(f"expected results in {path}, found none: run the study first")
    store = None if report else open_store()  # a store that cannot be used leaves no files behind
    results = open_results(path, study)
    if store is not None and repeat is not None:
        _repeat(results, store, repeat)
        return
    if store is not None:
        _carry_out(results, store)
    _write(results, out)


def advise(
    run: Annotated[str, typer.Argument(help="A finished run with both weights at 0.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """Say whether regularisation is likely to help, by what happened in settings like this run."""
    from dataclasses import asdict

    from vcr_core.advisor import advise_run
    from vcr_core.store import open_store

    found = advise_run(open_store().run(run))
    if as_json:
        told = {"answer": found.answer, "weights": found.weights}
        neighbours = [asdict(setting) for setting in found.neighbours]
        words = [sentence.text() for sentence in found.sentences]
        print(json.dumps({**told, "sentences": words, "neighbours": neighbours}))
        return
    for sentence in found.sentences:
        print(sentence.text())


def _list_studies(out: Path) -> None:
    from rich.console import Console
    from rich.table import Table

    from vcr_core.evidence.conduct import total_jobs
    from vcr_core.evidence.studies import STUDIES

    table = Table("study", "question", "runs", "found")
    for name, make in STUDIES.items():
        study = make()
        lines = out / f"{name}.jsonl"
        found = "yes" if lines.exists() else "not yet"
        table.add_row(name, study.title, str(total_jobs(study)), found)
    Console().print(table)


def _carry_out(results: ResultFile, store: Store) -> None:
    from rich import progress as bars
    from rich.console import Console

    from vcr_core.evidence.conduct import carry_out

    columns = (
        bars.TextColumn("{task.description}"),
        bars.BarColumn(),
        bars.MofNCompleteColumn(),
        bars.TimeRemainingColumn(),
    )
    with bars.Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(results.study.name, total=None)

        def watch(now: Progress) -> None:
            words = f"{results.study.name}: {now.last}"
            bar.update(task, completed=now.done, total=now.total, description=words)

        try:
            carry_out(results, store, watch=watch)
        except KeyboardInterrupt:
            print(
                f"vcr-lab: left as it is, with {len(results.rows)} runs in {results.path}. "
                "Go on with the same command",
                file=sys.stderr,
            )
            raise typer.Exit(INTERRUPTED) from None


def _write(results: ResultFile, out: Path) -> None:
    from vcr_core.evidence.report import write_report

    for path in write_report(results, out):
        print(path)


def _repeat(results: ResultFile, store: Store, number: int) -> None:
    """Run the row of that number anew, and say whether every number is the same.

    On a machine that rounds in another way it need not be: then it is said what differs.
    """
    from vcr_core.evidence.conduct import repeat

    rows = list(results.rows.values())
    if not 1 <= number <= len(rows):
        raise ConfigError(f"expected a row from 1 to {len(rows)}, got {number}", field="repeat")
    row = rows[number - 1]
    again, elsewhere = repeat(results, store, row)
    print(f"{row.setting} · {row.arm} · {row.phase} · seed {row.seed}")
    for name, before, after in (
        ("source", {"source": row.source}, {"source": again.source}),
        ("transfer", row.transfer, again.transfer),
        ("features", row.features, again.features),
    ):
        print(f"{name}: {'the same' if before == after else f'{before} before, {after} now'}")
    if (row.source, row.transfer) == (again.source, again.transfer):
        return
    if not elsewhere:
        raise typer.Exit(1)
    print(
        "This machine may round differently, and training makes the last digits grow: compare "
        "means over seeds instead. What differs: "
        + "; ".join(
            f"{name} {'unknown' if then is None else then} then, {now} now"
            for name, (then, now) in elsewhere.items()
        )
    )
