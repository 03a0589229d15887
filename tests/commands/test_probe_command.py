"""``vcr-lab probe`` on real runs: from their checkpoints to a table, kept with the runs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner, Result

from vcr_core.cli import app
from vcr_core.commands.probe import parse_rows, whole_number
from vcr_core.config import RunConfig, override
from vcr_core.errors import CheckpointError, ConfigError, DataError, UnknownRunError, VcrLabError
from vcr_core.execution.runner import execute
from vcr_core.presets import find_preset
from vcr_core.store import RunState, Store, open_store
from vcr_core.training.checkpoint import Folder

CONFIG = override(
    find_preset("digits-parity").config,
    {"training.epochs": 2, "transfer.probes": 1, "execution.threads": 1, "telemetry.snapshots": 1},
)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("lab")


@pytest.fixture(scope="module")
def lab(home: Path) -> Iterator[tuple[Store, list[str]]]:
    """A store of its own with two finished runs: plain and regularised."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VCR_LAB_HOME", str(home))
        patch.delenv("VCR_LAB_STORE", raising=False)
        patch.delenv("VCR_LAB_CHECKPOINTS", raising=False)
        store = open_store()
        yield store, [trained(store, CONFIG.baseline()), trained(store, CONFIG)]
        store.close()


@pytest.fixture(autouse=True)
def in_the_lab(lab_home: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command finds the same store, after every test has been given a home of its own."""
    monkeypatch.setenv("VCR_LAB_HOME", str(home))


def trained(store: Store, config: RunConfig) -> str:
    run_id = store.create_run(config, preset="digits-parity", state=RunState.STARTING)
    execute(store, run_id)
    return run_id


def vcr_lab(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["probe", *arguments])


def refusal(*arguments: str) -> VcrLabError:
    done = vcr_lab(*arguments)
    assert isinstance(done.exception, VcrLabError), done.exception
    assert done.stdout == ""
    return done.exception


def test_two_runs_give_a_table_and_keep_their_results(lab: tuple[Store, list[str]]) -> None:
    store, (plain, vcr) = lab
    chance = torch.get_rng_state()
    done = vcr_lab(f"plain={plain}", f"vcr={vcr}", "--protocol=linear", "--protocol=knn", "--json")
    assert done.exit_code == 0, done.exception
    tables = json.loads(done.stdout)
    assert list(tables) == ["linear", "knn"]
    first, second = tables["linear"]["rows"]
    assert [row["label"] for row in (first, second)] == ["plain", "vcr"]
    assert first["average"]["difference"] is None
    gain = second["average"]["difference"]
    assert gain["low"] < gain["mean"] < gain["high"]
    assert gain["mean"] == pytest.approx(second["average"]["mean"] - first["average"]["mean"])
    kept = store.run(vcr).result
    assert kept["probes"]["linear"]["targets"] == tables["linear"]["runs"][vcr]
    assert kept["probes"]["linear"]["step"] == store.run(vcr).step
    assert kept["source_accuracy"] > 0.5  # what the run itself had found is still there
    assert chance.shape == torch.get_rng_state().shape


def test_the_probe_reads_the_features_that_the_run_ended_with(
    lab: tuple[Store, list[str]],
) -> None:
    """At the strength of the run's own probe the two differ by the choice of strength alone."""
    store, (plain, _) = lab
    at_the_end = store.run(plain).result["transfer"]["digit"]
    found = json.loads(vcr_lab(plain, "--json").stdout)["linear"]["rows"][0]
    assert found["targets"]["digit"]["mean"] == pytest.approx(at_the_end, abs=0.06)


def test_results_of_other_protocols_stay_and_few_shot_keeps_its_curve(
    lab: tuple[Store, list[str]],
) -> None:
    store, (plain, _) = lab
    for protocol in ("ncm", "few-shot"):
        done = vcr_lab(plain, "--protocol", protocol, "--shots=1,5", "--draws=4")
        assert done.exit_code == 0, done.exception
        assert protocol in done.stdout
        assert "digit" in done.stdout
    probes = store.run(plain).result["probes"]
    assert {"ncm", "few-shot"} <= set(probes)
    curve = probes["few-shot"]["targets"]["digit"]["curve"]
    assert [point["shots"] for point in curve] == [1, 5]
    assert [len(point["accuracies"]) for point in curve] == [4, 4]


def test_another_data_set_can_be_the_target(lab: tuple[Store, list[str]]) -> None:
    done = vcr_lab(lab[1][0], "--targets=digit, parity", "--format=markdown", "--protocol=ncm")
    assert done.exit_code == 0, done.exception
    assert done.stdout.startswith("| run | digit | parity | average | difference |")


def test_what_cannot_be_probed_is_refused_and_keeps_nothing(
    lab: tuple[Store, list[str]],
) -> None:
    store, (plain, vcr) = lab
    before = store.run(vcr).result
    waiting = store.create_run(CONFIG, preset="digits-parity")
    cases: list[tuple[tuple[str, ...], type[VcrLabError], str]] = [
        (("nothing",), UnknownRunError, "nothing"),
        ((waiting,), ConfigError, f"a run that has ended, but run {waiting} is queued"),
        ((vcr, "--targets=smell"), ConfigError, "expected one of digit, parity"),
        ((vcr, "--protocol=zero"), ConfigError, "expected one of linear, knn, few-shot, ncm"),
        ((vcr, "--protocol=few-shot", "--shots=5000"), DataError, "shots, the number of training"),
        ((vcr, "--protocol=knn", "--neighbours=99999"), ConfigError, "neighbours, the number of"),
        ((vcr, "--draws=some"), ConfigError, "draws: expected a whole number of 1 or more"),
        ((f"a={plain}", f"a={vcr}"), ConfigError, "expected every row once"),
    ]
    for arguments, kind, said in cases:
        error = refusal(*arguments)
        assert isinstance(error, kind), error
        assert said in str(error)
    assert store.run(vcr).result == before


def test_a_run_without_a_whole_checkpoint_is_refused(lab: tuple[Store, list[str]]) -> None:
    store, _ = lab
    run_id = trained(store, CONFIG)
    folder = Path(Folder.of(store.run(run_id)).address)
    for file in folder.glob("*.safetensors"):
        file.write_bytes(file.read_bytes()[:100])
    assert isinstance(refusal(run_id), CheckpointError)


def test_rows_are_a_run_or_a_label_with_runs() -> None:
    assert parse_rows(["abc", "vcr=d, e"]) == {"abc": ("abc",), "vcr": ("d", "e")}
    assert whole_number("draws", "12") == 12
    for text in ("", "vcr="):
        with pytest.raises(ConfigError, match="a run or label=run,run"):
            parse_rows([text])
