"""Fast training means the same: float16, compiled blocks, whitening, mirroring in turn."""

from __future__ import annotations

import pytest
import torch
from sklearn.decomposition import PCA
from torch import Tensor
from torch.nn import functional

from vcr_core.config import AugmentationConfig, RunConfig, override
from vcr_core.datasets.augmentation import Augmentation
from vcr_core.datasets.split import generator
from vcr_core.errors import ConfigError
from vcr_core.models import build
from vcr_core.models.whitening import whiten_first_convolution, whitening_filters
from vcr_core.training import compiling
from vcr_core.training.experiment import prepare
from vcr_core.training.loop import Trainer
from vcr_core.training.objectives.views import view_of
from vcr_core.training.recorder import Recorder
from vcr_core.training.reporting import gradient_ratios

IMAGES = {
    "data.dataset": "sprites",
    "data.source": "shape",
    "data.train_size": 120,
    "data.test_size": 40,
    "model.name": "small-resnet",
    "model.width": 8,
    "transfer.targets": ("colour",),
    "training.batch_size": 24,
    "training.epochs": 1,
    "regularizer.variance_weight": 1.0,
    "regularizer.covariance_weight": 1.0,
}


def trained(config: RunConfig) -> dict[str, Tensor]:
    """The weights after the run, on the CPU."""
    trainer = Trainer(prepare(config), Recorder())
    trainer.run()
    return {name: value.detach() for name, value in trainer.experiment.model.state_dict().items()}


def distance(one: Tensor, other: Tensor) -> float:
    """Of two tensors, beside their size: AdamW makes much of single gradients near zero."""
    return ((one - other).float().norm() / other.float().norm()).item()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")
@pytest.mark.parametrize("backend", ["aot_eager", "inductor"])
def test_compiled_blocks_train_the_same_network(
    backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiling, "BACKEND", backend)
    config = override(RunConfig(), IMAGES)
    plain, compiled = trained(config), trained(override(config, {"training.compile": True}))
    assert plain.keys() == compiled.keys()
    other = trained(config.baseline())  # known to be different: this far apart is not the same
    for name, value in plain.items():
        assert distance(compiled[name], value) < 1e-3, name
        if value.is_floating_point():
            assert distance(other[name], value) > 1e-3, name


def test_compiled_networks_are_measured_uncompiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiling, "BACKEND", "aot_eager")
    config = override(RunConfig(), IMAGES)
    plain, compiled = prepare(config), prepare(override(config, {"training.compile": True}))
    images = plain.test_images
    with torch.no_grad():
        assert torch.equal(compiled.model.eval()(images), plain.model.eval()(images))


def test_float16_gives_float32s_gradients_and_ratios() -> None:
    config = override(RunConfig(), IMAGES)
    found = {}
    for precision in ("float32", "float16"):
        experiment = prepare(override(config, {"training.precision": precision}))
        batch = torch.arange(24)
        experiment.regularization.record = True
        loss = experiment.task_loss(batch, 1)
        penalty = experiment.penalty()
        ratios = gradient_ratios(config, experiment.regularization, loss, experiment.scaler)
        experiment.scaler.scale(loss + penalty).backward()  # type: ignore[no-untyped-call]
        experiment.scaler.unscale_(experiment.optimizer)
        gradient = torch.cat(
            [each.grad.flatten() for each in experiment.model.parameters() if each.grad is not None]
        )
        found[precision] = gradient, torch.stack(list(ratios.values()))
    (full, full_ratios), (half, half_ratios) = found["float32"], found["float16"]
    assert functional.cosine_similarity(full, half, dim=0) > 0.999
    torch.testing.assert_close(half.norm(), full.norm(), rtol=0.02, atol=0)
    torch.testing.assert_close(half_ratios, full_ratios, rtol=0.05, atol=1e-4)


