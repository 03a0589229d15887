"""``vcr-lab sweep | sweeps | suggest``: carry studies out, and look at what they found."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vcr_core.errors import ConfigError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from vcr_core.store import Store
    from vcr_core.sweeps import Difference, Estimate, Progress, Row, Study, StudyTable

SHOWN_ROWS = 40
INTERRUPTED = 130  # as a shell counts a command that Ctrl-C ended

_Json = Annotated[bool, typer.Option("--json", help="Print the table as JSON.")]
_Csv = Annotated[Path | None, typer.Option("--csv", help="Write the table to this CSV file.")]
_Figure = Annotated[Path | None, typer.Option("--figure", help="Write a figure to this HTML file.")]


def register(app: typer.Typer) -> None:
    """Add this file's commands."""
    app.command("sweep")(sweep)
    app.command("sweeps")(sweeps)
    app.command("suggest")(suggest)


def sweep(
    spec: Annotated[
        Path | None, typer.Argument(help="A study as a .toml or .json file.", metavar="SPEC")
    ] = None,
    preset: Annotated[str | None, typer.Option(help="What every run starts from.")] = None,
    vary: Annotated[
        list[str] | None,
        typer.Option(help="name=0,0.1,1 or a range name=0.01..10:log[:points]. Repeatable."),
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="A setting of every run. Repeatable.")
    ] = None,
    seeds: Annotated[str | None, typer.Option(help="How many seeds, or which: 5 or 3,4,5.")] = None,
    name: Annotated[str | None, typer.Option(help="The study's name, to find it again.")] = None,
    sampler: Annotated[str | None, typer.Option(help="grid, tpe or nsga2.")] = None,
    trials: Annotated[str | None, typer.Option(help="Settings to try (tpe, nsga2).")] = None,
    pruner: Annotated[str | None, typer.Option(help="none, median or halving.")] = None,
    targets: Annotated[
        str | None, typer.Option(help="Targets that count, by commas; all if not given.")
    ] = None,
    parallel: Annotated[str | None, typer.Option(help="Runs at a time.")] = None,
    resume: Annotated[str | None, typer.Option(help="Go on with the study of this name.")] = None,
    as_json: _Json = False,
    to_csv: _Csv = None,
    figure: _Figure = None,
) -> None:
    """Try many settings with several seeds each, in the queue; again after a crash: it goes on."""
    from vcr_core.cli import parse_settings
    from vcr_core.store import open_store
    from vcr_core.sweeps import stored_spec

    given: dict[str, Any] = {
        "preset": preset,
        "vary": vary,
        "set": parse_settings(settings or []) or None,
        "seeds": _seeds(seeds),
        "name": name,
        "sampler": sampler,
        "trials": trials,
        "pruner": pruner,
        "targets": targets.split(",") if targets else None,
        "parallel": parallel,
    }
    given = {key: value for key, value in given.items() if value is not None}
    if resume is not None:
        _refuse_beside_resume(spec, given)
        store = open_store()
        study = stored_spec(store, resume)
    else:
        study = _study(spec, given)
        store = open_store()
    carry_out(store, study, quiet=as_json)
    _show(store, study.name, as_json=as_json, to_csv=to_csv, figure=figure)


def sweeps(
    name: Annotated[str | None, typer.Argument(help="A study to look at.")] = None,
    as_json: _Json = False,
    to_csv: _Csv = None,
    figure: _Figure = None,
) -> None:
    """List the studies in the store, or show what one of them has found so far."""
    from vcr_core.store import open_store

    store = open_store()
    if name is not None:
        _show(store, name, as_json=as_json, to_csv=to_csv, figure=figure)
        return
    if to_csv is not None or figure is not None:
        raise ConfigError("--csv and --figure show one study: name it")
    _list_studies(store, as_json=as_json)


