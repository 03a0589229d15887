"""Images and labels as tensors: what every data set is once it is loaded."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from vcr_core.datasets.catalog import dataset_info
from vcr_core.datasets.info import DatasetInfo, group_of_each
from vcr_core.datasets.spec import DataSpec
from vcr_core.datasets.streaming import TENSOR_BYTES, Images
from vcr_core.errors import ConfigError, DataError

SMALLEST_STD = 1e-6
VALIDATION_SHARE = 0.2


@dataclass(frozen=True, eq=False)
class Split:
    """``images`` (N, C, H, W) float32 and, for every factor, ``labels[factor]`` (N,) int64.

    Clips (N, C, T, H, W) may stand in the images' place, here and elsewhere. Images of sets too
    large for a tensor stay on disk: see ``StreamedImages``.
    """

    images: Images
    labels: Mapping[str, Tensor]

    def __len__(self) -> int:
        return len(self.images)

    def take(self, rows: Tensor) -> Split:
        """The images and labels of ``rows`` (M,), in that order."""
        images = self.images
        taken = images[rows] if isinstance(images, Tensor) else images.take(rows)
        return Split(taken, {name: of[rows] for name, of in self.labels.items()})


@dataclass(frozen=True, eq=False)
class Dataset:
    """A loaded data set, standardised with the mean and std (C,) of its training images.

    ``spec`` is what was asked for. ``probe`` holds the images that transfer probes learn from. It
    is ``train``, but for sprites with a shortcut: a probe that learnt from those would learn the
    shortcut.
    """

    spec: DataSpec
    train: Split
    test: Split
    probe: Split
    class_names: Mapping[str, tuple[str, ...]]
    mean: Tensor
    std: Tensor

    @property
    def name(self) -> str:
        return self.spec.dataset

    @property
    def info(self) -> DatasetInfo:
        """What is known of it without its images."""
        return dataset_info(self.spec.dataset)

    def as_pixels(self, images: Tensor) -> Tensor:
        """Standardised images (N, C, H, W) as uint8 pixels, to look at."""
        return to_pixels(images, mean=self.mean, std=self.std)


def along_channels(values: Tensor, ndim: int) -> Tensor:
    """``values`` (C,) as (1, C, 1, …), to meet images or clips of ``ndim`` dimensions."""
    return values.view(1, -1, *[1] * (ndim - 2))


def scaling_for(images: Tensor, mean: Tensor, std: Tensor) -> tuple[Tensor, Tensor]:
    """``mean`` and ``std`` (C',) of a data set, (1, C, 1, …), for images made from its own.

    Where those have another number of channels, every channel gets the mean over C'.
    """
    channels = images.shape[1]
    offset, scale = (
        value if len(value) == channels else value.mean().expand(channels) for value in (mean, std)
    )
    return along_channels(offset, images.ndim), along_channels(scale, images.ndim)


def channel_moments(images: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation (C,) over all places of images (N, C, H, W) or clips."""
    std, mean = torch.std_mean(images, dim=[0, *range(2, images.ndim)])
    return mean, std


def to_pixels(images: Tensor, *, mean: Tensor, std: Tensor) -> Tensor:
    """Images (N, C, H, W) standardised with ``mean`` and ``std`` (C',) as uint8 pixels."""
    offset, scale = scaling_for(images, mean, std)
    pixels = images.cpu() * scale + offset
    return (pixels * 255).round().clamp(0, 255).to(torch.uint8)


def make_dataset(
    spec: DataSpec,
    train: Split,
    test: Split,
    *,
    class_names: Mapping[str, tuple[str, ...]] | None = None,
    probe: Split | None = None,
) -> Dataset:
    """A data set from images (N, C, H, W) in [0, 1], standardised in place, channel by channel."""
    names = dataset_info(spec.dataset).factors if class_names is None else class_names
    mean, std = channel_moments(in_memory(train.images))
    std = std.clamp_min(SMALLEST_STD)
    for split in (train, test) if probe is None else (train, test, probe):
        images = in_memory(split.images)
        images.sub_(along_channels(mean, images.ndim)).div_(along_channels(std, images.ndim))
    return Dataset(
        spec=spec,
        train=train,
        test=test,
        probe=train if probe is None else probe,
        class_names=dict(names),
        mean=mean,
        std=std,
    )


def with_groups(info: DatasetInfo, labels: Tensor, names: Sequence[str] = ()) -> dict[str, Tensor]:
    """Labels (N,) by the first factor and, made of them, by every group of its classes.

    ``names`` are those of its classes, where the entry does not have them.
    """
    factor, known = next(iter(info.factors.items()))
    grouped = {
        coarser: torch.tensor(group_of_each(known or names, groups))[labels]
        for coarser, groups in info.groups.items()
    }
    return {factor: labels, **grouped}


def measured_on_validation(data: Dataset, *, seed: int) -> Dataset:
    """The data set with a fifth of its training images in the place of its test images.

    So settings can be chosen without a look at the test images. The seed decides which images
    those are; nothing trains on them, neither the network nor a probe. Where probes learn from
    images of their own (a shortcut), the fifth is taken from those.
    """
    order = torch.randperm(len(data.probe), generator=generator(seed, "validation"))
    count = max(1, round(VALIDATION_SHARE * len(order)))
    probe, held_out = data.probe.take(order[count:]), data.probe.take(order[:count])
    train = probe if data.probe is data.train else data.train
    return replace(data, train=train, test=held_out, probe=probe)


def in_memory(images: Images, *, field: str = "") -> Tensor:
    """Images as one tensor (N, C, H, W); those on disk are read, where they fit into memory.

    Raises:
        DataError: more of them than should be held; the message says what to lower.
    """
    if isinstance(images, Tensor):
        return images
    if images.shape.numel() * 4 > TENSOR_BYTES:
        raise DataError(
            f"expected at most {TENSOR_BYTES >> 30} GiB of images to hold in memory, got "
            f"{len(images)} of {images.shape[-1]} pixels: ask for fewer or smaller ones",
            field=field,
        )
    return torch.cat(list(images.parts(256)))


def generator(seed: int, purpose: str) -> torch.Generator:
    """A generator of its own for one purpose; other purposes with the same seed are unrelated."""
    digest = hashlib.sha256(f"{purpose}/{seed}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:6], "big"))


def earlier_of_its_class(labels: Tensor) -> Tensor:
    """For each of labels (N,), how many of the same class come before it."""
    order, counts = torch.argsort(labels, stable=True), torch.bincount(labels)
    first = torch.repeat_interleave(counts.cumsum(0) - counts, counts)
    earlier = torch.empty_like(order)
    earlier[order] = torch.arange(len(labels)) - first
    return earlier


def random_rows(available: int, wanted: int | None, seed: int, *, field: str) -> Tensor:
    """``wanted`` of ``available`` rows in random order; all of them where ``wanted`` is None.

    Raises:
        ConfigError: more are wanted than there are.
    """
    check_size(available, wanted, field=field)
    return torch.randperm(available, generator=generator(seed, field))[:wanted]


def rows_asked_for(spec: DataSpec, train: int, test: int) -> tuple[Tensor, Tensor]:
    """Rows of ``train`` and of ``test`` images in random order, as many as ``spec`` asks for.

    Raises:
        ConfigError: more are wanted than there are.
    """
    return (
        random_rows(train, spec.train_size, spec.seed, field="data.train_size"),
        random_rows(test, spec.test_size, spec.seed, field="data.test_size"),
    )


def check_size(available: int, wanted: int | None, *, field: str) -> None:
    """Refuse to hand out fewer images than asked for.

    Raises:
        ConfigError: less than one image is wanted, or more than there are.
    """
    if wanted is not None and not 1 <= wanted <= available:
        raise ConfigError(
            f"expected between 1 and {available} images, the number there are, got {wanted}",
            field=field,
        )


def check_classes(
    labels: Tensor, held_out: Tensor, names: tuple[str, ...], *, task: str, field: str
) -> None:
    """See that a task can be learned and measured on labels (N,) and held-out ones (M,).

    Raises:
        DataError: one class only, or held-out images of classes that training never shows.
        ConfigError: labels beyond the class names.
    """
    seen = torch.unique(labels)
    if len(seen) < 2:
        only = f"'{names[int(seen[0])]}'" if len(seen) else "none"
        raise DataError(
            f"expected at least two classes of '{task}' among the {len(labels)} training images, "
            f"got {only} alone: take more images or another task",
            field=field,
        )
    unseen = [int(label) for label in torch.unique(held_out) if label not in seen]
    if unseen:
        first = names[unseen[0]] if unseen[0] < len(names) else unseen[0]
        raise DataError(
            f"expected training images of every class that '{task}' is measured on, got none of "
            f"'{first}'{f' and {len(unseen) - 1} more' if unseen[1:] else ''}: take more images",
            field=field,
        )
    if int(seen.max()) >= len(names):
        raise ConfigError(
            f"expected labels from 0 to {len(names) - 1} for '{task}', got {int(seen.max())}",
            field=field,
        )
