"""What a network's features are probed for: other factors, or another data set altogether."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from vcr_core.datasets.catalog import DATASETS, FOLDER, dataset_info, parse_target
from vcr_core.datasets.corruption_names import FOR_POINTS, parse_corruption
from vcr_core.datasets.corruptions import corrupt
from vcr_core.datasets.loading import load
from vcr_core.datasets.spec import DataSpec
from vcr_core.datasets.split import (
    Dataset,
    Split,
    generator,
    in_memory,
    random_rows,
    scaling_for,
)
from vcr_core.datasets.streaming import Images
from vcr_core.errors import ConfigError


@dataclass(frozen=True, eq=False)
class TransferTask:
    """Images (N, C, H, W) and labels (N,) to fit a probe on, and held-out ones to measure it on.

    Tasks on the same images share the same tensor, so that features are extracted once. ``mean``
    and ``std`` (C',) are those that the images' own data set was standardised with.
    """

    name: str
    train_images: Images
    train_labels: Tensor
    test_images: Images
    test_labels: Tensor
    class_names: tuple[str, ...]
    mean: Tensor
    std: Tensor


class _Part(NamedTuple):
    """Images (N, C, H, W) and, for every factor, labels (N,)."""

    images: Images
    labels: Mapping[str, Tensor]


def transfer_tasks(
    dataset: Dataset,
    targets: Sequence[str],
    *,
    train_size: int | None = None,
    test_size: int | None = None,
) -> list[TransferTask]:
    """The probes named by ``targets``, on images that fit a network trained on ``dataset``.

    A target is a factor of the data set (``colour``) or of another one (``digits:digit``), whose
    images are scaled to the size and channels of this one. ``colour@noise-3`` measures the probe of
    clean images on corrupted ones. Sizes above what there is mean all.
    Other data sets are looked for, split and measured on as ``dataset.spec`` says.

    Raises:
        ConfigError: an unknown data set or factor; the message lists those there are.
        DataError: another data set that cannot be found or read.
    """
    seed = dataset.spec.seed
    prepared: dict[str, tuple[Dataset, _Part, _Part]] = {}
    tasks = []
    corrupted: dict[tuple[str, str], Images] = {}
    for target in targets:
        other, factor, corruption = parse_target(target)
        if other not in prepared:
            found = load(_spec_of(other, dataset)) if other not in {"", dataset.name} else dataset
            prepared[other] = _prepare(dataset, found, train_size, test_size)
        found, train, test = prepared[other]
        if factor not in found.class_names:
            raise ConfigError(_unknown(dataset, target), field="transfer.targets")
        if (other, corruption) not in corrupted:
            corrupted[other, corruption] = _corrupted(found, test.images, corruption, seed)
        tasks.append(
            TransferTask(
                name=target,
                train_images=train.images,
                train_labels=train.labels[factor],
                test_images=corrupted[other, corruption],
                test_labels=test.labels[factor],
                class_names=found.class_names[factor],
                mean=found.mean,
                std=found.std,
            )
        )
    return tasks


def _corrupted(found: Dataset, images: Images, corruption: str, seed: int) -> Images:
    """Test images (N, C, H, W) as ``corruption`` leaves them; themselves where there is none.

    Points are no pixels in [0, 1]: they are scaled into the middle half of it and back.
    """
    if not corruption:
        return images
    images = in_memory(images, field="transfer.test_size")
    mean, std = scaling_for(images, found.mean, found.std)
    draws = generator(seed, f"corruption {corruption}")
    pixels = images * std + mean
    if images.shape[2:].numel() > 1:
        return (corrupt(pixels, corruption, draws) - mean) / std
    _check_for_points(corruption)
    low, span = pixels.min(), pixels.max() - pixels.min()
    inside = corrupt(0.25 + 0.5 * (pixels - low) / span, corruption, draws)
    return ((inside - 0.25) * 2 * span + low - mean) / std


def _check_for_points(corruption: str) -> None:
    name, _ = parse_corruption(corruption)
    if name not in FOR_POINTS:
        raise ConfigError(
            f"expected a corruption of points ({', '.join(FOR_POINTS)}), got '{name}', which "
            "acts on pictures",
            field="transfer.targets",
        )


def _spec_of(other: str, dataset: Dataset) -> DataSpec:
    """How another data set is loaded for probes of a network that was trained on ``dataset``."""
    spec, shape = dataset.spec, dataset.train.images.shape[1:]
    scales = "resize" in dataset.info.options
    return DataSpec(
        other,
        seed=spec.seed,
        folder=spec.folder if _may_use_folder(dataset.name, other) else None,
        image_size=max(shape[-2:]),
        resize=spec.resize if scales else None,  # chosen for images of that data set's size
        frames=shape[1] if len(shape) == 4 else 1,  # T of clips; images have no use for it
        stride=spec.stride,
        split=spec.split,
        workers=spec.workers,
        measured_on=spec.measured_on,
        cache_folder=spec.cache_folder,
    )


def _prepare(
    dataset: Dataset, found: Dataset, train_size: int | None, test_size: int | None
) -> tuple[Dataset, _Part, _Part]:
    """``found`` with the rows that probes use, in the shape of the images of ``dataset``."""
    shape, seed = dataset.train.images.shape[1:], dataset.spec.seed
    train = _limit(found.probe, train_size, seed, field="transfer.train_size")
    test = _limit(found.test, test_size, seed, field="transfer.test_size")
    if found is dataset:
        return found, train, test
    return found, _fitted(train, shape), _fitted(test, shape)


def _may_use_folder(trained: str, other: str) -> bool:
    """``data.folder`` belongs to the trained data set, unless that one needs no files."""
    return other in {trained, FOLDER.name} or not dataset_info(trained).takes_folder


def _limit(split: Split, size: int | None, seed: int, *, field: str) -> _Part:
    """At most ``size`` images."""
    if size is not None and size < len(split):
        split = split.take(random_rows(len(split), size, seed, field=field))
    return _Part(split.images, split.labels)


def _fitted(split: _Part, shape: torch.Size) -> _Part:
    """Images scaled to (C, H, W): grey is repeated over colours, colours are averaged to grey.

    Clips are scaled to (C, T, H, W), in time as in space.
    """
    channels, *size = shape
    if split.images.shape[1:] == shape:
        return split
    images = in_memory(split.images, field="data.image_size")
    if images.shape[1] != channels:
        around = [-1] * (images.ndim - 2)
        images = images.mean(dim=1, keepdim=True).expand(-1, channels, *around)
    if images.shape[2:] != shape[1:]:
        images = (
            functional.interpolate(images, size=size, mode="bilinear", antialias=True)
            if images.ndim == 4
            else functional.interpolate(images, size=size, mode="trilinear")
        )
    return _Part(images.contiguous(), split.labels)


def _unknown(dataset: Dataset, target: str) -> str:
    elsewhere = [
        f"{info.name}:{factor}"
        for info in DATASETS.values()
        if info.name != dataset.name
        for factor in info.factors
    ]
    known = ", ".join([*dataset.class_names, *elsewhere])
    return f"expected one of {known}, got '{target}'"
