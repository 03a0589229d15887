"""Limits hold on the server, whatever the page sent."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from vcr_core.config import RunConfig, override
from vcr_core.errors import ConfigError, LimitError
from vcr_core.execution import load_limits, submit, submit_pair
from vcr_core.store import RunState, Store


@pytest.fixture
def limited(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = {"epochs": 20, "images": 6000, "parameters": 1000, "queued_per_owner": 3}
    monkeypatch.setenv("VCR_LAB_LIMITS", json.dumps(limits))


def test_nothing_is_limited_by_default(store: Store) -> None:
    config = override(RunConfig(), {"training.epochs": 9999})
    assert store.run(submit(store, config)).state is RunState.QUEUED


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("training.epochs", 21, "training.epochs: expected at most 20 epochs .*, got 21"),
        ("data.train_size", 7000, "data.train_size: expected at most 6000 .*, got 7000"),
    ],
)
def test_a_run_that_asks_for_too_much_is_refused_and_nothing_is_queued(
    store: Store, limited: None, field: str, value: int, words: str
) -> None:
    config = override(RunConfig(), {field: value})
    with pytest.raises(ConfigError, match=words):
        submit(store, config)
    with pytest.raises(ConfigError, match=words):
        submit_pair(store, config)
    assert store.count_runs() == 0


def test_an_owner_may_queue_so_many_runs_and_others_are_free_to(
    store: Store, limited: None
) -> None:
    submit_pair(store, RunConfig(), owner="ada")
    with pytest.raises(LimitError, match="expected at most 3 waiting runs of 'ada'"):
        submit_pair(store, RunConfig(), owner="ada")
    submit(store, RunConfig(), owner="ada")
    submit_pair(store, RunConfig(), owner="emmy")
    assert store.count_runs(owner="ada") == 3


def test_a_network_that_is_too_large_is_refused(limited: None) -> None:
    load_limits().check_parameters(1000)
    with pytest.raises(ConfigError, match=r"at most 1,000 parameters .*, got 1,001"):
        load_limits().check_parameters(1001)


def test_limits_may_stand_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "limits.json"
    file.write_text('{"minutes": 2.5}', encoding="utf-8")
    monkeypatch.setenv("VCR_LAB_LIMITS", str(file))
    assert load_limits().minutes == 2.5


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"epochs": 0}', "epochs: .* greater than or equal to 1, got 0"),
        ('{"hours": 3}', "hours: .* the limits are epochs, images"),
        ("{", "expected JSON, got something else"),
        ("/no/such/file", "expected JSON or the path of a JSON file, got '/no/such/file'"),
    ],
)
def test_limits_that_cannot_be_used_say_why(
    monkeypatch: pytest.MonkeyPatch, text: str, words: str
) -> None:
    monkeypatch.setenv("VCR_LAB_LIMITS", text)
    with pytest.raises(ConfigError, match=words):
        load_limits()
