"""``vcr-lab ls | show | rm | gc | backup | export`` as a person types them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from vcr_core import paths
from vcr_core.cli import app
from vcr_core.config import RunConfig
from vcr_core.errors import ConfigError, RunBusyError, UnknownRunError, VcrLabError
from vcr_core.store import Report, RunState, Store, open_store


def say(*words: str) -> str:
    """What a command prints."""
    result = CliRunner().invoke(app, list(words), catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout


def found(*words: str) -> Any:
    """What a command prints as JSON."""
    return json.loads(say(*words, "--json"))


def refused(*words: str) -> VcrLabError:
    """The error that ends a command; ``main`` prints it on one line and exits with 2."""
    result = CliRunner().invoke(app, list(words))
    assert isinstance(result.exception, VcrLabError)
    return result.exception


@pytest.fixture
def run_id(store: Store) -> str:
    """A finished run with one number."""
    made = store.create_run(RunConfig(), owner="ada", preset="sprites-shape")
    store.write_reports(made, [Report(1, {"loss/task": 0.5}, {})], progress={"step": 1})
    result = {"source_accuracy": 0.75, "transfer": {"colour": 0.5, "scale": 0.25}}
    store.update_run(made, state=RunState.FINISHED.value, result=result)
    return made


def test_runs_are_listed_as_a_table_and_as_json(store: Store, run_id: str) -> None:
    waiting = store.create_run(RunConfig(), owner="bob")
    assert [run["id"] for run in found("ls")] == [waiting, run_id]
    assert [run["id"] for run in found("ls", "--owner", "ada")] == [run_id]
    assert [run["id"] for run in found("ls", "--state", "queued")] == [waiting]
    assert len(found("ls", "--limit", "1")) == 1
    table = say("ls")
    assert run_id in table
    assert "finished" in table
    assert isinstance(refused("ls", "--state", "asleep"), ConfigError)


def test_a_run_is_shown_with_its_settings(run_id: str) -> None:
    shown = found("show", run_id)
    assert RunConfig(**shown["config"]) == RunConfig()
    assert (shown["state"], shown["owner"]) == ("finished", "ada")
    assert run_id in say("show", run_id)
    assert isinstance(refused("show", "nobody"), UnknownRunError)


def test_a_deleted_run_comes_back_until_it_is_thrown_away(run_id: str) -> None:
    assert found("rm", run_id) == {"deleted": [run_id]}
    assert found("ls") == []
    assert [run["id"] for run in found("ls", "--deleted")] == [run_id]
    assert found("gc")["runs"] == []  # it was deleted just now
    assert found("rm", run_id, "--undo") == {"restored": [run_id]}
    assert [run["id"] for run in found("ls")] == [run_id]
    say("rm", run_id)
    assert found("gc", "--older-than", "0", "--dry-run")["runs"] == [run_id]
    assert found("gc", "--older-than", "0")["runs"] == [run_id]
    assert isinstance(refused("rm", run_id, "--undo"), UnknownRunError)


def test_nothing_is_deleted_when_one_of_the_runs_cannot_be(store: Store, run_id: str) -> None:
    assert isinstance(refused("rm", run_id, "nobody"), UnknownRunError)
    working = store.create_run(RunConfig(), state=RunState.RUNNING)
    assert isinstance(refused("rm", run_id, working), RunBusyError)
    assert len(found("ls")) == 2


def test_checkpoints_go_with_their_run_and_not_before(store: Store, run_id: str) -> None:
    root = Path(paths.checkpoint_address()) / store.identity
    kept = store.create_run(RunConfig())
    fork = store.create_run(RunConfig(), parent_id=run_id, parent_step=1)
    parent = store.create_run(RunConfig())
    for name in (run_id, kept, parent, "0123456789ab"):
        (root / name).mkdir(parents=True)
        (root / name / "00000001.json").write_text("{}")
    elsewhere = Path(paths.checkpoint_address()) / "another store" / "fedcba987654"
    elsewhere.mkdir(parents=True)
    for name in (run_id, kept, parent):
        store.update_run(name, checkpoint=(root / name).as_posix(), checkpoint_step=1)
    store.update_run(fork, checkpoint=(root / parent).as_posix(), checkpoint_step=1)
    for name in (run_id, parent):
        store.delete_run(name)
    gone = found("gc", "--older-than", "0")["checkpoints"]
    assert gone == [(root / name).as_posix() for name in sorted(["0123456789ab", run_id])]
    left = {path.name for path in root.iterdir()}
    assert left == {kept, parent}  # a fork starts from the parent's
    assert elsewhere.exists()


def test_gc_removes_no_folder_that_is_not_named_after_the_run(
    store: Store, run_id: str, tmp_path: Path
) -> None:
    precious = tmp_path / "thesis"
    precious.mkdir()
    store.update_run(run_id, checkpoint=precious.as_posix(), checkpoint_step=1)
    store.delete_run(run_id)
    assert found("gc", "--older-than", "0") == {
        "runs": [run_id],
        "checkpoints": [],
        "dry_run": False,
    }
    assert precious.exists()


def test_a_backup_is_one_command(run_id: str, tmp_path: Path) -> None:
    path = tmp_path / "copy.sqlite"
    assert found("backup", str(path))["bytes"] == path.stat().st_size
    copy = open_store(f"sqlite:///{path}")
    assert copy.run(run_id).owner == "ada"
    copy.close()
    assert "is there: move it" in str(refused("backup", str(path)))


def test_numbers_are_exported(run_id: str, tmp_path: Path) -> None:
    path = tmp_path / "numbers.csv"
    assert found("export", run_id, "--to", str(path))["rows"] == 1
    assert path.read_text().splitlines() == ["run,step,name,value", f"{run_id},1,loss/task,0.5"]
    assert "--force" in str(refused("export", run_id, "--to", str(path)))
    assert "1 numbers of 1 run" in say("export", run_id, "--to", str(path), "--force")
    assert isinstance(refused("export", run_id, run_id), ConfigError)
