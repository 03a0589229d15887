"""What the loop minimises: oracles, equal chance for equal steps, and runs that learn."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, get_args

import pytest
import torch
from lightly.loss import NTXentLoss, VICRegLoss
from torch import Tensor
from training_helpers import Listener, carry_out

from vcr_core.config import ObjectiveConfig, RunConfig, override
from vcr_core.config.learning import Objective, Rival
from vcr_core.errors import ConfigError
from vcr_core.regularization.rivals import RIVALS
from vcr_core.training.experiment import Experiment, prepare
from vcr_core.training.loop import train
from vcr_core.training.objectives import OBJECTIVES
from vcr_core.training.objectives.contrast import nt_xent, vicreg_loss
from vcr_core.training.objectives.supervised import mixing
from vcr_core.training.objectives.views import view_of

#: Refused without labels: see test_a_rival_on_logits_is_refused_without_labels.
ON_LOGITS = {"spectral-decoupling"}
SHIFTS = {"augmentation.crop_padding": 1, "augmentation.blur": 0.5}


def without_labels(config: RunConfig, name: str, **changes: Any) -> RunConfig:
    settings = {"objective.name": name, "objective.projector": (16, 8), **SHIFTS}
    return override(config, settings | changes)


def views(seed: int = 0) -> tuple[Tensor, Tensor]:
    draws = torch.Generator().manual_seed(seed)
    first = torch.randn(12, 6, generator=draws)
    return first, first + 0.3 * torch.randn(12, 6, generator=draws)


def test_the_loop_minimises_the_experiments_objective_step_by_step(small_config: RunConfig) -> None:
    seen: list[int] = []

    def size_of_logits(experiment: Experiment, batch: Tensor, step: int) -> Tensor:
        seen.append(step)
        logits: Tensor = experiment.model(experiment.train_images[batch])
        return logits.square().mean()

    experiment = replace(prepare(small_config.baseline()), objective=size_of_logits)
    listener = Listener({})
    train(experiment, listener)
    losses = listener.numbers("loss/task")
    assert seen == list(range(1, experiment.cadence.total_steps + 1))
    assert losses[max(losses)] < 0.5 * losses[1]


def test_the_default_objective_is_the_cross_entropy_of_the_source(small_config: RunConfig) -> None:
    experiment = prepare(small_config)
    rows = torch.arange(32)
    logits = experiment.model(experiment.train_images[rows])
    picked = logits.log_softmax(dim=1)[torch.arange(32), experiment.train_labels[rows]]
    torch.testing.assert_close(experiment.objective(experiment, rows, 1), -picked.mean())


def test_smoothed_labels_give_every_class_its_share(small_config: RunConfig) -> None:
    experiment = prepare(override(small_config, {"objective.label_smoothing": 0.2}))
    rows = torch.arange(32)
    logs = experiment.model(experiment.train_images[rows]).log_softmax(dim=1)
    target = torch.full((32, 2), 0.1).scatter_(1, experiment.train_labels[rows][:, None], 0.9)
    torch.testing.assert_close(
        experiment.objective(experiment, rows, 1), -(target * logs).sum(dim=1).mean()
    )


def test_mixup_is_the_cross_entropy_of_mixed_images_and_mixed_labels(
    small_config: RunConfig,
) -> None:
    experiment = prepare(override(small_config, {"objective.mixup": 0.4}))
    rows = torch.arange(32)
    share, partner = mixing(32, 0.4, seed=small_config.seed, step=3)
    images = experiment.train_images[rows]
    labels = torch.nn.functional.one_hot(experiment.train_labels[rows], 2).float()
    mixed = share * images + (1 - share) * images[partner]
    targets = share * labels + (1 - share) * labels[partner]
    expected = torch.nn.functional.cross_entropy(experiment.model(mixed), targets)
    torch.testing.assert_close(experiment.objective(experiment, rows, 3), expected)


def test_mixing_depends_on_seed_and_step_alone_and_favours_one_image_at_small_alpha() -> None:
    first, again = mixing(8, 0.3, seed=1, step=2), mixing(8, 0.3, seed=1, step=2)
    assert first[0] == again[0]
    assert torch.equal(first[1], again[1])
    shares = torch.tensor([mixing(2, 0.1, seed=0, step=step)[0] for step in range(400)])
    assert shares.mean() == pytest.approx(0.5, abs=0.06)
    assert ((shares < 0.1) | (shares > 0.9)).float().mean() > 0.7


@pytest.mark.parametrize("temperature", [0.1, 0.5])
def test_simclrs_loss_and_gradient_are_lightlys(temperature: float) -> None:
    first, second = views()
    gradients = []
    for loss in (
        lambda a, b: nt_xent(a, b, temperature),
        NTXentLoss(temperature=temperature),
    ):
        leaf = first.clone().requires_grad_()
        value = loss(leaf, second)
        gradients.append((value.detach(), torch.autograd.grad(value, leaf)[0]))
    torch.testing.assert_close(gradients[0], gradients[1])


def test_vicregs_loss_and_gradient_are_lightlys() -> None:
    first, second = views()
    weights = {"invariance": 20.0, "variance": 15.0, "covariance": 2.0}
    gradients = []
    for loss in (
        lambda a, b: vicreg_loss(a, b, **weights),
        VICRegLoss(lambda_param=20.0, mu_param=15.0, nu_param=2.0, eps=1e-4),
    ):
        leaf = first.clone().requires_grad_()
        value = loss(leaf, second)
        gradients.append((value.detach(), torch.autograd.grad(value, leaf)[0]))
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ["simclr", pytest.param("vicreg", marks=pytest.mark.slow)])
def test_a_run_without_labels_lowers_its_loss_and_repeats_exactly(
    small_config: RunConfig, name: str
) -> None:
    config = without_labels(small_config, name)
    first, again = carry_out(config), carry_out(config)
    losses = first[1].numbers("loss/task")
    assert losses == again[1].numbers("loss/task")
    assert first[0].evaluation == again[0].evaluation
    assert losses[max(losses)] < losses[1]


@pytest.mark.parametrize("name", ["simclr", "vicreg"])
def test_the_classifier_learns_beside_and_the_network_never_feels_the_labels(
    small_config: RunConfig, name: str
) -> None:
    experiment = prepare(without_labels(small_config.baseline(), name))
    swapped = replace(experiment, train_labels=1 - experiment.train_labels)
    rows = torch.arange(64)
    gradients = []
    for one in (experiment, swapped):
        one.model.zero_grad()
        one.objective(one, rows, 1).backward()  # type: ignore[no-untyped-call]
        gradients.append({name: p.grad.clone() for name, p in one.model.named_parameters()})  # type: ignore[union-attr]
    for parameter, gradient in gradients[0].items():
        same = torch.equal(gradient, gradients[1][parameter])
        assert same != parameter.startswith("head."), parameter
        assert gradient.abs().sum() > 0


def test_vcr_joins_a_self_supervised_loss(small_config: RunConfig) -> None:
    penalties = carry_out(without_labels(small_config, "vicreg"))[1].numbers("loss/penalty")
    assert min(penalties.values()) > 0


def test_two_equal_views_are_refused(small_config: RunConfig) -> None:
    with pytest.raises(ConfigError, match=r"objective\.name: expected some augmentation for 'sim"):
        override(small_config, {"objective.name": "simclr"})


def test_the_configuration_names_the_objectives_and_rivals_there_are() -> None:
    assert set(get_args(Objective)) == set(OBJECTIVES)
    assert set(get_args(Rival)) == set(RIVALS)
    assert ObjectiveConfig().name == "supervised"


@pytest.mark.parametrize("rival", [name for name in RIVALS if name != "none"])
def test_every_rival_trains_at_the_same_layers_and_repeats_exactly(
    small_config: RunConfig, rival: str
) -> None:
    changes = {"regularizer.rival": rival, "regularizer.rival_weight": 0.3, "training.epochs": 1}
    config = override(small_config.baseline(), changes)
    first, again = carry_out(config), carry_out(config)
    plain = carry_out(override(small_config.baseline(), {"training.epochs": 1}))
    assert first[1].numbers("loss/task") == again[1].numbers("loss/task")
    assert first[1].numbers("loss/task") != plain[1].numbers("loss/task")
    penalised = max(first[1].numbers("loss/penalty").values())
    assert (penalised > 0) == (rival != "dropout")


@pytest.mark.parametrize("weights", [0.0, 1.0], ids=["alone", "with VCR"])
@pytest.mark.parametrize(
    ("name", "rival"),
    [(n, r) for n in OBJECTIVES for r in RIVALS if n == "supervised" or r not in ON_LOGITS],
)
def test_every_objective_takes_a_step_with_every_regulariser_at_the_same_places(
    small_config: RunConfig, name: str, rival: str, weights: float
) -> None:
    """What is added acts on the very block that the task's gradient passes."""
    changes = {
        "regularizer.variance_weight": weights,
        "regularizer.covariance_weight": weights,
        "regularizer.rival": rival,
        "regularizer.rival_weight": 0.0 if rival == "none" else 0.5,
    }
    config = override(without_labels(small_config, name), changes)
    gradients = []
    for each in (config, override(config.baseline(), {"regularizer.rival": "none"})):
        experiment = prepare(each)
        torch.manual_seed(0)
        loss = experiment.task_loss(torch.arange(64), 1)
        (loss + experiment.penalty()).backward()  # type: ignore[no-untyped-call]
        before = {n: p.detach().clone() for n, p in experiment.model.named_parameters()}
        gradients.append(experiment.model.get_parameter("blocks.0.0.weight").grad)
        experiment.optimizer.step()
        moved = [n for n, p in experiment.model.named_parameters() if not p.equal(before[n])]
        assert "blocks.0.0.weight" in moved
        assert all(p.isfinite().all() for p in experiment.model.parameters())
        experiment.remove()
    plain = rival == "none" and weights == 0
    assert torch.equal(gradients[0], gradients[1]) == plain


