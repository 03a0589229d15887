"""How torchvision's own classes open each data set, and what its parts are called there.

A reader opens the training or the held-out part under a root folder, downloading where asked, and
raises what torchvision raises. ``from_disk`` turns what comes back into images and labels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import ConcatDataset
from torchvision import datasets as sets

from vcr_core.datasets.imagenet import open_imagenet
from vcr_core.datasets.info import DatasetInfo
from vcr_core.datasets.split import with_groups

Open = Callable[[Path, bool, bool], Any]


@dataclass(frozen=True)
class Reader:
    """``open(root, train, download)``.

    ``further`` reads other labellings than the first one: factor to (class names, labels).
    ``transposed`` images lie on their side. Sets of ``one_part`` have no test images of their own.
    """

    open: Open
    further: Callable[[Any], dict[str, tuple[tuple[str, ...], Tensor]]] = lambda _: {}
    transposed: bool = False
    one_part: bool = False


def labels_of(opened: Any) -> Tensor:
    """The labels (N,) that the files hold, whatever torchvision calls them."""
    if isinstance(opened, ConcatDataset):
        return torch.cat([labels_of(part) for part in opened.datasets])
    if isinstance(opened, sets.INaturalist):
        return torch.tensor([species for species, _ in opened.index])
    if isinstance(opened, sets.StanfordCars):
        return torch.tensor([int(label) for _, label in opened._samples])
    for name in ("targets", "labels", "_labels"):
        if hasattr(opened, name):
            return torch.as_tensor(np.asarray(getattr(opened, name)), dtype=torch.int64)
    raise ValueError(f"{type(opened).__name__} has no labels")


def pixels_of(opened: Any, *, transposed: bool = False) -> Tensor:
    """The images (N, C, H, W) uint8 of a set that torchvision holds in memory."""
    pixels = torch.as_tensor(opened.data)
    if pixels.ndim == 3:
        return (pixels.transpose(1, 2) if transposed else pixels).unsqueeze(1)
    return pixels.permute(0, 3, 1, 2) if pixels.shape[-1] == 3 else pixels


def classes_of(opened: Any) -> tuple[str, ...]:
    """The names that torchvision knows the classes by."""
    first: Any = opened.datasets[0] if isinstance(opened, ConcatDataset) else opened
    if isinstance(first, sets.INaturalist):
        return tuple(first.all_categories)
    return tuple(map(str, first.classes))


def _both(kind: Any, root: Path, download: bool) -> Any:
    """Training and validation parts as one, for sets that are probed with both."""
    return ConcatDataset([kind(root, split=split, download=download) for split in ("train", "val")])


def _split(kind: Any, train: str = "train", test: str = "test", **options: Any) -> Open:
    def opened(root: Path, training: bool, download: bool) -> Any:
        split = train if training else test
        return kind(root, split=split, download=download, **options)

    return opened


def _flag(kind: Any, **options: Any) -> Open:
    def opened(root: Path, training: bool, download: bool) -> Any:
        return kind(root, train=training, download=download, **options)

    return opened


def _with_validation(kind: Any) -> Open:
    def opened(root: Path, training: bool, download: bool) -> Any:
        if training:
            return _both(kind, root, download)
        return kind(root, split="test", download=download)

    return opened


def _inaturalist(root: Path, training: bool, download: bool) -> Any:
    """One part for both: a tenth of every species is held out by the loader."""
    return sets.INaturalist(str(root), version="2018", download=download)


def _imagenet(root: Path, training: bool, download: bool) -> Any:
    return open_imagenet(root, training)


def _animal(opened: Any) -> dict[str, tuple[tuple[str, ...], Tensor]]:
    return {"animal": (("cat", "dog"), torch.tensor(opened._bin_labels))}


def _group(opened: Any) -> dict[str, tuple[tuple[str, ...], Tensor]]:
    """iNaturalist's fourteen groups (``super``), in torchvision's order."""
    found = opened.categories_index["super"]
    labels = torch.tensor([opened.categories_map[species]["super"] for species, _ in opened.index])
    return {"group": (tuple(sorted(found, key=found.__getitem__)), labels)}


def _aircraft(opened: Any) -> dict[str, tuple[tuple[str, ...], Tensor]]:
    """The coarser annotations of the same images."""
    factors = {}
    for level in ("family", "manufacturer"):
        other = sets.FGVCAircraft(opened.root, split=opened._split, annotation_level=level)
        factors[level] = (tuple(other.classes), torch.tensor(other._labels))
    return factors


READERS: Mapping[str, Reader] = {
    "mnist": Reader(_flag(sets.MNIST)),
    "kmnist": Reader(_flag(sets.KMNIST)),
    "emnist": Reader(_flag(sets.EMNIST, split="balanced"), transposed=True),
    "usps": Reader(_flag(sets.USPS)),
    "svhn": Reader(_split(sets.SVHN)),
    "cifar10": Reader(_flag(sets.CIFAR10)),
    "cifar100": Reader(_flag(sets.CIFAR100)),
    "stl10": Reader(_split(sets.STL10)),
    "flowers102": Reader(_with_validation(sets.Flowers102)),
    "dtd": Reader(_with_validation(sets.DTD)),
    "pets": Reader(_split(sets.OxfordIIITPet, train="trainval"), _animal),
    "food101": Reader(_split(sets.Food101)),
    "cars": Reader(_split(sets.StanfordCars)),
    "aircraft": Reader(_split(sets.FGVCAircraft, train="trainval"), _aircraft),
    "places365": Reader(_split(sets.Places365, train="train-standard", test="val", small=True)),
    "inaturalist": Reader(_inaturalist, _group, one_part=True),
    "imagenet": Reader(_imagenet),
}


def labelled(
    reader: Reader, info: DatasetInfo, opened: Any
) -> tuple[dict[str, Tensor], dict[str, tuple[str, ...]]]:
    """Every factor's labels (N,) and class names of an opened set."""
    factor, known = next(iter(info.factors.items()))
    names = known or classes_of(opened)
    labels = with_groups(info, labels_of(opened), names)
    class_names = {factor: names} | {name: tuple(groups) for name, groups in info.groups.items()}
    for further, (found, values) in reader.further(opened).items():
        labels[further], class_names[further] = values, found
    return labels, class_names
