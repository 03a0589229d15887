"""Suggested weights: searched on validation images, measured on fresh seeds, honest about doubt."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from test_run_study import TINY, command, end_dispatcher, finish

from vcr_core.config import override
from vcr_core.errors import ConfigError
from vcr_core.presets import find_preset
from vcr_core.store import RunState, Store, open_store
from vcr_core.sweeps import Difference, stored_spec
from vcr_core.sweeps.studies import find_study, runs_of
from vcr_core.sweeps.suggest import START, Suggestion, _plan, suggest

TINY_CONFIG = override(find_preset("digits-parity").config, TINY)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VCR_LAB_HOME", str(tmp_path_factory.mktemp("home")))
        opened = open_store()
        yield opened
        end_dispatcher(opened)
        opened.close()


@pytest.mark.parametrize("runs", [10, 24, 60])
def test_the_plan_spends_no_more_than_the_budget(runs: int) -> None:
    search, checks = _plan(TINY_CONFIG, runs=runs, preset="digits-parity", targets=())
    assert 1 + search.number_of_trials + 2 * checks == runs
    assert checks >= 2
    assert search.base.data.measured_on == "validation"


def test_too_few_runs_are_refused() -> None:
    with pytest.raises(ConfigError, match="runs: expected 10 runs or more, got 3"):
        _plan(TINY_CONFIG, runs=3, preset="digits-parity", targets=())


def test_it_searches_on_validation_images_and_checks_on_fresh_seeds(shared: Store) -> None:
    found = suggest(TINY_CONFIG, shared, runs=10, preset="digits-parity")
    search = find_study(shared, found.studies[0])
    searched = runs_of(shared, search.id)
    assert {run.config.data.measured_on for run in searched} == {"validation"}
    assert {run.config.seed for run in searched} == {0}
    tried = [
        (p["regularizer.variance_weight"], p["regularizer.covariance_weight"])
        for p in (trial["params"] for trial in search.result["trials"])
    ]
    assert set(START) <= set(tried)
    if found.gain is None:
        assert found.expected <= 0
        assert found.weights == (0.0, 0.0)
        return
    checked = runs_of(shared, find_study(shared, found.studies[1]).id)
    assert {run.config.data.measured_on for run in checked} == {"test"}
    assert not {run.config.seed for run in checked} & {run.config.seed for run in searched}
    assert found.runs == len(searched) + len(checked) <= 10
    assert all(run.state in {RunState.FINISHED, RunState.STOPPED} for run in searched)
    again = suggest(TINY_CONFIG, shared, runs=10, preset="digits-parity")
    assert again == found
    assert stored_spec(shared, found.studies[0]).sampler == "tpe"


def test_the_words_say_when_there_is_no_gain() -> None:
    clear = Difference(0.05, 0.01, 4, 0.02, 0.08)
    doubt = Difference(0.05, 0.05, 4, -0.02, 0.12)
    tell = {
        gain: " ".join(Suggestion((1.0, 2.0), 0.1, gain, None, 24, ("a",)).sentences())
        for gain in (clear, doubt, None)
    }
    assert tell[clear].startswith("Suggested weights: variance 1, covariance 2.")
    assert "+0.050 (95 % interval +0.020 … +0.080, 4 fresh seeds" in tell[clear]
    assert tell[doubt].startswith("No clear gain.")
    assert tell[None].startswith("No weights suggested")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--preset=nothing"], "preset: expected one of"),
        (["--preset=digits-parity", "--runs=3"], "runs: expected 10 runs or more, got 3"),
        (["--preset=digits-parity", "--runs=some"], "runs: expected a whole number, got 'some'"),
        (["--preset=digits-parity", "--targets=smell"], "targets: expected some of digit"),
    ],
)
def test_the_command_refuses_in_one_line(shared: Store, arguments: list[str], said: str) -> None:
    process = command(shared, "suggest", *arguments)
    out, err = finish(process)
    assert (process.returncode, out, len(err.splitlines())) == (2, "", 1), err
    assert said in err
