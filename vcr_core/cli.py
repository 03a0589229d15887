"""The command line: ``vcr-lab app | run | presets | doctor | bench``.

Bad input ends with one line on standard error and exit code 2.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

import vcr_core
from vcr_core.commands import dispatcher, evidence, export, housekeeping, mirror, probe, runs, sweep
from vcr_core.commands.dispatcher import RAY_HELP, use_cluster
from vcr_core.config import RunConfig, override
from vcr_core.datasets.catalog import FOLDER
from vcr_core.datasets.own_images import find_images
from vcr_core.errors import ConfigError, PortInUseError, VcrLabError
from vcr_core.execution import ensure_dispatcher
from vcr_core.execution.launch import with_threads
from vcr_core.execution.ray_cluster import VARIABLE as RAY_VARIABLE
from vcr_core.presets import DEFAULT_PRESET, PRESETS, Preset, find_preset
from vcr_core.store import CommandKind, RunState, Store, open_store
from vcr_core.training.moves import Move, parse_moves

DEFAULT_PORT = 8501
WORKERS_AFTER_SECONDS = 3.0  # the page gets the processor first

app = typer.Typer(
    name="vcr-lab",
    help="Turn variance-covariance regularisation while a network trains, and see what it does.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
bench = typer.Typer(help="Time things on this machine.", no_args_is_help=True)
app.add_typer(bench, name="bench")
dispatcher.register(app)
sweep.register(app)
housekeeping.register(app)
export.register(app)
mirror.register(app)
runs.register(app)
probe.register(app)
evidence.register(app)


# What typer raises for words that make no command: its own class or click's, by its version.
UsageError: type[Exception] = typer.BadParameter.__bases__[0]


def main() -> None:
    """Entry point of ``vcr-lab``."""
    try:
        sys.exit(app(standalone_mode=False) or 0)
    except VcrLabError as error:
        _refuse(str(error))
    except UsageError as error:
        _refuse(_what_to_write(error))
    except (typer.Abort, KeyboardInterrupt):
        sys.exit(130)


def _refuse(why: str) -> NoReturn:
    """End with one line and exit code 2; without the line where help was printed instead."""
    if why:
        print(f"vcr-lab: {' '.join(why.split())}", file=sys.stderr)
    sys.exit(2)


def _what_to_write(error: Any) -> str:
    """A usage error in one line; "" where the command was shown with its help."""
    words = str(error.format_message()).strip().rstrip(".")
    path = error.ctx.command_path if error.ctx is not None else ""
    command = path.replace("python -m vcr_core", "vcr-lab") or "vcr-lab"
    return words and f"{words}: see `{command} --help`"


@app.command("app")
def start_app(
    port: Annotated[int, typer.Option(help="Port of the page.", min=1, max=65535)] = DEFAULT_PORT,
    browser: Annotated[bool, typer.Option(help="Open the page in a browser.")] = True,
    ray: Annotated[str, typer.Option(help=RAY_HELP, envvar=RAY_VARIABLE)] = "",
) -> None:
    """Start the page on this machine."""
    check_port(port)
    store = open_store()
    use_cluster(ray, store)
    ensure_dispatcher(store, delay=WORKERS_AFTER_SECONDS)
    store.close()
    from streamlit.web.cli import main as streamlit

    headless = "false" if browser and sys.stdout.isatty() else "true"
    arguments = ["--server.port", str(port), "--server.headless", headless]
    print(f"VCR Lab: http://localhost:{port}  (Ctrl-C stops the page; running trainings go on)")
    streamlit(["run", str(app_script()), *arguments])


@app.command("run")
def run_preset(
    preset: Annotated[str, typer.Argument(help=f"One of {', '.join(PRESETS)}.")] = DEFAULT_PRESET,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="A setting as key=value, e.g. training.epochs=5. Repeatable."),
    ] = None,
    moves: Annotated[
        list[str] | None,
        typer.Option(
            "--move",
            help="Turn something after so many steps, as step:setting=value or step:stop, e.g. "
            "120:regularizer.covariance_weight=5. Repeatable.",
        ),
    ] = None,
    seed: Annotated[
        str | None, typer.Option(help="The seed of the run.", metavar="INTEGER")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Train one run of a preset in this terminal; the page can watch it."""
    changes = parse_settings(settings or [])
    if seed is not None:
        changes["seed"] = seed
    config = with_threads(override(find_preset(preset).config, changes))
    plan = parse_moves(moves or [], config)
    if config.data.dataset == FOLDER.name:
        find_images(config.data.folder)
    if int(os.environ.get("RANK", "0")) > 0:  # torchrun: the first process has the store
        from vcr_core.execution.runner import follow

        follow(config)
        return
    store = open_store()
    run_id, result = _train_here(store, config, preset=preset, plan=plan, quiet=as_json)
    summary = {"run": run_id, "preset": preset, "config": config.model_dump(mode="json"), **result}
    if as_json:
        print(json.dumps(summary))
    else:
        _print_result(config, summary)


