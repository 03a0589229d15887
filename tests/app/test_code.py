"""The command line and the Python that the page shows do what the page would do."""

from __future__ import annotations

import shlex

import pytest
from typer.testing import CliRunner

from app.code import command_lines, python
from vcr_core.cli import app as command_line
from vcr_core.config import RunConfig, differences, override
from vcr_core.execution.launch import DISPATCHER_LEASE
from vcr_core.presets import PRESETS, find_preset
from vcr_core.store import Role, Store

SMALL = {
    "model.hidden": "16,8",
    "training.epochs": "1",
    "data.train_size": "64",
    "data.test_size": "32",
    "transfer.targets": "digit,high",
    "transfer.train_size": "none",
    "regularizer.threshold": "0.1",
    "training.batch_size": "32",
    "execution.threads": "1",
    "seed": "7",
}


@pytest.fixture
def config() -> RunConfig:
    return override(find_preset("digits-parity").config, SMALL)


def test_the_command_lines_run_both_twins_as_configured(store: Store, config: RunConfig) -> None:
    for line in command_lines("digits-parity", config).splitlines():
        words = shlex.split(line)
        assert words.pop(0) == "vcr-lab"
        done = CliRunner().invoke(command_line, words)
        assert done.exit_code == 0, done.output
    runs = [run.config for run in store.runs()]
    assert runs == [config.baseline(), config]


def test_the_python_queues_the_pair_as_configured(store: Store, config: RunConfig) -> None:
    store.hold_lease(DISPATCHER_LEASE, "test", patience=0)
    exec(python("digits-parity", config), {})
    runs = {run.role: run.config for run in store.runs()}
    assert runs == {Role.REGULARIZED: config, Role.BASELINE: config.baseline()}


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_as_it_is_needs_no_settings(preset: str) -> None:
    assert command_lines(preset, PRESETS[preset].config).splitlines()[0] == f"vcr-lab run {preset}"


def test_differences_are_what_override_needs(config: RunConfig) -> None:
    base = find_preset("digits-parity").config
    assert override(base, differences(config, base)) == config
    assert differences(base, base) == {}
