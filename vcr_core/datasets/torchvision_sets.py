"""The data sets that torchvision reads: found, or downloaded whole, or a clear word why not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vcr_core.datasets.catalog import dataset_info
from vcr_core.datasets.downloads import READ_ERRORS, download_whole, is_there, reason
from vcr_core.datasets.info import DatasetInfo
from vcr_core.datasets.pictures import ScaledPixels
from vcr_core.datasets.readers import READERS, Reader, labelled, pixels_of
from vcr_core.datasets.spec import DataSpec
from vcr_core.datasets.split import (
    Dataset,
    Split,
    channel_moments,
    earlier_of_its_class,
    generator,
    make_dataset,
    random_rows,
)
from vcr_core.datasets.streaming import TENSOR_BYTES, Images, StreamedImages
from vcr_core.errors import DataError

#: Images that mean and std are measured on where a set streams from disk.
MEASURED = 1024
HELD_OUT_EVERY = 10  # of a species of iNaturalist, which has no labelled test images


def load(spec: DataSpec) -> Dataset:
    """A data set of torchvision, small ones as tensors, large ones streaming from disk.

    Looked for in ``folder``, or else in ``cache_folder``/``dataset``; where it is not there, it is
    downloaded by torchvision, with its progress bar and checksums, into a folder beside and moved
    there once it is whole.

    Raises:
        DataError: not there and not to be had, or broken; says what was looked for, where, and how
            to place the files.
        ConfigError: more images asked for than there are.
    """
    info, reader = dataset_info(spec.dataset), READERS[spec.dataset]
    root = spec.folder or spec.downloads / spec.dataset
    middle = ScaledPixels(spec.image_size, spec.resize)
    opened = _opened(info, reader, root, own=spec.folder is not None)
    read = [_read(info, reader, part) for part in opened]
    class_names = read[0][1]
    parts = []
    sizes = {"data.train_size": spec.train_size, "data.test_size": spec.test_size}
    first = next(iter(info.factors))
    held_out = _held_out(read[0][0][first]) if reader.one_part else None
    for place, (field, size) in enumerate(sizes.items()):
        labels = read[place][0]
        allowed = torch.arange(len(labels[first]))
        if held_out is not None:
            allowed = allowed[held_out if place else ~held_out]
        if size is not None:
            allowed = allowed[random_rows(len(allowed), size, spec.seed, field=field)]
        streamed = StreamedImages(opened[place], allowed, middle=middle, workers=spec.workers)
        images = streamed if info.resized else _from_memory(reader, opened[place], allowed)
        chosen = {factor: values[allowed] for factor, values in labels.items()}
        parts.append(Split(_small_as_tensor(images), chosen))
    return assembled(spec, parts[0], parts[1], class_names)


def assembled(
    spec: DataSpec,
    train: Split,
    test: Split,
    class_names: dict[str, tuple[str, ...]],
    *,
    measured: int = MEASURED,
) -> Dataset:
    """Standardised by the training images, ``measured`` of them where they stay on disk."""
    if isinstance(train.images, Tensor) and isinstance(test.images, Tensor):
        return make_dataset(spec, train, test, class_names=class_names)
    images = train.images
    wanted = min(measured, len(train))
    rows = torch.randperm(len(train), generator=generator(spec.seed, "measured"))[:wanted]
    mean, std = channel_moments(images[rows])
    standardised = [
        Split(_standardised(split.images, mean, std), split.labels) for split in (train, test)
    ]
    return Dataset(
        spec=spec,
        train=standardised[0],
        test=standardised[1],
        probe=standardised[0],
        class_names=class_names,
        mean=mean,
        std=std,
    )


def _small_as_tensor(images: Images) -> Images:
    """A set on disk as a tensor where that is small enough."""
    if isinstance(images, Tensor) or images.shape.numel() * 4 > TENSOR_BYTES:
        return images
    return torch.cat(list(images.parts(256)))


def _standardised(images: Images, mean: Tensor, std: Tensor) -> Images:
    if isinstance(images, StreamedImages):
        return images.standardised_by(mean, std)
    return images.sub_(mean.view(1, -1, 1, 1)).div_(std.view(1, -1, 1, 1))


def _from_memory(reader: Reader, opened: Any, rows: Tensor) -> Tensor:
    """The rows (N,) of a set that torchvision holds in memory, in [0, 1]."""
    pixels = pixels_of(opened, transposed=reader.transposed)
    return pixels[rows].float().div_(255).contiguous()


def _held_out(labels: Tensor) -> Tensor:
    """Which images (N,) of a set without a test part are held out: every tenth of each class."""
    return earlier_of_its_class(labels) % HELD_OUT_EVERY == HELD_OUT_EVERY - 1


def _read(
    info: DatasetInfo, reader: Reader, opened: Any
) -> tuple[dict[str, Tensor], dict[str, tuple[str, ...]]]:
    labels, class_names = labelled(reader, info, opened)
    for factor, values in labels.items():
        classes = len(class_names[factor])
        if len(values) == 0 or int(values.min()) < 0 or int(values.max()) >= classes:
            shown = f"{int(values.min())} to {int(values.max())}" if len(values) else "none"
            raise DataError(
                f"expected labels of {info.title} from 0 to {classes - 1} for '{factor}', got "
                f"{shown}: place its files again"
            )
    return labels, class_names


def _opened(
    info: DatasetInfo,
    reader: Reader,
    root: Path,
    *,
    own: bool,
) -> tuple[Any, Any]:
    """Training and held-out part, opened by torchvision."""

    def parts(place: Path, download: bool) -> tuple[Any, Any]:
        train = reader.open(place, True, download)
        return train, train if reader.one_part else reader.open(place, False, download)

    how = f"place {info.files} in '{root}', or name the folder that holds them in data.folder"
    again = how if own or not info.fetched else f"it is downloaded once more, or {how}"
    if is_there(root):
        try:
            return parts(root, False)
        except READ_ERRORS as error:
            raise DataError(
                f"expected {info.title} in '{root}', which is not complete or broken "
                f"({reason(error)}): remove what is there and {again}",
                field="data.folder" if own else "",
            ) from error
    if own:
        raise DataError(
            f"expected {info.files} in '{root}', there is nothing: {how}", field="data.folder"
        )
    if not info.fetched:
        raise DataError(
            f"expected {info.title} in '{root}', it is not there; it is too large "
            f"({info.megabytes / 1000:.0f} GB) or not free to be downloaded unasked: {how}"
        )
    _download(info, root, lambda place: parts(place, True), how)
    return parts(root, False)


def _download(info: DatasetInfo, root: Path, fetch: Callable[[Path], object], how: str) -> None:
    try:
        download_whole(root, fetch)
    except READ_ERRORS as error:
        raise DataError(
            f"expected to download {info.title} ({info.megabytes} MB) into '{root}', which failed "
            f"({reason(error)}): connect to the internet, or {how}"
        ) from error