def _train_here(
    store: Store, config: RunConfig, *, preset: str, plan: Sequence[Move], quiet: bool
) -> tuple[str, Mapping[str, Any]]:
    """Carry out a run in this process with a progress bar; Ctrl-C stops it, results are kept.

    Returns the run's id and its result.
    """
    from vcr_core.execution.runner import execute  # takes seconds: before the run exists

    run_id = store.create_run(config, preset=preset, state=RunState.STARTING)
    store.plan_commands(run_id, [(move.step, move.kind, move.payload) for move in plan])
    console = Console(stderr=True, quiet=quiet or not sys.stderr.isatty())
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as progress, _stop_on_interrupt(store, run_id):
        task = progress.add_task(f"run {run_id}", total=None)

        def show(step: int, total: int, metrics: Mapping[str, float]) -> None:
            loss = f"loss {metrics['loss/task']:.3f}" if "loss/task" in metrics else "probing"
            progress.update(task, completed=step, total=total, description=loss)

        outcome = execute(store, run_id, on_progress=show)
    return run_id, {
        "state": outcome.state.value,
        **(outcome.evaluation.summary() if outcome.evaluation else {}),
        "seconds": outcome.seconds,
    }


@contextmanager
def _stop_on_interrupt(store: Store, run_id: str) -> Iterator[None]:
    """The first Ctrl-C asks the run to stop and keep its results; a second one ends at once."""

    def stop(_signal: int, _frame: object) -> None:
        """Ask from a thread: this one may stand in the middle of a write, with the store locked."""
        signal.signal(signal.SIGINT, before)
        threading.Thread(target=store.add_command, args=(run_id, CommandKind.STOP)).start()

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _print_result(config: RunConfig, summary: Mapping[str, Any]) -> None:
    table = Table(title=f"run {summary['run']}: {summary['state']} in {summary['seconds']:.1f} s")
    table.add_column("task")
    table.add_column("accuracy", justify="right")
    table.add_row(f"{config.data.source} (source)", f"{summary['source_accuracy']:.3f}")
    for name, accuracy in summary["transfer"].items():
        table.add_row(f"{name} (transfer)", f"{accuracy:.3f}")
    samples = summary.get("rank_samples")  # runs of older versions do not say
    measured = f" (n = {samples:,} images)" if samples else ""
    table.add_row(f"effective rank of the features{measured}", f"{summary['effective_rank']:.1f}")
    Console().print(table)


