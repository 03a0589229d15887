"""Everything that can be asked of a run while it trains, and what it answers."""

from __future__ import annotations

from typing import Any

import pytest
from training_helpers import carry_out

from vcr_core.config import RunConfig, live_fields, override
from vcr_core.store import CommandKind, RunState
from vcr_core.training.cadence import cadence
from vcr_core.training.experiment import prepare
from vcr_core.training.loop import Trainer
from vcr_core.training.recorder import Recorder

STEPS = 20
STOP = CommandKind.STOP
Asked = tuple[CommandKind, dict[str, Any]]


def reason_of(config: RunConfig, asked: Asked) -> str:
    _, listener = carry_out(config, {3: [asked]})
    return str(listener.settled[0][2])


def test_every_kind_of_command_is_acknowledged_with_its_step(small_config: RunConfig) -> None:
    requests = {
        2: [(CommandKind.SET, {"field": "optimizer.weight_decay", "value": 0.1})],
        4: [(CommandKind.PAUSE, {})],
        5: [(CommandKind.SLOW, {"seconds": 0.001})],
        6: [(CommandKind.STEP, {"n": 2})],
        9: [(CommandKind.SNAPSHOT, {}), (CommandKind.SLOW, {"seconds": 0})],
        10: [(CommandKind.EXTEND, {"epochs": 1})],
        11: [(CommandKind.CADENCE, {"probes_every": 2})],
        12: [(CommandKind.RESUME, {})],
        15: [(CommandKind.STOP, {})],
    }
    outcome, listener = carry_out(small_config, requests)
    assert {command.kind for command, _, _ in listener.settled} == set(CommandKind) - {
        CommandKind.ABORT
    }
    assert all(reason is None for _, _, reason in listener.settled)
    steps = [step for _, step, _ in listener.settled]
    assert steps == sorted(steps)
    assert outcome.state is RunState.STOPPED


def test_single_steps_show_everything_at_the_last_and_pause_again(small_config: RunConfig) -> None:
    rare = override(small_config, {"telemetry.reports": 2, "telemetry.snapshots": 1})
    requests = {5: [(CommandKind.STEP, {"n": 3})], 10: [(CommandKind.RESUME, {})]}
    outcome, listener = carry_out(rare, requests)
    assert listener.states == [RunState.PAUSED, RunState.RUNNING]
    shown = [report.step for report in listener.reports if report.arrays]
    assert 8 in shown
    assert not {6, 7} & set(shown)
    assert outcome.evaluation == carry_out(rare)[0].evaluation


def test_single_steps_that_are_asked_for_faster_than_they_are_done_add_up(
    small_config: RunConfig,
) -> None:
    step = (CommandKind.STEP, {"n": 1})
    requests = {4: [(CommandKind.PAUSE, {})], 5: [step, step], 6: [step], 9: [(STOP, {})]}
    outcome, _ = carry_out(small_config, requests)
    assert outcome.step == 4 + 3


def test_slow_motion_shows_every_step_and_changes_no_number(small_config: RunConfig) -> None:
    rare = override(small_config, {"telemetry.reports": 2, "telemetry.snapshots": 1})
    outcome, listener = carry_out(rare, {4: [(CommandKind.SLOW, {"seconds": 0.001})]})
    assert {report.step for report in listener.reports if report.arrays} >= set(range(5, 21))
    assert outcome.evaluation == carry_out(rare)[0].evaluation


def test_an_extended_run_goes_on_as_densely_with_the_longer_schedule(
    small_config: RunConfig,
) -> None:
    config = override(small_config, {"optimizer.schedule": "cosine"})
    outcome, listener = carry_out(config, {13: [(CommandKind.EXTEND, {"epochs": 2})]})
    assert outcome.step == 2 * STEPS
    assert outcome.state is RunState.FINISHED
    rates = listener.numbers("optimizer/learning_rate")
    assert set(rates) == set(range(1, 2 * STEPS + 1))
    whole = carry_out(override(config, {"training.epochs": 4, "telemetry.reports": 40}))[1]
    assert rates[14] == whole.numbers("optimizer/learning_rate")[14]
    probed = [report.step for report in listener.reports if "source/accuracy" in report.metrics]
    assert probed == [0, 10, 20, 30, 40]


def test_an_aborted_run_ends_without_a_last_measurement(small_config: RunConfig) -> None:
    outcome, listener = carry_out(small_config, {7: [(CommandKind.ABORT, {})]})
    assert (outcome.state, outcome.step, outcome.evaluation) == (RunState.STOPPED, 7, None)
    assert "source/accuracy" not in listener.reports[-1].metrics


