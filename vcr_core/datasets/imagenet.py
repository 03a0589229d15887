"""ImageNet-1k from folders of pictures, or from the archives that they come in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torchvision import datasets as sets
from torchvision.datasets import imagenet as archives

from vcr_core.datasets.downloads import download_whole


def open_imagenet(root: Path, training: bool) -> Any:
    """The pictures under ``root``'s ``train`` or ``val``, one sub-folder a class.

    Where that folder is missing it is unpacked from the archives by torchvision, which checks them
    first; it is there once all pictures are.
    """
    split = "train" if training else "val"
    folder = root / split
    if not folder.is_dir():
        download_whole(folder, lambda place: _unpack(root, split, place))
    return sets.ImageFolder(folder)


def _unpack(root: Path, split: str, place: Path) -> None:
    if split == "train":
        archives.parse_train_archive(root, folder=str(place))
        return
    if not (root / archives.META_FILE).is_file():
        archives.parse_devkit_archive(root)
    archives.parse_val_archive(root, folder=str(place))
