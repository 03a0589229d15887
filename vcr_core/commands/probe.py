"""``vcr-lab probe``: what can be read from the features of runs that have ended, as a table."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from vcr_core.errors import ConfigError

if TYPE_CHECKING:
    from vcr_core.store import Store
    from vcr_core.transfer import Options, Protocol, TargetResult, TransferTable

    Found = dict[str, dict[Protocol, list[TargetResult]]]


class Form(StrEnum):
    """How a table is printed."""

    TEXT = "text"
    MARKDOWN = "markdown"
    HTML = "html"


def register(app: typer.Typer) -> None:
    """Add this file's command."""
    app.command("probe")(probe)


def probe(
    runs: Annotated[
        list[str],
        typer.Argument(
            help="Runs, the first the baseline: an id, or label=id,id for several seeds.",
            metavar="RUN...",
        ),
    ],
    protocol: Annotated[
        list[str] | None,
        typer.Option(help="linear, knn, few-shot, ncm or fine-tune. Repeatable."),
    ] = None,
    targets: Annotated[
        str | None, typer.Option(help="Targets by commas; the runs' own if not given.")
    ] = None,
    shots: Annotated[
        str | None, typer.Option(help="Images a class by commas, e.g. 1,5,10, for few-shot.")
    ] = None,
    draws: Annotated[str, typer.Option(help="Draws of few-shot.", metavar="INTEGER")] = "10",
    neighbours: Annotated[str, typer.Option(help="Neighbours of knn.", metavar="INTEGER")] = "20",
    epochs: Annotated[str, typer.Option(help="Epochs of fine-tune.", metavar="INTEGER")] = "10",
    form: Annotated[Form, typer.Option("--format", help="How tables are printed.")] = Form.TEXT,
    as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """Probe ended runs for transfer: accuracies, their average, and the difference to the first."""
    from vcr_core.store import open_store
    from vcr_core.transfer.results import find_protocol

    rows = parse_rows(runs)
    protocols = [find_protocol(name) for name in dict.fromkeys(protocol or ["linear"])]
    wanted = tuple(part.strip() for part in (targets or "").split(",") if part.strip())
    store = open_store()
    for run_id in (run_id for ids in rows.values() for run_id in ids):
        store.run(run_id)  # an unknown one is found before anything takes its time
    options = _options(draws=draws, neighbours=neighbours, epochs=epochs, shots=shots)
    found = _probe_all(store, rows, protocols, wanted, options)
    tables = [_table(name, rows, found) for name in protocols]
    if as_json:
        print(json.dumps({table.protocol: _as_dict(table, rows, found) for table in tables}))
        return
    for table in tables:
        _print(table, form)


def parse_rows(texts: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Rows of a table as label and run ids, from ``id`` or ``label=id,id``.

    Raises:
        ConfigError: a label without runs, or one that is named twice.
    """
    rows: dict[str, tuple[str, ...]] = {}
    for text in texts:
        label, _, ids = text.rpartition("=")
        chosen = tuple(part.strip() for part in ids.split(",") if part.strip())
        label = label.strip() or ", ".join(chosen)
        if not chosen or label in rows:
            raise ConfigError(
                f"expected every row once, as a run or label=run,run, got '{text}'", field="RUN"
            )
        rows[label] = chosen
    return rows


def whole_number(name: str, text: str) -> int:
    """A whole number above zero.

    Raises:
        ConfigError: it is none.
    """
    if not text.strip().isdecimal() or int(text) < 1:
        raise ConfigError(f"expected a whole number of 1 or more, got '{text}'", field=name)
    return int(text)


def _options(*, draws: str, neighbours: str, epochs: str, shots: str | None) -> Options:
    """What was typed, as the protocols' options."""
    from vcr_core.transfer import FineTuning, Options

    counts = None if shots is None else [whole_number("shots", s) for s in shots.split(",")]
    return Options(
        shots=None if counts is None else tuple(sorted(counts)),
        draws=whole_number("draws", draws),
        neighbours=whole_number("neighbours", neighbours),
        fine_tuning=FineTuning(epochs=whole_number("epochs", epochs)),
    )


def _probe_all(
    store: Store,
    rows: Mapping[str, Sequence[str]],
    protocols: Sequence[Protocol],
    targets: Sequence[str],
    options: Options,
) -> Found:
    """Every run once, with a progress bar on a terminal."""
    from rich.console import Console
    from rich.progress import track

    from vcr_core.training.probing import probe_run

    ids = list(dict.fromkeys(run_id for of_row in rows.values() for run_id in of_row))
    console = Console(stderr=True)
    shown = track(ids, "probing", console=console, transient=True, disable=not console.is_terminal)
    return {
        run_id: probe_run(store, run_id, protocols, targets=targets, options=options)
        for run_id in shown
    }


def _table(protocol: Protocol, rows: Mapping[str, Sequence[str]], found: Found) -> TransferTable:
    from vcr_core.transfer import transfer_table

    return transfer_table(
        protocol,
        {label: [found[run_id][protocol] for run_id in ids] for label, ids in rows.items()},
    )


def _as_dict(
    table: TransferTable, rows: Mapping[str, Sequence[str]], found: Found
) -> dict[str, object]:
    """A table with the results of every run beside it."""
    runs = {
        run_id: {result.target: result.as_dict() for result in found[run_id][name]}
        for ids in rows.values()
        for run_id in ids
        for name in found[run_id]
        if name == table.protocol
    }
    return {**table.as_dict(), "runs": runs}


def _print(table: TransferTable, form: Form) -> None:
    from vcr_core.transfer.results import TITLES, find_protocol

    if form is Form.MARKDOWN:
        print(f"{table.to_markdown()}\n")
    elif form is Form.HTML:
        print(table.to_html())
    else:
        title = TITLES[find_protocol(table.protocol)]
        print(f"{table.protocol}: {title} (accuracy in %, 95 % intervals)\n{table.to_text()}\n")
