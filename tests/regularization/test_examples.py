"""One line in other people's training: each example runs, and spreads the features."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from vcr_core.diagnostics import effective_rank
from vcr_core.regularization import attach
from vcr_core.regularization.schedules import warm_up


def data() -> TensorDataset:
    """Class 0 or 1 by the sign of the first of eight numbers."""
    x = torch.randn(128, 8, generator=torch.Generator().manual_seed(0))
    return TensorDataset(x, (x[:, 0] > 0).long())


def classifier() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 16), nn.ReLU(), nn.Linear(16, 2)
    )


def rank_of_features(model: nn.Sequential) -> float:
    features = model[:4](data().tensors[0]).detach()
    return effective_rank(features.T.cov()).item()


def train_plainly(weight: float) -> nn.Sequential:
    model = classifier()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    with attach(model, variance_weight=weight, covariance_weight=weight) as handle:
        ramp = warm_up(weight, steps=10)
        for step, (x, y) in enumerate(list(DataLoader(data(), batch_size=32)) * 20):
            handle.set_weights(ramp(step), ramp(step))
            loss = functional.cross_entropy(model(x), y) + handle.penalty()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return model


def test_a_plain_pytorch_loop() -> None:
    assert rank_of_features(train_plainly(1.0)) > 1.3 * rank_of_features(train_plainly(0.0))


@pytest.mark.filterwarnings("ignore")
def test_a_lightning_module_and_callback() -> None:
    lightning = pytest.importorskip("lightning")

    class Module(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.model = classifier()
            self.penalty = lambda: torch.zeros(())

        def training_step(self, batch: list[Tensor], _: int) -> Tensor:
            x, y = batch
            loss = functional.cross_entropy(self.model(x), y)
            return loss + self.penalty()

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.AdamW(self.parameters(), lr=1e-2)

    class Regularize(lightning.Callback):
        def on_train_start(self, trainer: object, module: Module) -> None:
            self.handle = attach(module.model, variance_weight=1.0, covariance_weight=1.0)
            module.penalty = self.handle.penalty

        def on_train_end(self, trainer: object, module: Module) -> None:
            self.handle.remove()

    module = Module()
    lightning.Trainer(
        max_epochs=20,
        callbacks=[Regularize()],
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    ).fit(module, DataLoader(data(), batch_size=32))
    assert rank_of_features(module.model) > 1.3 * rank_of_features(train_plainly(0.0))


@pytest.mark.filterwarnings("ignore")
def test_fabric() -> None:
    fabric_module = pytest.importorskip("lightning.fabric")
    fabric = fabric_module.Fabric(accelerator="cpu", devices=1)
    model = classifier()
    handle = attach(model, variance_weight=1.0, covariance_weight=1.0)
    wrapped, optimizer = fabric.setup(model, torch.optim.AdamW(model.parameters(), lr=1e-2))
    for x, y in list(DataLoader(data(), batch_size=32)) * 20:
        loss = functional.cross_entropy(wrapped(x), y) + handle.penalty()
        optimizer.zero_grad()
        fabric.backward(loss)
        optimizer.step()
    assert rank_of_features(model) > 1.3 * rank_of_features(train_plainly(0.0))


@pytest.mark.parametrize("name", ["resnet18", "convnext_tiny", "vit_b_16", "mobilenet_v3_small"])
def test_torchvision_models_train_for_a_step(name: str) -> None:
    from torchvision.models import get_model

    size = 224 if name.startswith("vit") else 64
    torch.manual_seed(0)
    model = get_model(name, num_classes=4)
    layers = "blocks" if not name.startswith("mobilenet") else ["features.[1-9]", "features.1[0-2]"]
    handle = attach(model, variance_weight=1.0, covariance_weight=1.0, layers=layers)
    loss = model(torch.randn(2, 3, size, size)).square().mean() + handle.penalty()
    loss.backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())
    assert handle.penalty().item() > 0


def test_a_timm_model() -> None:
    timm = pytest.importorskip("timm")
    model = timm.create_model("vit_tiny_patch16_224", num_classes=4)
    handle = attach(model, variance_weight=1.0, covariance_weight=1.0, tokens="patches")
    (model(torch.randn(2, 3, 224, 224)).sum() + handle.penalty()).backward()
    assert len(handle.layer_names) == 12
