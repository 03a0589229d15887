"""Transfer tasks: what a probe has to read from features that were trained for something else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor
from torch.nn import functional

from vcr_core.datasets.loading import load
from vcr_core.datasets.split import Dataset, Split
from vcr_core.errors import ConfigError


@dataclass(frozen=True)
class TransferTask:
    """Images (N, C, H, W) and labels (N,) to fit a probe on and to measure it on.

    Tasks on the same images share the tensors, so that features are extracted once.
    """

    name: str
    train_images: Tensor
    train_labels: Tensor
    test_images: Tensor
    test_labels: Tensor
    class_names: tuple[str, ...]


def transfer_tasks(
    dataset: Dataset,
    targets: Sequence[str],
    *,
    cache_folder: Path,
    train_size: int | None = None,
    test_size: int | None = None,
) -> tuple[TransferTask, ...]:
    """The tasks of the given targets: ``colour``, or ``digits:digit`` for another data set.

    Images of another data set are scaled and their channels matched to those of ``dataset``.
    ``train_size`` and ``test_size`` take the first images only.

    Raises:
        ConfigError: a target that does not exist; the message lists those there are.
        DataError: another data set that cannot be read.
    """
    sources = {"": dataset}
    for name in dict.fromkeys(target.rpartition(":")[0] for target in targets):
        if name:
            sources[name] = like(load(name, cache_folder=cache_folder), dataset)
    splits = {
        name: (found.train.head(train_size), found.test.head(test_size))
        for name, found in sources.items()
    }
    tasks = []
    for target in targets:
        name, _, factor = target.rpartition(":")
        names = sources[name].class_names
        if factor not in names:
            raise ConfigError(
                f"expected one of {', '.join(names)} for '{name or dataset.name}', got '{factor}'",
                field="transfer.targets",
            )
        train, test = splits[name]
        tasks.append(
            TransferTask(
                target,
                train.images,
                train.labels[factor],
                test.images,
                test.labels[factor],
                names[factor],
            )
        )
    return tuple(tasks)


def like(other: Dataset, dataset: Dataset) -> Dataset:
    """``other`` with images of the shape (C, H, W) of ``dataset``'s."""
    channels, height, width = dataset.train.images.shape[1:]

    def converted(split: Split) -> Split:
        return Split(match_images(split.images, channels, (height, width)), split.labels)

    return Dataset(other.name, converted(other.train), converted(other.test), other.class_names)


def match_images(images: Tensor, channels: int, size: tuple[int, int]) -> Tensor:
    """Images (N, C, H, W) with other channels (averaged, or repeated) and another size (bilinear)."""
    if images.shape[1] != channels:
        images = images.mean(dim=1, keepdim=True).expand(-1, channels, -1, -1)
    if tuple(images.shape[2:]) != size:
        images = functional.interpolate(images, size, mode="bilinear", antialias=True)
    return images.contiguous()
