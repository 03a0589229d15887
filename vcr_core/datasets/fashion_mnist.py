"""Fashion-MNIST: found on this machine, or downloaded by torchvision with progress and checksums."""

from __future__ import annotations

import gzip
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.error import URLError

import numpy as np
from numpy.typing import NDArray

from vcr_core.errors import DataError

FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
DEBIAN_FOLDER = Path("/usr/share/datasets/fashion-mnist")
RAW = Path("FashionMNIST") / "raw"

# For each of the ten garments: is it clothing, and which coarse class is it?
CLOTHING = np.array([1, 1, 1, 1, 1, 0, 1, 0, 0, 0])
COARSE = np.array([0, 1, 0, 2, 0, 3, 0, 3, 4, 3])

Arrays = tuple[NDArray[np.uint8], dict[str, NDArray[np.int64]]]


def read_fashion_mnist(folder: Path | None, cache_folder: Path) -> tuple[Arrays, Arrays]:
    """Training and test images (N, 1, 28, 28) uint8 and their labels.

    Looks into ``folder`` if one is given; else into the cache, Debian's package, and the internet.

    Raises:
        DataError: the files are not there and cannot be downloaded, or are broken.
    """
    from torchvision.datasets import FashionMNIST

    place(folder, cache_folder)
    try:
        train, test = (
            FashionMNIST(str(cache_folder), train=is_train, download=True)
            for is_train in (True, False)
        )
    except (RuntimeError, URLError, OSError, ValueError) as error:
        raise DataError(
            f"expected the four files of Fashion-MNIST under {cache_folder / RAW} or from the "
            f"internet, got: {error}. Put {', '.join(FILES)} (or the same with .gz) into a folder "
            "and name it in data.folder, or install Debian's package dataset-fashion-mnist"
        ) from error
    return _arrays(train.data.numpy(), train.targets.numpy()), _arrays(
        test.data.numpy(), test.targets.numpy()
    )


def _arrays(images: NDArray[np.uint8], garment: NDArray[np.int64]) -> Arrays:
    return images[:, None], {
        "garment": garment,
        "clothing": CLOTHING[garment],
        "coarse": COARSE[garment],
    }


def find(folder: Path | None, cache_folder: Path) -> Path | None:
    """The folder that holds all four files, plain or gzipped; None where there is none.

    Raises:
        DataError: ``folder`` was given and does not hold them.
    """
    if folder is None:
        places: Iterator[Path] = iter((cache_folder / RAW, DEBIAN_FOLDER))
        return next((place for place in places if all(_file(place, name) for name in FILES)), None)
    for place in (folder, folder / RAW, folder / "raw"):
        if all(_file(place, name) for name in FILES):
            return place
    raise DataError(
        f"expected {', '.join(FILES)} (or the same with .gz) in {folder}, did not find them: "
        "choose another folder, or leave data.folder empty"
    )


def place(folder: Path | None, cache_folder: Path) -> None:
    """Bring files that lie on this machine to where torchvision's class reads them."""
    source, raw = find(folder, cache_folder), cache_folder / RAW
    if source is None or source == raw:
        return
    raw.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        found = _file(source, name)
        if found is not None:
            _copy_whole(found, raw / name)


def _file(folder: Path, name: str) -> Path | None:
    candidates = (folder / name, folder / f"{name}.gz")
    return next((path for path in candidates if path.is_file()), None)


def _copy_whole(source: Path, target: Path) -> None:
    """Copy, unpacked; the target appears when it is complete, also with two processes at it."""
    handle, name = tempfile.mkstemp(dir=target.parent)
    try:
        with os.fdopen(handle, "wb") as sink:
            with gzip.open(source, "rb") if source.suffix == ".gz" else source.open("rb") as stream:
                shutil.copyfileobj(stream, sink)
        Path(name).replace(target)
    except (OSError, EOFError) as error:
        Path(name).unlink(missing_ok=True)
        raise DataError(f"cannot read {source}: {error}") from error
