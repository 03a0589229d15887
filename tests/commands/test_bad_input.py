"""Every command that uses the store, with a store that cannot be used."""

from __future__ import annotations

import hashlib
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from typer.testing import CliRunner

from vcr_core.cli import app
from vcr_core.errors import StoreError
from vcr_core.store import Store, connection

COMMANDS = {
    "app": ["app", "--port", "1", "--no-browser"],
    "dispatcher": ["dispatcher"],
    "run": ["run", "digits-parity", "--set", "training.epochs=1"],
    "sweep": [
        "sweep",
        "--preset",
        "digits-parity",
        "--vary",
        "regularizer.variance_weight=0,1",
        "--name",
        "weights",
    ],
    "sweeps": ["sweeps"],
    "suggest": ["suggest", "--preset", "digits-parity"],
    "ls": ["ls"],
    "show": ["show", "somebody"],
    "rm": ["rm", "somebody"],
    "gc": ["gc"],
    "backup": ["backup", "copy.sqlite"],
    "export": ["export", "somebody", "--to", "run.csv"],
    "mirror": ["mirror", "somebody", "--to", "tensorboard"],
    "stop": ["stop", "somebody"],
    "resume": ["resume", "somebody"],
    "fork": ["fork", "somebody"],
    "replay": ["replay", "somebody"],
    "probe": ["probe", "somebody"],
    "advise": ["advise", "somebody"],
    "evidence": ["evidence", "terms", "--quick", "--out", "."],
}
WITHOUT_STORE = {"presets", "doctor", "bench"}


def test_every_command_is_tried_here() -> None:
    names = {each.name or each.callback.__name__ for each in app.registered_commands if each}
    names |= {group.name for group in app.registered_groups}
    assert names == COMMANDS.keys() | WITHOUT_STORE


def contents(folder: Path) -> dict[str, str]:
    """A digest of every file, but SQLite's index of its log, which readers make too."""
    files = (each for each in folder.rglob("*") if each.is_file() and each.suffix != ".sqlite-shm")
    return {str(each): hashlib.sha256(each.read_bytes()).hexdigest() for each in files}


@pytest.fixture
def newer(store: Store, lab_home: Path) -> Path:
    """A store of a VCR Lab that has not been written yet."""
    store.close()
    with sqlite3.connect(lab_home / "runs.sqlite") as database:
        database.execute("UPDATE about SET value = '99' WHERE key = 'version'")
    database.close()
    return lab_home


@pytest.mark.parametrize("words", COMMANDS.values(), ids=COMMANDS)
def test_a_store_of_a_newer_version_is_refused_and_left_as_it_is(
    newer: Path, words: Sequence[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before = contents(tmp_path)
    done = CliRunner().invoke(app, words)
    assert isinstance(done.exception, StoreError), done.output
    assert "has version 99, this VCR Lab reads up to" in str(done.exception)
    assert done.stdout == ""
    assert contents(tmp_path) == before


@pytest.mark.parametrize("words", COMMANDS.values(), ids=COMMANDS)
def test_a_database_that_does_not_answer_is_said_without_its_password(
    words: Sequence[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(connection, "RECONNECT_SECONDS", 0.0)
    with socket.socket() as taken:  # bound, and nobody listens
        taken.bind(("127.0.0.1", 0))
        address = f"postgresql://lab:secret@127.0.0.1:{taken.getsockname()[1]}/runs"
        monkeypatch.setenv("VCR_LAB_STORE", address)
        done = CliRunner().invoke(app, words)
    assert isinstance(done.exception, StoreError), done.output
    assert "no server answers there" in str(done.exception)
    assert "secret" not in str(done.exception)
    assert done.stdout == ""
    assert contents(tmp_path) == {}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nope"], "vcr-lab: No such command 'nope': see `vcr-lab --help`"),
        (["show"], "vcr-lab: Missing argument 'run': see `vcr-lab show --help`"),
        (["presets", "--nope"], "vcr-lab: No such option: --nope: see `vcr-lab presets --help`"),
    ],
)
def test_words_that_make_no_command_are_refused_in_one_line(
    words: Sequence[str], said: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "vcr_core", *words], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"{said}\n")
