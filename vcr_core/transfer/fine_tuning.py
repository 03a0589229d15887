"""Full fine-tuning: a copy of the whole network goes on learning, for the target."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from vcr_core.datasets import TransferTask, epoch_batches
from vcr_core.datasets.streaming import Images
from vcr_core.errors import ConfigError, TrainingDivergedError
from vcr_core.models import Model
from vcr_core.transfer.checks import check_labels
from vcr_core.transfer.features import extract_features


@dataclass(frozen=True)
class FineTuning:
    """AdamW on all weights with a learning rate that falls to zero along a cosine."""

    epochs: int = 10
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    batch_size: int = 128

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch_size < 2 or not self.learning_rate > 0:
            raise ConfigError(
                "expected 1 epoch, a batch of 2 images and a positive learning rate at least, "
                f"got {self.epochs}, {self.batch_size} and {self.learning_rate:g}"
            )


def fine_tune(
    model: Model, task: TransferTask, *, settings: FineTuning | None = None, seed: int = 0
) -> Tensor:
    """Classes (M,) that a fine-tuned copy of the model predicts for the task's test images.

    The copy gets a new linear head that starts at zero. The model itself, its modes and all
    random state stay as they are; the same seed gives the same answer on the same machine.

    Raises:
        ConfigError: settings out of their range.
        DataError, FeatureError: labels that cannot be learned.
        TrainingDivergedError: the loss was no longer finite.
    """
    settings = settings or FineTuning()
    rows = torch.arange(len(task.train_images)).unsqueeze(1)
    check_labels(rows, task.train_labels, len(task.class_names))
    with torch.random.fork_rng(devices=_devices(task.train_images)):
        torch.manual_seed(seed)
        tuned = copy.deepcopy(model).requires_grad_(True).train()
        head = nn.Linear(model.feature_dim, len(task.class_names)).to(task.train_images.device)
        nn.init.zeros_(head.weight)
        nn.init.zeros_(head.bias)
        with torch.enable_grad():
            _train(tuned, head, task, settings, seed)
        with torch.no_grad():
            predicted: Tensor = head(extract_features(tuned, task.test_images)).argmax(dim=1)
    return predicted


def _train(
    tuned: Model, head: nn.Linear, task: TransferTask, settings: FineTuning, seed: int
) -> None:
    labels = task.train_labels.to(task.train_images.device)
    batch = min(settings.batch_size, len(labels))
    optimizer = torch.optim.AdamW(
        [*tuned.parameters(), *head.parameters()],
        lr=settings.learning_rate,
        weight_decay=settings.weight_decay,
    )
    steps = settings.epochs * (len(labels) // batch)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for epoch in range(settings.epochs):
        total = torch.zeros((), device=labels.device)
        for x, y in epoch_batches(
            task.train_images, labels, batch_size=batch, epoch=epoch, seed=seed
        ):
            optimizer.zero_grad()
            loss = functional.cross_entropy(head(tuned.features(x)), y)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
            total += loss.detach()
        if not bool(torch.isfinite(total)):
            raise TrainingDivergedError(
                f"expected a finite loss while fine-tuning for '{task.name}', got {float(total)} "
                f"in epoch {epoch + 1}: lower the learning rate ({settings.learning_rate:g})"
            )


def _devices(images: Images) -> list[int]:
    """The CUDA device whose random state is to be kept, if there is one."""
    return [images.device.index or 0] if images.device.type == "cuda" else []