def suggest(
    preset: Annotated[str, typer.Option(help="The experiment to suggest weights for.")],
    runs: Annotated[str, typer.Option(help="How many runs it may take, 10 or more.")] = "24",
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="A setting of every run. Repeatable.")
    ] = None,
    targets: Annotated[
        str | None, typer.Option(help="Targets that count, by commas; all if not given.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """Search for weights that transfer best, then measure their gain on fresh seeds."""
    from dataclasses import asdict

    from vcr_core.cli import parse_settings
    from vcr_core.config import override
    from vcr_core.presets import find_preset
    from vcr_core.store import open_store
    from vcr_core.sweeps.suggest import suggest as suggest_weights

    if not runs.isdigit():
        raise ConfigError(f"expected a whole number, got '{runs}'", field="runs")
    config = override(find_preset(preset).config, parse_settings(settings or []))
    with ExitStack() as bars, _left_as_it_is("the same command"):
        console = _console(quiet=as_json)
        found = suggest_weights(
            config,
            open_store(),
            runs=int(runs),
            preset=preset,
            targets=tuple(targets.split(",")) if targets else (),
            watch=lambda study: bars.enter_context(_progress(console, study)),
        )
    if as_json:
        print(json.dumps({**asdict(found), "helps": found.helps}))
        return
    for sentence in found.sentences():
        print(sentence)
    print(f"{found.runs} runs; every one of them: vcr-lab sweeps {found.studies[0]}")


def carry_out(store: Store, study: Study, *, quiet: bool) -> None:
    """Run a study with a progress bar; Ctrl-C leaves it to be resumed, and says how."""
    from vcr_core.sweeps import run_study

    again = f"vcr-lab sweep --resume {study.name}"
    with _left_as_it_is(again), _progress(_console(quiet=quiet), study) as watch:
        run_study(study, store, watch=watch)


def _console(*, quiet: bool) -> Console:
    from rich.console import Console

    return Console(stderr=True, quiet=quiet or not sys.stderr.isatty())


@contextmanager
def _left_as_it_is(again: str) -> Iterator[None]:
    """Ctrl-C leaves a study to be resumed, and says how."""
    try:
        yield
    except KeyboardInterrupt:
        print(
            "vcr-lab: left as it is: queued runs go on, finished ones are kept. "
            f"Go on with: {again}",
            file=sys.stderr,
        )
        raise typer.Exit(INTERRUPTED) from None


@contextmanager
def _progress(console: Console, study: Study) -> Iterator[Any]:
    """A bar over the runs, with the settings that are over and the best so far."""
    from rich import progress as bars

    columns = (
        bars.TextColumn("{task.description}"),
        bars.BarColumn(),
        bars.MofNCompleteColumn(),
        bars.TextColumn("runs"),
        bars.TimeRemainingColumn(),
        bars.TextColumn("{task.fields[best]}"),
    )
    with bars.Progress(*columns, console=console) as bar:
        task = bar.add_task(study.name, total=None, best="")

        def watch(now: Progress) -> None:
            best = "" if now.best is None else f"best {now.best:.3f}"
            words = f"{study.name}: {now.trials_over} of {now.trials} settings"
            bar.update(task, completed=now.runs_over, total=now.runs, description=words, best=best)

        yield watch


def _study(spec: Path | None, given: dict[str, Any]) -> Study:
    """The study that a command describes; without a name it gets one made from what it is."""
    import hashlib

    from vcr_core.sweeps import load_study, parse_vary, read_study

    if "vary" in given:
        given["vary"] = dict(map(parse_vary, given["vary"]))
    if spec is not None:
        return load_study(spec, **given)
    if "preset" not in given:
        raise ConfigError(
            "expected a study: a .toml or .json file, or --preset with --vary, or --resume NAME"
        )
    study = read_study({"name": "unnamed", "vary": {}, **given})
    if "name" in given:
        return study
    digest = hashlib.sha256(json.dumps(study.identity(), sort_keys=True).encode()).hexdigest()
    return study.model_copy(update={"name": f"{study.preset}-{digest[:6]}"})


def _refuse_beside_resume(spec: Path | None, given: dict[str, Any]) -> None:
    beside = [str(spec)] if spec is not None else []
    beside += [f"--{key}" for key in given]
    if beside:
        raise ConfigError(
            f"--resume goes on with a study as it is: leave out {', '.join(beside)}, or start a "
            "new study with another --name"
        )


def _seeds(text: str | None) -> int | list[int] | None:
    if text is None:
        return None
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdigit() for part in parts):
        raise ConfigError(f"expected a number of seeds or a list of them, got '{text}'")
    return int(text) if len(parts) == 1 else [int(part) for part in parts if part]


def _show(
    store: Store, name: str, *, as_json: bool, to_csv: Path | None, figure: Path | None
) -> None:
    from rich.console import Console

    from vcr_core.sweeps import study_table

    table = study_table(store, name)
    if to_csv is not None:
        _write(to_csv, table.to_csv())
    if figure is not None:
        from vcr_core.figures.sweep import sweep_figure

        _write(figure, sweep_figure(table).to_html(include_plotlyjs=True))
    if as_json:
        print(table.to_json())
        return
    console = Console()
    console.print(_rendered(table, console.width))
    for line in conclusions(table):
        print(line)


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"cannot write '{path}': {error.strerror}") from error


def _rendered(table: StudyTable, width: int) -> Table:
    """The table for a terminal, best first; accuracies ± one standard error over seeds."""
    from rich.table import Table

    from vcr_core.sweeps import MEAN
    from vcr_core.sweeps.results import short

    names = list(table.study.vary)
    measures = _measures_that_fit(table, width)
    shown = Table(
        title=f"{table.name}: {table.state}, {table.seconds:.0f} s",
        title_justify="left",
        box=None,
        padding=(0, 1, 0, 0),
    )
    for name in names:
        title = name.rpartition(".")[2].replace("_", "\n")
        shown.add_column(title, justify="right", no_wrap=True)
    for title in ("n", *(measure.replace(" ", "\n") for measure in measures), "gain"):
        shown.add_column(title, justify="right", no_wrap=True)
    shown.add_column("95 %\ninterval", justify="center", no_wrap=True)
    shown.add_column("s", justify="right", no_wrap=True)
    shown.add_column("", no_wrap=True)
    rows = sorted(table.rows, key=lambda row: row.score, reverse=True)
    for row in rows[:SHOWN_ROWS]:
        shown.add_row(
            *(short(row.params[name]) if name in row.params else "" for name in names),
            str(len(row.seeds)),
            *(_estimate(row.accuracies.get(measure)) for measure in measures),
            *_gain(row.gains.get(MEAN)),
            "" if row.seconds is None else f"{row.seconds:.1f}",
            _remark(row),
        )
    if len(rows) > SHOWN_ROWS:
        shown.caption = f"{len(rows) - SHOWN_ROWS} more: --json or --csv gives them all"
    return shown


def _measures_that_fit(table: StudyTable, width: int) -> list[str]:
    """Source, every target and their mean; without the targets where the terminal is narrow."""
    from vcr_core.sweeps import MEAN, SOURCE

    source, *targets, _ = table.measures
    if len(targets) == 1:
        return [source, *targets]
    room = width - 62 - 11 * len(table.study.vary)
    return [SOURCE, *(targets if 11 * len(targets) <= room else []), MEAN]


def _estimate(found: Estimate | None) -> str:
    if found is None:
        return ""
    if found.standard_error is None:
        return _number(found.mean)
    return f"{_number(found.mean)} ±{_number(found.standard_error)}"


def _gain(gain: Difference | None) -> tuple[str, str]:
    if gain is None:
        return "", ""
    if gain.low is None or gain.high is None:
        return _number(gain.mean, "+"), ""
    return _number(gain.mean, "+"), f"{_number(gain.low, '+')} … {_number(gain.high, '+')}"


def _number(value: float, sign: str = "") -> str:
    """Three decimals without the zero before the point."""
    return f"{value:{sign}.3f}".replace("0.", ".", 1) if abs(value) < 1 else f"{value:{sign}.3f}"


def _remark(row: Row) -> str:
    from vcr_core.sweeps import Kind, TrialState

    if row.state in {TrialState.PRUNED, TrialState.FAILED}:
        return row.state.value
    if row.kind is Kind.BASELINE or row.baseline is None:
        return "baseline" if row.state is TrialState.COMPLETE else row.state.value
    if row.state is not TrialState.COMPLETE:
        return row.state.value
    return "front" if row.on_front else ""


def conclusions(table: StudyTable) -> Iterable[str]:
    """What the table says, in words, with how sure it is."""
    from vcr_core.sweeps import MEAN

    best = table.best
    if best is None:
        yield "No setting is complete yet."
        return
    gain = best.gains.get(MEAN)
    if gain is None:
        yield f"Best: {best.label or 'the baseline'}. Nothing gained over the baseline."
    elif gain.low is None:
        yield f"Best: {best.label}, {gain.mean:+.3f} over its baseline, with one seed: not sure."
    else:
        word = "clear of zero" if gain.is_clear else "not clear of zero"
        yield (
            f"Best: {best.label}, {gain.mean:+.3f} over its baseline on {gain.n} seeds (95 % "
            f"interval {gain.low:+.3f} … {gain.high:+.3f}, {word})."
        )
    settings = sum(row.baseline is not None for row in table.rows)
    if settings > 1 and gain is not None:
        yield (
            f"It is the best of {settings}, so its gain is a little too high: measure it again "
            "on fresh seeds before you quote it."
        )
    failed = [row for row in table.rows if row.state.value == "failed"]
    if failed:
        yield f"{len(failed)} failed; the first: {failed[0].label}: {failed[0].why}"


def _list_studies(store: Store, *, as_json: bool) -> None:
    from rich.console import Console
    from rich.table import Table

    from vcr_core.sweeps.studies import overviews

    found = overviews(store)
    if as_json:
        print(json.dumps(found))
        return
    table = Table("study", "what", "sampler", "settings", "seeds", "state")
    for entry in found:
        table.add_row(
            entry["name"],
            f"{entry['preset']}: {', '.join(entry['vary'])}",
            entry["sampler"],
            f"{entry['settings_over']} of {entry['settings']}",
            str(entry["seeds"]),
            entry["state"],
        )
    Console().print(table)
