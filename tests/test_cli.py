"""The real command, in a process of its own: what it prints, what it keeps, how it refuses."""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from vcr_core.config import override, validate
from vcr_core.execution.launch import with_threads
from vcr_core.presets import PRESETS, find_preset
from vcr_core.store import RunState, Store, open_store

ROOT = Path(__file__).parents[1]
BASELINE = (
    "--set=regularizer.variance_weight=0",
    "--set=regularizer.covariance_weight=0",
)
START_SECONDS = 90.0


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "vcr_core", *arguments]


def environment(changes: Mapping[str, str] | None = None) -> dict[str, str]:
    return {**os.environ, "PYTHONUTF8": "1", "COLUMNS": "200", **(changes or {})}


def vcr_lab(
    *arguments: str, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments),
        cwd=ROOT,
        env=environment(env),
        capture_output=True,
        encoding="utf-8",
        check=False,
    )


def refusal(*arguments: str, env: Mapping[str, str] | None = None) -> str:
    """The one line on standard error of a command that ends with exit code 2."""
    done = vcr_lab(*arguments, env=env)
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert len(lines) == 1, done.stderr
    return lines[0]


@pytest.fixture
def no_torch(tmp_path: Path) -> Mapping[str, str]:
    """An environment in which importing torch fails."""
    folder = tmp_path / "no-torch"
    folder.mkdir()
    (folder / "torch.py").write_text("raise ImportError('torch is not wanted here')\n")
    return {"PYTHONPATH": str(folder)}


# ------------------------------------------------------------------------ runs


def test_a_run_prints_one_json_object_and_keeps_the_same_numbers(lab_home: Path) -> None:
    done = vcr_lab("run", "digits-parity", "--json", "--set", "training.epochs=2", "--seed", "3")
    assert done.returncode == 0, done.stderr
    printed = json.loads(done.stdout)
    assert 0.5 < printed["source_accuracy"] <= 1.0
    assert set(printed["transfer"]) == {"digit"}
    assert 0.5 < printed["transfer"]["digit"] <= 1.0
    assert 1.0 < printed["effective_rank"] < printed["rank_samples"]
    assert printed["seconds"] > 0.0
    asked = override(find_preset("digits-parity").config, {"training.epochs": 2, "seed": 3})
    assert validate(printed["config"]) == with_threads(asked)

    store = open_store()
    (run,) = store.runs()
    store.close()
    assert run.id == printed["run"]
    assert run.state is RunState.FINISHED
    assert run.preset == "digits-parity"
    assert run.config == validate(printed["config"])
    assert run.result == {name: printed[name] for name in run.result}
    assert {"source_accuracy", "transfer", "effective_rank", "seconds"} <= set(run.result)


def test_both_weights_zero_is_the_baseline_of_a_preset(store: Store) -> None:
    settings = ("--set", "training.epochs=1", "--set", "transfer.probes=1")
    done = vcr_lab("run", "digits-parity", "--json", *settings, *BASELINE)
    assert done.returncode == 0, done.stderr
    asked = {"training.epochs": 1, "transfer.probes": 1}
    twin = with_threads(override(find_preset("digits-parity").config, asked).baseline())
    assert validate(json.loads(done.stdout)["config"]) == twin
    (run,) = store.runs()
    weights = [m.value for m in store.metrics(run.id) if m.name == "regularizer/variance_weight"]
    assert set(weights) == {0.0}


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_one_interrupt_stops_a_run_and_keeps_its_results(store: Store) -> None:
    endless = command("run", "digits-parity", "--set", "training.epochs=10000")
    with subprocess.Popen(
        endless, cwd=ROOT, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        try:
            wait_for_steps(store, process)
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=START_SECONDS)
        finally:
            process.kill()
    assert process.returncode == 0, err.decode()
    (run,) = store.runs()
    assert run.state is RunState.STOPPED
    assert 0 < run.step < run.total_steps
    assert set(run.result["transfer"]) == {"digit"}
    assert f"run {run.id}: stopped" in out.decode("utf-8")


