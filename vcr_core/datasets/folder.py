"""Your own images: one sub-folder a class."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from vcr_core.errors import ConfigError, DataError

TEST_SHARE = 0.2
ORDER_SEED = 0
SUFFIXES = {".bmp", ".gif", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp"}

Arrays = tuple[NDArray[np.uint8], dict[str, NDArray[np.int64]]]


def read_folder(folder: Path | None, *, size: int) -> tuple[tuple[str, ...], Arrays, Arrays]:
    """Class names, and training and test images (N, 3, size, size) uint8 with their labels.

    Images are cropped to a centred square and scaled. A fifth of every class, chosen by a fixed
    seed, is held out; every class has at least one image on either side.

    Raises:
        ConfigError: no folder was named, or it is not there.
        DataError: no class, one class only, a class with fewer than two images, or an image that
            cannot be decoded (the message names it).
    """
    files = list_images(folder)
    random = np.random.default_rng(ORDER_SEED)
    train: list[tuple[Path, int]] = []
    test: list[tuple[Path, int]] = []
    for label, paths in enumerate(files.values()):
        shuffled = [paths[index] for index in random.permutation(len(paths))]
        held_out = max(1, round(TEST_SHARE * len(paths)))
        test += [(path, label) for path in shuffled[:held_out]]
        train += [(path, label) for path in shuffled[held_out:]]
    return tuple(files), _decode_all(train, size), _decode_all(test, size)


def list_images(folder: Path | None) -> dict[str, list[Path]]:
    """The images of every class, classes and images in alphabetical order."""
    if folder is None:
        raise ConfigError(
            "expected a folder with one sub-folder a class, got none: name it", field="data.folder"
        )
    if not folder.is_dir():
        raise ConfigError(
            f"expected a folder with one sub-folder a class, but {folder} is not a folder",
            field="data.folder",
        )
    classes = sorted(entry for entry in folder.iterdir() if entry.is_dir())
    if len(classes) < 2:  # noqa: PLR2004
        raise DataError(
            f"expected at least two sub-folders (one a class) in {folder}, got {len(classes)}: "
            "put the images of each class into a sub-folder of its own"
        )
    files = {entry.name: _images_in(entry) for entry in classes}
    for name, paths in files.items():
        if len(paths) < 2:  # noqa: PLR2004
            raise DataError(
                f"expected at least two images in the class '{name}' of {folder}, got "
                f"{len(paths)}: add images, or remove the sub-folder"
            )
    return files


def _images_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)


def _decode_all(entries: list[tuple[Path, int]], size: int) -> Arrays:
    random = np.random.default_rng(ORDER_SEED)
    entries = [entries[index] for index in random.permutation(len(entries))]
    images = np.stack([decode(path, size) for path, _ in entries])
    return images, {"class": np.array([label for _, label in entries], dtype=np.int64)}


def decode(path: Path, size: int) -> NDArray[np.uint8]:
    """One image as (3, size, size) uint8: turned upright, a centred square, scaled.

    Raises:
        DataError: the file is not an image that can be decoded.
    """
    try:
        with Image.open(path) as image:
            upright = ImageOps.exif_transpose(image).convert("RGB")
    except (UnidentifiedImageError, OSError, SyntaxError) as error:
        raise DataError(
            f"expected an image, but {path} cannot be decoded ({error}): repair or remove it"
        ) from error
    fitted = ImageOps.fit(upright, (size, size), Image.Resampling.BILINEAR)
    return np.ascontiguousarray(np.asarray(fitted, dtype=np.uint8).transpose(2, 0, 1))