def test_an_overflow_in_float16_skips_the_step_and_halves_the_scale() -> None:
    experiment = prepare(override(RunConfig(), IMAGES | {"training.precision": "float16"}))
    scaler, optimizer = experiment.scaler, experiment.optimizer
    weight = next(experiment.model.parameters())
    before, scale = weight.detach().clone(), float(scaler.scale(torch.ones(())))
    scaler.scale(weight.sum() * torch.inf).backward()  # type: ignore[no-untyped-call]
    scaler.step(optimizer)
    scaler.update()
    assert torch.equal(weight, before)
    assert float(scaler.scale(torch.ones(()))) == scale / 2


def test_whitening_filters_are_scikit_learns_whitened_components() -> None:
    draws = torch.Generator().manual_seed(0)
    images = torch.randn(40, 3, 9, 9, generator=draws)
    images = functional.avg_pool2d(functional.pad(images, (1, 1, 1, 1)), 3, stride=1)
    images = images - images.mean()
    filters = whitening_filters(images, (2, 2), 12)
    patches = functional.unfold(images, (2, 2)).transpose(1, 2).reshape(-1, 12)
    oracle = PCA(whiten=True).fit(patches.double().numpy())
    ours = patches @ filters.flatten(1).T
    moments = ours.T @ ours / len(ours)
    strong = torch.from_numpy(oracle.explained_variance_) > 0.05
    torch.testing.assert_close(
        moments[strong][:, strong], torch.eye(int(strong.sum())), rtol=0, atol=0.02
    )
    cosines = functional.cosine_similarity(
        filters.flatten(1).double(), torch.from_numpy(oracle.components_), dim=1
    ).abs()
    assert cosines[strong].min() > 0.99


def test_a_whitened_convolution_is_not_trained() -> None:
    config = override(RunConfig(), IMAGES | {"model.whitening": True})
    experiment = prepare(config)
    frozen = [name for name, each in experiment.model.named_parameters() if not each.requires_grad]
    assert len(frozen) == 1
    before = experiment.model.state_dict()[frozen[0]].clone()
    assert torch.equal(trained(config)[frozen[0]], before)
    plain = prepare(override(config, {"model.whitening": False}))
    assert not torch.equal(plain.model.state_dict()[frozen[0]], before)


def test_whitening_needs_a_convolution() -> None:
    model = build("mlp", in_shape=(1, 8, 8), num_classes=2, seed=0)
    with pytest.raises(ConfigError, match=r"model\.whitening: expected a network that begins"):
        whiten_first_convolution(model, torch.randn(10, 1, 8, 8))


def test_every_image_is_mirrored_in_one_of_two_epochs() -> None:
    changes = {"augmentation.flip": 0.5, "augmentation.alternate": True}
    experiment = prepare(override(RunConfig(), IMAGES | changes))
    batch, epoch = torch.arange(120), experiment.cadence.steps_per_epoch
    source = experiment.train_images[batch]
    first, second = (view_of(experiment, batch, step) for step in (1, epoch + 1))
    mirrored = (first == source.flip(3)).flatten(1).all(dim=1)
    other = (second == source.flip(3)).flatten(1).all(dim=1)
    assert torch.equal(mirrored, ~other)
    assert 0.3 < mirrored.double().mean() < 0.7
    assert torch.equal(first, view_of(experiment, batch, epoch))
    assert torch.equal(first, view_of(experiment, batch, 2 * epoch + 1))


def test_a_square_of_the_mean_is_cut_out_of_every_image() -> None:
    images = torch.ones(30, 3, 20, 20)
    augment = Augmentation(
        AugmentationConfig(cutout=6), mean=torch.full((3,), 0.5), std=torch.full((3,), 0.2)
    )
    found = augment(images, generator(0, "test"))
    gone = (found == 0).all(dim=1)
    assert torch.equal(found == 0, gone.unsqueeze(1).expand(-1, 3, -1, -1))
    rows, columns = gone.any(dim=2).sum(dim=1), gone.any(dim=1).sum(dim=1)
    assert torch.equal(gone.sum(dim=(1, 2)), rows * columns)
    assert rows.max() == columns.max() == 6
    assert len(found.flatten(1).unique(dim=0)) > 5


def test_turns_need_a_share_that_is_mirrored() -> None:
    with pytest.raises(ConfigError, match=r"augmentation\.alternate: expected a share of mirrored"):
        override(RunConfig(), {"augmentation.alternate": True})