def test_the_sketches_of_a_step_do_not_depend_on_earlier_steps(small_config: RunConfig) -> None:
    changes = {"regularizer.rival": "weak-sigreg", "regularizer.rival_weight": 1.0}
    experiment = prepare(override(small_config.baseline(), changes))
    rows, found = torch.arange(64), []
    for steps in ((5,), (1, 2, 5)):
        for step in steps:
            experiment.objective(experiment, rows, step)
            penalty = experiment.penalty().detach()
        found.append(penalty)
    assert torch.equal(found[0], found[1])


def test_a_rival_on_logits_is_refused_without_labels(small_config: RunConfig) -> None:
    with pytest.raises(ConfigError, match=r"regularizer\.rival: .*which acts on the logits"):
        without_labels(small_config, "simclr", **{"regularizer.rival": "spectral-decoupling"})


def test_dropping_everything_is_refused(small_config: RunConfig) -> None:
    changes = {"regularizer.rival": "dropout", "regularizer.rival_weight": 1.0}
    with pytest.raises(ConfigError, match=r"regularizer\.rival_weight: expected a share below 1"):
        override(small_config, changes)


def test_augmentation_depends_on_seed_and_step_alone(small_config: RunConfig) -> None:
    config = override(small_config, {"augmentation.crop_padding": 2, "augmentation.flip": 0.5})
    experiment, again = prepare(config), prepare(config)
    rows = torch.arange(32)
    torch.rand(3)
    first = view_of(experiment, rows, 5)
    assert torch.equal(first, view_of(again, rows, 5))
    assert not torch.equal(first, view_of(experiment, rows, 6))
    assert not torch.equal(first, view_of(experiment, rows, 5, view=1))
    assert torch.equal(view_of(prepare(small_config), rows, 5), experiment.train_images[rows])


def test_shifts_as_large_as_the_images_are_refused(small_config: RunConfig) -> None:
    config = override(small_config, {"augmentation.crop_padding": 8})
    with pytest.raises(ConfigError, match=r"augmentation\.crop_padding: .*below the 8 pixels"):
        prepare(config)
