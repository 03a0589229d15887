"""Real sweeps through the dispatcher and its workers: complete, killed, pruned, failed."""

from __future__ import annotations

import csv
import json
import os
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from io import StringIO
from pathlib import Path
from typing import Any

import psutil
import pytest

from vcr_core.errors import StudyBusyError, StudyChangedError, UnknownStudyError
from vcr_core.execution import dispatcher_alive
from vcr_core.execution.launch import DISPATCHER_LEASE
from vcr_core.figures.sweep import sweep_figure
from vcr_core.store import CommandKind, CommandSource, Run, RunState, Store, open_store
from vcr_core.sweeps import MEAN, Study, TrialState, read_study, run_study, study_table
from vcr_core.sweeps import driver as driver_module
from vcr_core.sweeps.studies import find_study, lease_name, runs_of

ROOT = Path(__file__).parents[2]
VARIANCE, COVARIANCE = "regularizer.variance_weight", "regularizer.covariance_weight"
TINY: Mapping[str, Any] = {
    "data.train_size": 200,
    "data.test_size": 100,
    "model.hidden": (16, 8),
    "training.epochs": 2,
    "training.batch_size": 50,
    "transfer.train_size": 200,
    "transfer.probes": 2,
    "telemetry.reports": 4,
    "telemetry.snapshots": 2,
    "execution.device": "cpu",
}
PATIENCE_SECONDS = 120.0


def wait_until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.02)


@pytest.fixture(
    scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)]
)
def shared(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Store]:
    """One store for all tests here, so that they share warm workers; then one on a server."""
    home = tmp_path_factory.mktemp("home")
    url = None
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres_server").new_database()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VCR_LAB_HOME", str(home))
        opened = open_store(url)
        yield opened
        end_dispatcher(opened)
        opened.close()


def end_dispatcher(store: Store) -> None:
    """Nothing that a test started is left behind."""
    lease = store.lease(DISPATCHER_LEASE)
    if lease is None or not dispatcher_alive(store):
        return
    process = psutil.Process(int(lease[2]["pid"]))
    family = [*process.children(recursive=True), process]
    for member in family:
        member.kill()
    psutil.wait_procs(family, timeout=20)


def tiny(name: str, **changes: Any) -> Study:
    tree = {"name": name, "preset": "digits-parity", "set": TINY, "seeds": 2}
    return read_study({**tree, **changes})


def runs_by_key(store: Store, name: str) -> dict[tuple[int | None, int], Run]:
    """The runs of a study; asserts that none stands for the same trial and seed as another."""
    runs = runs_of(store, find_study(store, name).id)
    keys = [(run.trial, run.config.seed) for run in runs]
    assert max(Counter(keys).values()) == 1, "a run was queued twice"
    return dict(zip(keys, runs, strict=True))


def test_a_grid_gives_every_setting_paired_with_its_baseline(shared: Store) -> None:
    study = tiny("grid", vary={VARIANCE: [1], "model.dropout": [0, 0.5]})
    seen = []
    run_study(study, shared, watch=seen.append)
    runs = runs_by_key(shared, "grid")
    table = study_table(shared, "grid")
    assert len(runs) == 2 * 2 * 2  # dropout, with and without, seeds
    assert all(run.state is RunState.FINISHED for run in runs.values())
    assert (seen[-1].trials_over, seen[-1].runs_over, seen[-1].runs) == (2, 8, 8)
    for row in table.rows:
        measured = [runs[row.number, seed].result["transfer"]["digit"] for seed in (0, 1)]
        assert row.accuracies["digit"].mean == pytest.approx(statistics.fmean(measured))
        assert row.accuracies["digit"].n == 2
        if row.baseline is None:
            assert runs[row.number, 0].config.regularized is False
            continue
        ours, twin = runs[row.number, 1].config, runs[row.baseline, 1].config
        assert twin == ours.baseline()
        assert twin.model.dropout == row.params["model.dropout"]
        apart = [
            runs[row.number, seed].result["transfer"]["digit"]
            - runs[row.baseline, seed].result["transfer"]["digit"]
            for seed in (0, 1)
        ]
        assert row.gains[MEAN].mean == pytest.approx(statistics.fmean(apart))
    assert table.best is not None
    assert table.best.score == max(row.score for row in table.rows)