def wait_for_steps(store: Store, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        if any(run.step > 0 for run in store.runs()):
            return
        time.sleep(0.05)
    pytest.fail("the run did not begin to train")


# ------------------------------------------------------------ bad settings, no torch


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nothing"], f"preset: expected one of {', '.join(PRESETS)}, got 'nothing'"),
        (
            ["--set", "regularizer.variance_weight=-1"],
            "regularizer.variance_weight: expected 0 or more, got '-1'",
        ),
        (
            ["--set", "regularizer.covariance_weight=much"],
            "regularizer.covariance_weight: expected a number, got 'much'",
        ),
        (
            ["--set", "regularizer.covariance_weight=nan"],
            "regularizer.covariance_weight: expected a finite number, got",
        ),
        (["--set", "training.batch_size=1"], "training.batch_size: expected 2 or more, got '1'"),
        (["--set", "data.class_limit=0"], "data.class_limit: expected 1 or more, got '0'"),
        (["--seed", "first"], "seed: expected a whole number, got 'first'"),
        (
            ["--set", "transfer.targets=smell"],
            "transfer.targets: expected one of shape, colour, texture, background, scale, "
            "x-position, y-position for 'sprites', got 'smell'",
        ),
        (
            ["--set", "regularizer.layers=block9"],
            "regularizer.layers: expected 'blocks', 'last', or names or patterns of blocks.0, "
            "blocks.1, blocks.2, pool, got 'block9'",
        ),
        (
            ["--set", "training.epochs"],
            "expected key=value, got 'training.epochs': for example training.epochs=5",
        ),
        (
            ["--set", "training.epoch=3"],
            "training.epoch: no setting has this name; there are training.epochs",
        ),
        (
            ["--set", "data.dataset=atlantis"],
            "data.dataset: expected one of sprites, digits, fashion-mnist, two-moons, mnist, ",
        ),
    ],
    ids=lambda value: "-".join(value).replace("--", "") if isinstance(value, list) else "",
)
def test_a_bad_setting_is_refused_in_one_line_without_torch(
    arguments: list[str], said: str, no_torch: Mapping[str, str], store: Store
) -> None:
    assert refusal("run", *arguments, env=no_torch).startswith(f"vcr-lab: {said}")
    assert store.runs() == []


def test_a_port_in_use_is_refused_and_another_named(no_torch: Mapping[str, str]) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        said = refusal("app", "--no-browser", "--port", str(port), env=no_torch)
    assert f"expected a free port, but another program listens on {port}" in said
    assert f"--port {port + 1}" in said


# ------------------------------------------------------------------ stores, no torch


def test_a_text_file_is_no_store_and_is_left_as_it_is(
    tmp_path: Path, no_torch: Mapping[str, str]
) -> None:
    notes = tmp_path / "notes.txt"
    notes.write_text("milk, eggs")
    for address in (str(notes), f"sqlite:///{notes.as_posix()}"):
        said = refusal("run", env={**no_torch, "VCR_LAB_STORE": address})
        assert f"cannot use the store at {notes.as_posix()}: the file is not a database" in said
        assert "VCR_LAB_STORE" in said
    assert notes.read_text() == "milk, eggs"


def test_a_database_of_another_program_is_no_store(
    tmp_path: Path, no_torch: Mapping[str, str]
) -> None:
    file = tmp_path / "music.sqlite"
    with sqlite3.connect(file) as connection:
        connection.execute("create table songs (title text)")
    connection.close()
    said = refusal("run", env={**no_torch, "VCR_LAB_STORE": str(file)})
    assert f"expected a VCR Lab store at {file.as_posix()}" in said
    assert "found a database with other tables (songs)" in said


def test_a_read_only_store_is_found_before_anything_trains(
    store: Store, lab_home: Path, no_torch: Mapping[str, str]
) -> None:
    address = f"sqlite:///file:{(lab_home / 'runs.sqlite').as_posix()}?mode=ro&uri=true"
    said = refusal("run", env={**no_torch, "VCR_LAB_STORE": address})
    assert "the file is read-only. Make it writable, or choose another file with" in said
    assert store.runs() == []


@pytest.mark.parametrize(
    "address", ["nonsense://somewhere", "sqlite:////", "sqlite:///no-such-folder/x/runs.sqlite"]
)
def test_an_address_that_leads_nowhere_is_refused(
    address: str, no_torch: Mapping[str, str]
) -> None:
    assert "VCR_LAB_STORE" in refusal("run", env={**no_torch, "VCR_LAB_STORE": address})