def test_what_is_asked_after_a_stop_is_refused(small_config: RunConfig) -> None:
    _, listener = carry_out(
        small_config, {3: [(CommandKind.STOP, {}), (CommandKind.EXTEND, {"epochs": 1})]}
    )
    assert listener.settled[1][2] == "the run was asked to stop before"


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ((CommandKind.STEP, {"n": 0}), "expected n from 1 to 1e+06, got 0"),
        ((CommandKind.STEP, {"n": "two"}), "got 'two'"),
        ((CommandKind.SLOW, {"seconds": float("nan")}), "expected seconds from 0 to 60, got nan"),
        ((CommandKind.SLOW, {"seconds": -1}), "got -1"),
        ((CommandKind.EXTEND, {"epochs": 20_000}), "expected epochs from 1 to 10000"),
        ((CommandKind.EXTEND, {"epochs": 9_999}), "training.epochs: expected 10000 or less"),
        ((CommandKind.SET, {}), "'None' cannot change while a run trains"),
        ((CommandKind.SET, {"field": "model.dropout", "value": 1.0}), "expected less than 1"),
        (
            (CommandKind.SET, {"field": "regularizer.variance_factors.nowhere", "value": 2.0}),
            "regularizer.variance_factors: expected names or patterns of the regularised layers "
            "blocks.0, blocks.1, got 'nowhere'",
        ),
        (
            (CommandKind.SET, {"field": "regularizer.variance_factors.blocks.0", "value": -1}),
            "expected a factor from 0 to 1e+06, got '-1'",
        ),
    ],
)
def test_a_command_that_cannot_be_done_is_refused_with_a_reason(
    small_config: RunConfig, asked: Asked, said: str
) -> None:
    assert said in reason_of(small_config, asked)


LIVE_VALUES: dict[str, Any] = {
    "model.dropout": 0.5,
    "regularizer.variance_weight": 3.0,
    "regularizer.covariance_weight": 3.0,
    "regularizer.variance_factors": ["blocks.1=3"],
    "regularizer.covariance_factors": "blocks.*=0, blocks.0=5",
    "regularizer.target_std": 0.1,
    "regularizer.threshold": 0.01,
    "optimizer.learning_rate": 1e-2,
    "optimizer.weight_decay": 5.0,
}


def test_every_live_setting_is_tried() -> None:
    assert set(LIVE_VALUES) == set(live_fields())


OF_ONE_LAYER: dict[str, Any] = {
    "regularizer.variance_factors.blocks.0": 0.0,
    "regularizer.covariance_factors.blocks.1": 10.0,
}
TRIED = LIVE_VALUES | OF_ONE_LAYER


@pytest.mark.parametrize(("field", "value"), TRIED.items(), ids=TRIED)
def test_a_live_setting_takes_effect_at_the_next_step_as_if_it_had_been_so(
    small_config: RunConfig, field: str, value: Any
) -> None:
    """Set before the first step it gives the run that was configured so; set later, another."""
    configured = carry_out(override(small_config, {field: value}))[1].numbers("loss/task")
    plain = carry_out(small_config)[1].numbers("loss/task")
    asked = (CommandKind.SET, {"field": field, "value": value})
    assert carry_out(small_config, {0: [asked]})[1].numbers("loss/task") == configured
    later = carry_out(small_config, {9: [asked]})[1].numbers("loss/task")
    assert {step: later[step] for step in range(1, 10)} == {s: plain[s] for s in range(1, 10)}
    assert later[12] != plain[12]


def test_layers_that_are_weighted_apart_say_so_at_every_report(small_config: RunConfig) -> None:
    field = "regularizer.covariance_factors.blocks.1"
    asked = (CommandKind.SET, {"field": field, "value": 10.0})
    undone = (CommandKind.SET, {"field": field, "value": 1.0})
    _, listener = carry_out(small_config, {4: [asked], 8: [undone]})
    weights = listener.numbers("layer/blocks.1/covariance_weight")
    assert weights == dict.fromkeys(range(5, 9), 10.0)
    assert set(listener.numbers("layer/blocks.0/covariance_weight").values()) == {1.0}


def test_fewer_probes_keep_the_last_and_are_the_same_for_both_twins(
    small_config: RunConfig,
) -> None:
    config = override(small_config, {"transfer.probes": 10})
    thinned = [cadence(each, train_size=1297, thinned=((4, 4),)) for each in (config,)]
    assert sorted(thinned[0].probes) == [2, 4, 8, 16, 20]


def test_probes_are_thinned_until_they_fit_their_share(small_config: RunConfig) -> None:
    config = override(small_config, {"transfer.probes": 16})
    trainer = Trainer(prepare(config), Recorder())
    trainer.train_step()
    clock = trainer.clock
    clock.probing = clock.last_probe = 0.1
    assert trainer.probes_every() == 1
    clock.probing = clock.last_probe = 1.0
    assert trainer.probes_every() == 8
    trainer.experiment.remove()