def test_the_table_is_written_as_json_csv_and_figure(shared: Store) -> None:
    weights = {VARIANCE: [0, 1], COVARIANCE: [0]}
    run_study(tiny("written", vary=weights, seeds=1), shared)
    table = study_table(shared, "written")
    tree = json.loads(table.to_json())
    (first, second) = list(csv.DictReader(StringIO(table.to_csv())))
    assert [row["params"][VARIANCE] for row in tree["rows"]] == [0, 1]
    assert float(second["digit"]) == tree["rows"][1]["accuracies"]["digit"]["mean"]
    assert (first["digit gain"], first["digit standard error"]) == ("", "")
    figure = sweep_figure(table)
    assert len(figure.data[0].x) == 1
    assert figure.data[0].x[0] == tree["rows"][1]["gains"][MEAN]["mean"]


def test_running_a_finished_study_again_runs_nothing(shared: Store) -> None:
    study = tiny("again", vary={VARIANCE: [1]}, seeds=1)
    run_study(study, shared)
    before = runs_by_key(shared, "again")
    run_study(study, shared)
    assert runs_by_key(shared, "again") == before


def test_a_changed_study_of_the_same_name_is_refused_and_nothing_changes(shared: Store) -> None:
    study = tiny("kept", vary={VARIANCE: [0]}, seeds=1)
    run_study(study, shared)
    before = find_study(shared, "kept")
    other = tiny("kept", vary={VARIANCE: [0, 2]}, seeds=1)
    with pytest.raises(StudyChangedError, match=r"differs in vary\.regularizer\.variance_weight"):
        run_study(other, shared)
    assert find_study(shared, "kept") == before
    with pytest.raises(UnknownStudyError, match=r"\(.*kept.*\), got 'lost'"):
        study_table(shared, "lost")


def test_a_setting_that_fails_is_named_and_the_others_go_on(shared: Store) -> None:
    study = tiny("fails", vary={"training.batch_size": [5000, 50]}, seeds=1, baseline="none")
    run_study(study, shared)
    failed, fine = study_table(shared, "fails").rows
    assert (failed.state, fine.state) == (TrialState.FAILED, TrialState.COMPLETE)
    assert "training.batch_size" in failed.why
    assert failed.accuracies == {}


def test_a_hopeless_trial_is_stopped_through_the_store_and_its_run_kept(shared: Store) -> None:
    rates = [3e-3, 4e-3, 5e-3, 6e-3, 7e-3, 1e-9]
    long = {**TINY, "training.epochs": 500, "transfer.probes": 40}
    study = tiny(
        "pruned",
        vary={"optimizer.learning_rate": rates},
        set=long,
        seeds=1,
        baseline="none",
        pruner="median",
        parallel=2,
    )
    run_study(study, shared)
    last = study_table(shared, "pruned").rows[-1]
    (run_id,) = last.run_ids
    run = shared.run(run_id)
    assert last.state is TrialState.PRUNED
    assert run.state is RunState.STOPPED
    assert 0 < run.step < run.total_steps
    assert run.result["transfer"].keys() == {"digit"}
    asked = [c for c in shared.commands(run_id) if c.source is CommandSource.PERSON]
    assert [(command.kind, command.state) for command in asked] == [(CommandKind.STOP, "applied")]


def test_nsga2_finds_a_front_of_source_against_transfer(shared: Store) -> None:
    study = tiny(
        "front",
        vary={VARIANCE: {"low": 0.01, "high": 10, "log": True}},
        sampler="nsga2",
        trials=4,
        seeds=1,
    )
    run_study(study, shared)
    table = study_table(shared, "front")
    points = [(row.accuracies["source"].mean, row.accuracies[MEAN].mean) for row in table.front]
    assert len([row for row in table.rows if row.baseline is not None]) == 4
    assert points == sorted(points)
    assert [transfer for _, transfer in points] == sorted((y for _, y in points), reverse=True)