def test_a_home_that_is_a_file_is_refused(tmp_path: Path, no_torch: Mapping[str, str]) -> None:
    file = tmp_path / "home"
    file.write_text("")
    said = refusal("run", env={**no_torch, "VCR_LAB_HOME": str(file)})
    assert f"expected a folder at {file}" in said
    assert "choose another with VCR_LAB_HOME" in said


# ----------------------------------------------------------------- images of one's own


def own_images(folder: Path) -> tuple[str, ...]:
    settings = ("dataset=folder", "source=class", f"folder={folder}")
    return ("run", *(f"--set=data.{text}" for text in settings))


def test_a_folder_without_classes_is_refused(tmp_path: Path, store: Store) -> None:
    folder = tmp_path / "empty"
    folder.mkdir()
    said = refusal(*own_images(folder))
    assert f"expected at least 2 sub-folders, one a class, in '{folder}', found none" in said
    assert store.runs() == []


def test_an_image_that_does_not_decode_is_named(tmp_path: Path) -> None:
    for name in ("cats", "dogs"):
        (tmp_path / "pets" / name).mkdir(parents=True)
        for index in range(2):
            Image.new("RGB", (8, 8)).save(tmp_path / "pets" / name / f"{index}.png")
    broken = tmp_path / "pets" / "dogs" / "broken.png"
    broken.write_bytes(b"\x89PNG no picture")
    said = refusal(*own_images(tmp_path / "pets"))
    assert f"expected an image that can be decoded, '{broken}' is none" in said


# ------------------------------------------------------------------ presets and doctor


def test_presets_lists_every_preset_without_torch(no_torch: Mapping[str, str]) -> None:
    done = vcr_lab("presets", env=no_torch)
    assert done.returncode == 0, done.stderr
    for preset in PRESETS.values():
        assert preset.name in done.stdout
        assert preset.title in done.stdout


def test_presets_are_told_to_programs(no_torch: Mapping[str, str]) -> None:
    done = vcr_lab("presets", "--json", env=no_torch)
    assert done.returncode == 0, done.stderr
    told = {each["name"]: each for each in json.loads(done.stdout)}
    assert list(told) == list(PRESETS)
    for each in told.values():
        assert each["description"]
        assert each["size"] in {"small", "full"}
        assert (each["twin"] is not None) == (each["size"] == "full")
        assert each["twin"] is None or told[each["twin"]]["size"] == "small"
    video = told["video-hmdb51"]
    assert (video["dataset"], video["twin"], video["layers"]) == (
        "hmdb51",
        "video-small",
        ["avgpool"],
    )


def test_doctor_says_versions_devices_data_and_store(lab_home: Path) -> None:
    done = vcr_lab("doctor", "--json")
    assert done.returncode == 0, done.stderr
    found: dict[str, dict[str, Any]] = json.loads(done.stdout)
    assert set(found) == {"versions", "devices", "data", "store"}
    assert found["versions"]["torch"] != "missing"
    assert found["devices"]["chosen"]
    assert {"sprites", "digits", "fashion-mnist"} <= set(found["data"])
    assert found["store"]["folder"] == str(lab_home)
    assert found["store"]["runs"] == 0


def test_doctor_tells_of_a_store_that_cannot_be_used(tmp_path: Path) -> None:
    notes = tmp_path / "notes.txt"
    notes.write_text("milk, eggs")
    done = vcr_lab("doctor", env={"VCR_LAB_STORE": str(notes)})
    assert done.returncode == 0, done.stderr
    for title in ("versions", "devices", "data", "store", "not a database"):
        assert title in done.stdout


def test_bench_times_the_penalty_and_refuses_a_shape_that_is_not_there() -> None:
    done = vcr_lab("bench", "regularizer", "--only", "8", "--trials", "2", "--json")
    timing = json.loads(done.stdout)[0]
    assert timing["case"]["shape"] == [256, 512]
    assert set(timing["milliseconds"]) == {"floor", "ours", "naive", "batch_norm", "identity"}
    assert "expected places from 0 to 9, got [99]" in refusal(
        "bench", "regularizer", "--only", "99"
    )
