"""The loop: deterministic, obedient at step boundaries, and silent about nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from training_helpers import carry_out

from vcr_core.config import RunConfig, override
from vcr_core.errors import ConfigError, FeatureError, TrainingDivergedError
from vcr_core.store import CommandKind, RunState

STEPS = 20
VARIANCE = "regularizer.variance_weight"


def set_to(field: str, value: Any) -> tuple[CommandKind, dict[str, Any]]:
    return CommandKind.SET, {"field": field, "value": value}


def test_the_same_config_gives_the_same_numbers(small_config: RunConfig) -> None:
    first, second = carry_out(small_config), carry_out(small_config)
    assert first[0].evaluation == second[0].evaluation
    assert first[1].numbers("loss/task") == second[1].numbers("loss/task")


def test_another_seed_gives_other_numbers(small_config: RunConfig) -> None:
    other = override(small_config, {"seed": 1})
    assert carry_out(small_config)[1].numbers("loss/task") != carry_out(other)[1].numbers(
        "loss/task"
    )


def test_reports_and_probes_do_not_change_the_training(small_config: RunConfig) -> None:
    rare = override(
        small_config,
        {"telemetry.reports": 2, "telemetry.snapshots": 1, "transfer.probes": 1},
    )
    often, seldom = carry_out(small_config), carry_out(rare)
    assert often[0].evaluation == seldom[0].evaluation


def test_twins_start_from_the_same_weights(small_config: RunConfig) -> None:
    regularized, baseline = carry_out(small_config), carry_out(small_config.baseline())
    before = [listener.reports[0].metrics for _, listener in (regularized, baseline)]
    assert before[0] == before[1]
    assert regularized[0].evaluation != baseline[0].evaluation


def test_both_twins_report_the_same_names_at_the_same_steps(small_config: RunConfig) -> None:
    reports = [carry_out(config)[1].reports for config in (small_config, small_config.baseline())]
    steps = [[(report.step, set(report.metrics)) for report in half] for half in reports]
    assert steps[0] == steps[1]


def test_a_baseline_has_terms_and_no_penalty(small_config: RunConfig) -> None:
    _, listener = carry_out(small_config.baseline())
    assert set(listener.numbers("loss/penalty").values()) == {0.0}
    assert min(listener.numbers("loss/variance").values()) > 0.0


def test_regularisation_lifts_spread_and_lowers_both_terms(small_config: RunConfig) -> None:
    strong = override(small_config, {VARIANCE: 10.0, "regularizer.covariance_weight": 10.0})
    last = {
        name: carry_out(config)[1].numbers(name)[STEPS]
        for name, config in (("loss/variance", strong),)
    }
    baseline = carry_out(small_config.baseline())[1].numbers("loss/variance")[STEPS]
    assert last["loss/variance"] < 0.8 * baseline


def test_a_weight_is_changed_at_the_boundary_that_acknowledges_it(small_config: RunConfig) -> None:
    _, listener = carry_out(small_config, {7: [set_to(VARIANCE, 3.0)]})
    weights = listener.numbers("regularizer/variance_weight")
    assert listener.settled[0][1] == 7
    assert [weights[step] for step in (7, 8)] == [1.0, 3.0]


def test_setting_both_weights_to_zero_ends_the_penalty(small_config: RunConfig) -> None:
    requests = {7: [set_to(VARIANCE, 0), set_to("regularizer.covariance_weight", 0)]}
    penalties = carry_out(small_config, requests)[1].numbers("loss/penalty")
    assert penalties[7] > 0
    assert penalties[8] == 0
    assert penalties[STEPS] == 0


def test_the_learning_rate_is_changed_live(small_config: RunConfig) -> None:
    _, listener = carry_out(small_config, {5: [set_to("optimizer.learning_rate", 1e-9)]})
    rates = listener.numbers("optimizer/learning_rate")
    assert rates[5] == pytest.approx(3e-3)
    assert rates[6] == pytest.approx(1e-9)


def test_cosine_lets_the_learning_rate_fall(small_config: RunConfig) -> None:
    _, listener = carry_out(override(small_config, {"optimizer.schedule": "cosine"}))
    rates = list(listener.numbers("optimizer/learning_rate").values())
    assert rates == sorted(rates, reverse=True)
    assert rates[0] == pytest.approx(3e-3)
    assert rates[-1] < 1e-4


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (set_to(VARIANCE, -1.0), "expected 0 or more, got -1"),
        (set_to(VARIANCE, "much"), "expected a number"),
        (set_to("training.batch_size", 4), "cannot change while a run trains"),
    ],
)
def test_a_bad_command_is_refused_with_a_reason_and_changes_nothing(
    small_config: RunConfig, request_: tuple[CommandKind, dict[str, Any]], reason: str
) -> None:
    outcome, listener = carry_out(small_config, {3: [request_]})
    assert reason in str(listener.settled[0][2])
    assert outcome.evaluation == carry_out(small_config)[0].evaluation


def test_pause_and_resume_change_no_number(small_config: RunConfig) -> None:
    requests = {4: [(CommandKind.PAUSE, {})], 6: [(CommandKind.RESUME, {})]}
    outcome, listener = carry_out(small_config, requests)
    assert listener.states == [RunState.PAUSED, RunState.RUNNING]
    assert outcome.state is RunState.FINISHED
    assert outcome.evaluation == carry_out(small_config)[0].evaluation


def test_stop_keeps_what_was_learned(small_config: RunConfig) -> None:
    outcome, listener = carry_out(small_config, {9: [(CommandKind.STOP, {})]})
    assert outcome.state is RunState.STOPPED
    assert outcome.step == 9
    assert listener.reports[-1].step == 9
    assert outcome.evaluation.transfer.keys() == {"digit"}


def test_a_paused_run_can_be_stopped(small_config: RunConfig) -> None:
    requests = {4: [(CommandKind.PAUSE, {})], 5: [(CommandKind.STOP, {})]}
    outcome, _ = carry_out(small_config, requests)
    assert (outcome.state, outcome.step) == (RunState.STOPPED, 4)


def test_matrices_and_spreads_come_for_every_layer(small_config: RunConfig) -> None:
    _, listener = carry_out(small_config)
    arrays = next(report.arrays for report in listener.reports if report.arrays)
    assert {layer for layer, _ in arrays} == {"blocks.0", "blocks.1"}
    assert arrays["blocks.0", "covariance"].shape == (24, 24)
    assert arrays["blocks.1", "std"].shape == (12,)
    spectrum = arrays["blocks.0", "spectrum"]
    np.testing.assert_allclose(
        spectrum, np.linalg.eigvalsh(arrays["blocks.0", "covariance"])[::-1], atol=1e-4
    )


def test_wide_layers_are_shown_by_at_most_64_features(small_config: RunConfig) -> None:
    _, listener = carry_out(override(small_config, {"model.hidden": (200, 12)}))
    arrays = next(report.arrays for report in listener.reports if report.arrays)
    assert arrays["blocks.0", "covariance"].shape == (50, 50)
    assert arrays["blocks.0", "std"].shape == (200,)


def test_the_gradient_ratio_says_whether_the_penalty_does_anything(
    small_config: RunConfig,
) -> None:
    strong = override(small_config, {"regularizer.covariance_weight": 30.0})
    weak = override(
        small_config, {f"regularizer.{k}_weight": 1e-5 for k in ("variance", "covariance")}
    )
    ratios = {
        name: carry_out(config)[1].numbers(f"layer/{config.layer_names[-1]}/gradient_ratio")
        for name, config in (("strong", strong), ("weak", weak), ("none", weak.baseline()))
    }
    assert ratios["strong"][1] > 0.1
    assert 0 < ratios["weak"][1] < 1e-3
    assert set(ratios["none"].values()) == {0.0}


def test_a_diverged_run_says_what_to_lower(small_config: RunConfig) -> None:
    wild = {"optimizer.learning_rate": 10.0, "model.hidden": (256,) * 12}
    with pytest.raises(
        (TrainingDivergedError, FeatureError),
        match=r"(finite|overflow).* step \d+.*lower the learning",
    ):
        carry_out(override(small_config, wild))


def test_a_batch_larger_than_the_data_is_refused(small_config: RunConfig) -> None:
    with pytest.raises(
        ConfigError, match=r"training\.batch_size: .*1297 training images, got 5000"
    ):
        carry_out(override(small_config, {"training.batch_size": 5000}))


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_a_device_that_is_not_there_is_named(small_config: RunConfig) -> None:
    with pytest.raises(ConfigError, match=r"execution\.device: .*cpu.*got 'cuda'"):
        carry_out(override(small_config, {"execution.device": "cuda"}))
