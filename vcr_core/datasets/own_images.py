"""A folder of one's own images, one sub-folder a class: found and checked without torch."""

from __future__ import annotations

from pathlib import Path

from PIL import Image, UnidentifiedImageError

from vcr_core.errors import DataError

FIELD = "data.folder"
SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})
LEAST = 2


def find_images(folder: str | Path | None) -> dict[str, list[Path]]:
    """The images of every class, both in alphabetical order; sub-folders of a class count too.

    Raises:
        DataError: no folder, fewer than two classes, or a class with fewer than two images.
    """
    if folder is None:
        raise DataError(
            "expected the path of a folder with one sub-folder a class, got none", field=FIELD
        )
    place = Path(folder).expanduser()
    if not place.is_dir():
        raise DataError(
            f"expected a folder with one sub-folder a class, '{folder}' is none", field=FIELD
        )
    classes = sorted(path for path in place.iterdir() if path.is_dir())
    if len(classes) < LEAST:
        there = f"only '{classes[0].name}'" if classes else "none"
        raise DataError(
            f"expected at least 2 sub-folders, one a class, in '{folder}', found {there}",
            field=FIELD,
        )
    images = {path.name: _images_below(path) for path in classes}
    for name, paths in images.items():
        if len(paths) < LEAST:
            raise DataError(
                f"expected at least 2 images in '{place / name}', one to train on and one to "
                f"test on, found {len(paths)}",
                field=FIELD,
            )
    return images


def open_image(path: Path) -> Image.Image:
    """One image, decoded, as RGB.

    Raises:
        DataError: the file is not an image that can be decoded; the message names it.
    """
    try:
        with Image.open(path) as opened:
            return opened.convert("RGB")
    except (UnidentifiedImageError, OSError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(
            f"expected an image that can be decoded, '{path}' is none ({error}): "
            "remove or replace it",
            field=FIELD,
        ) from error


def check_images(folder: str | Path | None) -> int:
    """Decode every image once; returns how many there are.

    Raises:
        DataError: see :func:`find_images` and :func:`open_image`.
    """
    paths = [path for found in find_images(folder).values() for path in found]
    for path in paths:
        open_image(path)
    return len(paths)


def _images_below(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