def test_two_processes_cannot_carry_out_one_study(
    shared: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(driver_module, "LEASE_PATIENCE_SECONDS", 0.5)
    other, done = open_store(shared.url), threading.Event()

    def beat() -> None:
        while not done.is_set():
            other.hold_lease(lease_name("busy"), "somebody else", patience=60)
            time.sleep(0.05)

    thread = threading.Thread(target=beat)
    thread.start()
    wait_until(lambda: shared.lease(lease_name("busy")))
    with pytest.raises(StudyBusyError, match="another process is carrying out the study 'busy'"):
        run_study(tiny("busy", vary={VARIANCE: [0]}, seeds=1), shared)
    done.set()
    thread.join()
    other.close()


# ------------------------------------------------------------------ the command


def command(store: Store, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "vcr_core", *arguments],
        cwd=ROOT,
        env={**os.environ, "VCR_LAB_STORE": store.url, "PYTHONUTF8": "1", "COLUMNS": "100"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )


def finish(process: subprocess.Popen[str]) -> tuple[str, str]:
    with process:
        out, err = process.communicate(timeout=PATIENCE_SECONDS)
    return out, err


def tiny_settings() -> list[str]:
    shown = {k: ",".join(map(str, v)) if isinstance(v, tuple) else v for k, v in TINY.items()}
    return [f"--set={key}={value}" for key, value in shown.items()]


@pytest.mark.parametrize("sampler", ["grid", pytest.param("tpe", marks=pytest.mark.slow)])
def test_a_sweep_killed_twice_ends_with_no_run_twice_and_no_trial_lost(
    shared: Store, sampler: str
) -> None:
    name = f"killed-{sampler}"
    vary = {
        "grid": [f"--vary={VARIANCE}=0,0.5,1,2", f"--vary={COVARIANCE}=0"],
        "tpe": [f"--vary={VARIANCE}=0.01..10:log", "--sampler=tpe", "--trials=4"],
    }[sampler]
    asked = ["sweep", "--preset=digits-parity", "--name", name, "--seeds=2", *vary]
    asked += tiny_settings()
    for runs_over in (2, 5):
        process = command(shared, *asked)
        wait_until(lambda over=runs_over: runs_over_now(shared, name) >= over)
        process.kill()
        finish(process)
        interrupted = find_study(shared, name)
        assert interrupted.state == "running"
    out, err = finish(command(shared, "sweep", "--resume", name, "--json"))
    assert err == ""
    rows = json.loads(out)["rows"]
    runs = runs_by_key(shared, name)
    settings = 4 + (sampler == "tpe")  # the grid holds its own baseline
    assert [row["number"] for row in rows] == list(range(settings))
    assert all(row["state"] == "complete" and row["seeds"] == [0, 1] for row in rows)
    assert len(runs) == 2 * settings
    assert {(run.state, run.attempt) for run in runs.values()} == {(RunState.FINISHED, 1)}
    assert find_study(shared, name).state == "finished"


def runs_over_now(store: Store, name: str) -> int:
    found = [study for study in store.studies() if study.name == name]
    return sum(run.state.is_over for study in found for run in runs_of(store, study.id))


def test_the_commands_print_tables_and_lists_and_refuse_in_one_line(
    shared: Store, tmp_path: Path
) -> None:
    run_study(tiny("shown", vary={VARIANCE: [0, 1], COVARIANCE: [0]}), shared)
    files = (str(tmp_path / "a.csv"), str(tmp_path / "a.html"))
    out, _ = finish(command(shared, "sweeps", "shown", "--csv", files[0], "--figure", files[1]))
    assert out.startswith("shown: finished")
    assert "baseline" in out
    assert "Best: " in out
    assert Path(files[0]).read_text().startswith("trial,kind,state,")
    assert "plotly" in Path(files[1]).read_text()
    listed = json.loads(finish(command(shared, "sweeps", "--json"))[0])
    assert {"name": "shown", "settings_over": 2, "state": "finished"}.items() <= next(
        entry for entry in listed if entry["name"] == "shown"
    ).items()
    for arguments, said in (
        (["sweep"], "expected a study: a .toml or .json file, or --preset with --vary"),
        (["sweep", "--preset=digits-parity", "--vary=oops=1"], "oops: no setting has this name"),
        (["sweep", "--preset=digits-parity", "--seeds=few"], "expected a number of seeds"),
        (["sweep", "--resume=nothing"], "expected the name of a study in this store"),
        (["sweep", "--resume=shown", "--seeds=9"], "leave out --seeds"),
        (["sweeps", "nothing"], "expected the name of a study in this store"),
    ):
        process = command(shared, *arguments)
        out, err = finish(process)
        assert process.returncode == 2, err
        assert out == ""
        assert len(err.splitlines()) == 1, err
        assert said in err
