"""The parts of a training recipe: warm-up, averaged weights, CutMix, erasing, 16 bits, and more."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel, get_ema_avg_fn
from training_helpers import carry_out

from vcr_core.config import OptimizerConfig, RunConfig, override
from vcr_core.datasets.augmentation import erased, rectangles
from vcr_core.datasets.batches import batch_indices
from vcr_core.datasets.split import generator
from vcr_core.errors import ConfigError
from vcr_core.models import build
from vcr_core.store import CommandKind
from vcr_core.training.average import AveragedWeights
from vcr_core.training.experiment import Experiment, prepare
from vcr_core.training.knobs import turn
from vcr_core.training.loop import Trainer
from vcr_core.training.objectives.supervised import cut_in, mixing, mixture
from vcr_core.training.objectives.views import view_of
from vcr_core.training.recorder import Recorder
from vcr_core.training.schedule import learning_rate
from vcr_core.transfer.probe import ProbeData


def rates(total: int, **settings: object) -> list[float]:
    chosen = OptimizerConfig(learning_rate=0.5, **settings)  # type: ignore[arg-type]
    return [learning_rate(chosen, step=step, total_steps=total) for step in range(1, total + 1)]


@pytest.mark.parametrize("schedule", ["constant", "linear", "cosine"])
def test_the_rate_rises_evenly_during_warm_up_and_then_follows_its_schedule(schedule: str) -> None:
    found = rates(50, schedule=schedule, warmup=0.2)
    steps = torch.tensor(found[:11]).diff()
    torch.testing.assert_close(steps, torch.full((10,), 0.5 / 11))
    assert max(found) == found[10] == 0.5
    assert found[10:] == sorted(found[10:], reverse=True)
    assert found[11:] == rates(40, schedule=schedule)[1:]
    assert (found[-1] == 0.5) == (schedule == "constant")


def test_averaged_weights_are_torchs_once_their_first_steps_are_forgotten() -> None:
    model = build("small-resnet", in_shape=(3, 8, 8), num_classes=2, seed=0, width=4)
    ours = AveragedWeights(model, 0.9)
    theirs = AveragedModel(model, avg_fn=get_ema_avg_fn(0.9), use_buffers=True)
    theirs.n_averaged.fill_(1)
    draws = torch.Generator().manual_seed(0)
    for step in range(100, 106):
        with torch.no_grad():
            for value in [*model.parameters(), *model.buffers()]:
                value.add_(torch.randn(value.shape, generator=draws).to(value.dtype))
        ours.update(model, step=step)
        theirs.update_parameters(model)
    for name, value in theirs.module.state_dict().items():
        if value.is_floating_point():
            torch.testing.assert_close(ours.model.state_dict()[name], value)


def test_a_young_average_forgets_quickly(small_config: RunConfig) -> None:
    model = nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        model.weight.zero_()
    average = AveragedWeights(model, 0.9999)  # type: ignore[arg-type]
    with torch.no_grad():
        model.weight.fill_(1.0)
    for step in range(1, 31):
        average.update(model, step=step)  # type: ignore[arg-type]
    assert float(average.model.weight) > 0.99  # type: ignore[arg-type]


def test_a_run_is_measured_by_its_average(small_config: RunConfig) -> None:
    changes = {"training.averaging": 0.95, "optimizer.learning_rate": 0.02}
    trainer = Trainer(prepare(override(small_config, changes)), Recorder())
    found = trainer.run().evaluation
    experiment = trainer.experiment
    accuracy = {}
    for name, model in (("average", experiment.measured), ("last", experiment.model)):
        model.eval()
        right = model(experiment.test_images).argmax(dim=1) == experiment.test_labels
        accuracy[name] = float(right.float().mean())
    assert found is not None
    assert found.source_accuracy == pytest.approx(accuracy["average"])
    assert not any(p.requires_grad for p in experiment.measured.parameters())
    assert not torch.equal(
        next(experiment.measured.parameters()), next(experiment.model.parameters())
    )


def test_the_average_carries_no_hooks_of_the_regulariser(small_config: RunConfig) -> None:
    experiment = prepare(override(small_config, {"training.averaging": 0.9}))
    assert any(module._forward_hooks for module in experiment.model.modules())
    assert not any(module._forward_hooks for module in experiment.measured.modules())
    experiment.remove()


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_erasing_paints_one_rectangle_of_its_share_of_the_images(share: float) -> None:
    images = torch.rand(400, 3, 16, 20) + 0.5
    found = erased(images, generator(0, "test"), share=share)
    gone = (found == 0).all(dim=1)
    touched = gone.flatten(1).any(dim=1)
    assert touched.float().mean() == pytest.approx(share, abs=0.07)
    assert torch.equal(found[~touched], images[~touched])
    areas = gone[touched].float().mean(dim=(1, 2))
    rows, columns = gone[touched].any(dim=2).sum(dim=1), gone[touched].any(dim=1).sum(dim=1)
    assert torch.equal(rows * columns, gone[touched].sum(dim=(1, 2)))
    assert torch.equal(
        found[~gone[:, None].expand_as(found)], images[~gone[:, None].expand_as(images)]
    )
    if share == 1:
        assert areas.min() < 0.06
        assert 0.3 < areas.max() < 0.38


def test_rectangles_reach_every_edge_and_stay_inside() -> None:
    places = torch.tensor([[0.0, 0.999], [0.999, 0.0]])
    inside = rectangles(torch.tensor([2.0, 9.0]), torch.tensor([3.0, 1.0]), (4, 5), places)
    assert inside[0, :2, 2:].all()
    assert inside[0].sum() == 6
    assert inside[1, :, 0].all()
    assert inside[1].sum() == 4


def test_cutmix_is_the_cross_entropy_of_the_shares_that_are_seen(small_config: RunConfig) -> None:
    images, others = torch.zeros(6, 1, 8, 8), torch.ones(6, 1, 8, 8)
    cut, kept = cut_in(images, others, 0.6, seed=3, step=2)
    assert float(cut.mean()) == pytest.approx(1 - kept)
    assert kept == pytest.approx(0.6, abs=0.1)
    experiment = prepare(override(small_config, {"objective.cutmix": 1.0}))
    rows, seen = torch.arange(32), []
    model = experiment.model
    handle = model.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    loss = experiment.task_loss(rows, 5)
    handle.remove()
    first = experiment.train_images[rows]
    assert isinstance(first, Tensor)
    share, partner = mixing(32, 1.0, seed=small_config.seed, step=5)
    _, kept = cut_in(first, first[partner], share, seed=small_config.seed, step=5)
    labels = functional.one_hot(experiment.train_labels[rows], 2).float()
    targets = kept * labels + (1 - kept) * labels[partner]
    torch.testing.assert_close(loss, functional.cross_entropy(model(seen[0]), targets))
    own = (seen[0] == first).float().mean()
    assert own >= kept - 1e-6
    assert torch.where(seen[0] == first, first, first[partner]).equal(seen[0])


def test_beside_mixup_each_step_takes_one_of_the_two() -> None:
    both = Mixing(mixup=0.2, cutmix=1.0)
    found = [mixture(both, seed=0, step=step) for step in range(200)]  # type: ignore[arg-type]
    assert set(found) == {(0.2, False), (1.0, True)}
    assert 70 < sum(cut for _, cut in found) < 130
    alone = Mixing(mixup=0.0, cutmix=0.5)
    assert mixture(alone, seed=0, step=1) == (0.5, True)  # type: ignore[arg-type]


class Mixing:
    def __init__(self, *, mixup: float, cutmix: float) -> None:
        self.mixup, self.cutmix = mixup, cutmix


def test_repeats_put_copies_into_a_batch_that_processes_do_not_share() -> None:
    rows = batch_indices(100, 12, 0, 7, repeats=3)
    assert rows.shape == (8, 12)
    for batch in rows:
        parts = batch.chunk(3)
        assert torch.equal(parts[0], parts[1])
        assert torch.equal(parts[1], parts[2])
        assert len(batch.unique()) == 4
    assert len(rows.unique()) == 32


def test_copies_of_an_image_are_varied_differently_on_each_process(
    small_config: RunConfig,
) -> None:
    changes = {"training.repeats": 2, "augmentation.crop_padding": 2}
    experiment = prepare(override(small_config, changes))
    rows = torch.tensor([4, 4, 4, 4])
    first = view_of(experiment, rows, 1)
    assert not torch.equal(first[0], first[1])
    second = view_of(replace(experiment, rank=1), rows, 1)
    assert not torch.equal(first, second)


def test_repeats_must_divide_the_batch(small_config: RunConfig) -> None:
    with pytest.raises(ConfigError, match=r"training\.repeats: expected a divisor of the batch"):
        override(small_config, {"training.repeats": 3})


@pytest.mark.parametrize("objective", ["supervised", "simclr", "vicreg"])
def test_sixteen_bits_are_for_products_alone(small_config: RunConfig, objective: str) -> None:
    changes = {"objective.name": objective, "augmentation.smallest_crop": 0.5}
    config = override(small_config, changes)
    losses, rows = {}, torch.arange(64)
    for precision in ("float32", "bfloat16"):
        experiment = prepare(override(config, {"training.precision": precision}))
        kinds: list[torch.dtype] = []
        linear = next(each for each in experiment.model.modules() if isinstance(each, nn.Linear))
        linear.register_forward_hook(lambda _m, _i, out, kinds=kinds: kinds.append(out.dtype))
        loss = experiment.task_loss(rows, 1)
        penalty = experiment.penalty()
        (loss + penalty).backward()  # type: ignore[no-untyped-call]
        assert set(kinds) == {getattr(torch, precision)}
        assert loss.dtype == penalty.dtype == torch.float32
        assert {p.grad.dtype for p in experiment.model.parameters() if p.grad is not None} == {
            torch.float32
        }
        losses[precision] = float(loss.detach())
    assert losses["bfloat16"] == pytest.approx(losses["float32"], rel=0.02)
    assert losses["bfloat16"] != losses["float32"]


def test_a_run_in_sixteen_bits_learns_and_repeats_exactly(small_config: RunConfig) -> None:
    config = override(small_config, {"training.precision": "bfloat16", "training.epochs": 4})
    first, again = carry_out(config), carry_out(config)
    assert first[1].numbers("loss/task") == again[1].numbers("loss/task")
    assert first[0].evaluation is not None
    assert first[0].evaluation.source_accuracy > 0.75


def test_channels_last_changes_the_memory_and_not_the_numbers(small_config: RunConfig) -> None:
    changes = {"data.dataset": "sprites", "data.source": "shape", "data.train_size": 64}
    changes |= {"data.test_size": 32, "model.name": "resnet18", "transfer.targets": "colour"}
    changes |= {"training.batch_size": 8}
    config = override(small_config, changes)
    losses = []
    for last in (False, True):
        experiment = prepare(override(config, {"training.channels_last": last}))
        weight = experiment.model.get_parameter("layer1.0.conv1.weight")
        assert weight.is_contiguous(memory_format=torch.channels_last) == last
        losses.append(experiment.task_loss(torch.arange(8), 1).detach())
        experiment.remove()
    torch.testing.assert_close(losses[0], losses[1], rtol=1e-4, atol=1e-5)


def decayed(experiment: Experiment) -> set[str]:
    """The weights that move where all gradients are zero."""
    before = {name: p.detach().clone() for name, p in experiment.model.named_parameters()}
    for p in experiment.model.parameters():
        p.grad = torch.zeros_like(p)
    experiment.optimizer.state.clear()  # no momentum of steps before
    experiment.optimizer.step()
    return {n for n, p in experiment.model.named_parameters() if not torch.equal(p, before[n])}


@pytest.mark.parametrize("name", ["adamw", "sgd"])
def test_biases_and_gains_decay_only_where_asked(small_config: RunConfig, name: str) -> None:
    changes = {"optimizer.name": name, "optimizer.weight_decay": 0.1, "optimizer.norm_decay": False}
    experiment = prepare(override(small_config, changes))
    matrices = {n for n, p in experiment.model.named_parameters() if p.ndim > 1}
    assert decayed(experiment) == matrices
    for value, expected in ((0.0, set()), (0.2, matrices)):  # off and on again while it trains
        live = override(experiment.config, {"optimizer.weight_decay": value})
        turn(experiment, live, "optimizer.weight_decay")
        assert decayed(experiment) == expected


def test_the_gradient_is_no_longer_than_the_clip(small_config: RunConfig) -> None:
    config = override(
        small_config,
        {"optimizer.clip": 0.01, "optimizer.name": "sgd", "optimizer.learning_rate": 1.0},
    )
    config = override(config, {"optimizer.weight_decay": 0.0})
    trainer = Trainer(prepare(config), Recorder())
    before = nn.utils.parameters_to_vector(trainer.experiment.model.parameters()).detach().clone()
    trainer.train_step()
    after = nn.utils.parameters_to_vector(trainer.experiment.model.parameters()).detach()
    # Nesterov's first step is (1 + momentum) times the gradient
    assert float((after - before).norm()) == pytest.approx(0.01 * 1.9, rel=1e-3)


def test_probes_during_a_run_start_from_the_last_ones_and_those_at_its_end_from_zero(
    small_config: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    solve, warm, counts = ProbeData.solve, [], []

    def watched(self: ProbeData, l2: object, *, start: Tensor | None = None) -> object:
        found = solve(self, l2, start=start)  # type: ignore[arg-type]
        from_zero = solve(self, l2)  # type: ignore[arg-type]
        warm.append(start is not None)
        counts.append((found[0].iterations, from_zero[0].iterations))
        return found

    monkeypatch.setattr(ProbeData, "solve", watched)
    carry_out(override(small_config, {"transfer.probes": 4, "training.epochs": 4}))
    assert warm == [False, True, True, True, False]
    from_last, from_zero = (sum(each) for each in zip(*counts[1:4], strict=True))
    assert from_last < from_zero


def test_all_parts_together_can_be_asked_for_while_a_run_trains(
    small_config: RunConfig, tmp_path: Path
) -> None:
    changes = {
        "training.averaging": 0.9,
        "training.precision": "bfloat16",
        "optimizer.norm_decay": False,
        "optimizer.warmup": 0.3,
        "optimizer.clip": 1.0,
    }
    asked = {4: [(CommandKind.SET, {"field": "optimizer.weight_decay", "value": 0.0})]}
    outcome, listener = carry_out(override(small_config, changes), asked)
    assert outcome.evaluation is not None
    assert listener.settled[0][2] is None