@app.command()
def presets(
    as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """List the ready-made experiments."""
    if as_json:
        print(json.dumps([_about(preset) for preset in PRESETS.values()]))
        return
    table = Table("preset", "what it shows")
    for preset in PRESETS.values():
        table.add_row(preset.name, f"{preset.title}\n{preset.summary}")
    Console().print(table)


def _about(preset: Preset) -> dict[str, Any]:
    """What there is to know of a preset before it is run.

    ``size`` is ``small`` (seconds to minutes on two cores) or ``full``, and ``twin`` the small
    preset that asks the same as a full one. ``seconds`` of a pair are null where not measured.
    """
    config = preset.config
    return {
        "name": preset.name,
        "title": preset.title,
        "description": preset.summary,
        "look_for": preset.look_for,
        "size": "full" if preset.large else "small",
        "twin": preset.twin,
        "seconds": preset.seconds,
        "dataset": config.data.dataset,
        "source": config.data.source,
        "targets": list(config.targets),
        "model": config.model.name,
        "objective": config.objective.name,
        "layers": list(config.layer_names),
    }


@app.command()
def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """Say what is here: versions, devices, data, store."""
    from vcr_core.execution.doctor import findings

    found = findings()
    if as_json:
        print(json.dumps(found))
        return
    for title, entries in found.items():
        table = Table(title=title, title_justify="left", show_header=False)
        for name, value in entries.items():
            table.add_row(name, str(value))
        Console().print(table)


@bench.command("regularizer")
def bench_regularizer(
    trials: Annotated[int, typer.Option(help="Paired trials of each shape.", min=2)] = 21,
    device: Annotated[str, typer.Option(help="cpu, cuda or mps.")] = "cpu",
    only: Annotated[
        list[int] | None, typer.Option(help="Place of a shape in the list, from 0. Repeatable.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """Time the penalty beside its two matrix products, naive autograd and batch norm."""
    from vcr_core.regularization.bench import CASES, measure_case
    from vcr_core.training.experiment import pick_device

    pick_device(device)
    places = range(len(CASES)) if only is None else only
    if not all(0 <= place < len(CASES) for place in places):
        raise ConfigError(f"expected places from 0 to {len(CASES) - 1}, got {list(places)}")
    timings = [measure_case(CASES[place], trials=trials, device=device) for place in places]
    if as_json:
        print(
            json.dumps([timing._asdict() | {"case": timing.case._asdict()} for timing in timings])
        )
        return
    names = {"floor": "products", "ours": "VCR", "naive": "naive", "batch_norm": "norm"}
    table = Table(
        "shape", "layout", *names.values(), "÷ products", "naive ÷", title="milliseconds, medians"
    )
    for timing in timings:
        shape = "×".join(map(str, timing.case.shape))
        times = [f"{timing.milliseconds[name]:.2f}" for name in names]
        ratios = f"{timing.ours_over_floor:.2f}", f"{timing.naive_over_ours:.2f}"
        table.add_row(shape, timing.case.layout, *times, *ratios)
    Console().print(table)


def parse_settings(texts: list[str]) -> dict[str, Any]:
    """``key=value`` texts as a mapping.

    Raises:
        ConfigError: a text without ``=``.
    """
    changes: dict[str, Any] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals:
            raise ConfigError(f"expected key=value, got '{text}': for example training.epochs=5")
        changes[key.strip()] = value.strip()
    return changes


def check_port(port: int) -> None:
    """See that nobody listens on a port of this machine.

    Raises:
        PortInUseError: somebody does.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.settimeout(0.5)
        if probe.connect_ex(("127.0.0.1", port)) == 0:
            raise PortInUseError(
                f"expected a free port, but another program listens on {port}: if it is VCR Lab, "
                f"open http://localhost:{port}; else choose another, e.g. --port {port + 1}"
            )


def app_script() -> Path:
    """The page's entry script: in the clone beside this package, or inside the installed wheel."""
    package = Path(vcr_core.__file__).parent
    candidates = (package / "_bundle" / "app" / "server.py", package.parent / "app" / "server.py")
    for script in candidates:
        if script.is_file():
            return script
    raise VcrLabError(
        f"expected the app's script at {candidates[0]}, found none: install VCR Lab again"
    )


if __name__ == "__main__":
    main()
