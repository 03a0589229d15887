"""Fashion-MNIST: found where it lies already, else downloaded by torchvision."""

from __future__ import annotations

import gzip
import shutil
import tempfile
from pathlib import Path

import torch
from torchvision.datasets import FashionMNIST

from vcr_core.datasets.catalog import FASHION_MNIST
from vcr_core.datasets.downloads import READ_ERRORS, download_whole, reason
from vcr_core.datasets.fashion_files import fashion_files, find_fashion
from vcr_core.datasets.spec import DataSpec
from vcr_core.datasets.split import Dataset, Split, make_dataset, rows_asked_for, with_groups
from vcr_core.errors import DataError


def load(spec: DataSpec) -> Dataset:
    """Fashion-MNIST, (N, 1, 28, 28). The seed decides which images a smaller size takes.

    Looked for in ``folder``, in ``cache_folder`` and in the system's package; where none has it,
    downloaded into ``cache_folder``.

    Raises:
        DataError: ``folder`` lacks files, a file is broken, or the download failed.
    """
    train, test = _read(spec.folder, spec.downloads)
    of_train, of_test = rows_asked_for(spec, len(train), len(test))
    return make_dataset(spec, _split(train, of_train), _split(test, of_test))


def _split(files: FashionMNIST, rows: torch.Tensor) -> Split:
    labels = with_groups(FASHION_MNIST, files.targets[rows].long())
    return Split(files.data[rows].float().div_(255).unsqueeze(1), labels)


def _read(folder: Path | None, cache_folder: Path) -> tuple[FashionMNIST, FashionMNIST]:
    if folder is not None and fashion_files(folder) is None:
        raise DataError(
            f"expected the four files of Fashion-MNIST (train-images-idx3-ubyte, …, packed or "
            f"not) in '{folder}', not all are there: leave the folder empty to search or download"
        )
    place = folder or find_fashion(cache_folder)
    files = fashion_files(place) if place else None
    return _unpacked(place, files) if place and files else _downloaded(cache_folder)


def _unpacked(place: Path, files: dict[str, Path]) -> tuple[FashionMNIST, FashionMNIST]:
    """Read with torchvision, which wants unpacked files under a root of its own."""
    with tempfile.TemporaryDirectory() as root:
        raw = Path(root) / "FashionMNIST" / "raw"
        raw.mkdir(parents=True)
        try:
            for name, path in files.items():
                open_file = gzip.open if path.suffix == ".gz" else open
                with open_file(path, "rb") as packed, (raw / name).open("wb") as plain:
                    shutil.copyfileobj(packed, plain)
            return FashionMNIST(root, train=True), FashionMNIST(root, train=False)
        except READ_ERRORS as error:
            raise DataError(
                f"expected the files of Fashion-MNIST in '{place}', one is broken "
                f"({reason(error)}): remove the files there, and they are downloaded again"
            ) from error


def _downloaded(cache_folder: Path) -> tuple[FashionMNIST, FashionMNIST]:
    """Fetched by torchvision with its checksums, into ``cache_folder`` once it is whole."""
    made = FashionMNIST.__name__
    try:
        download_whole(
            cache_folder / made, lambda place: FashionMNIST(place, download=True), made=made
        )
    except READ_ERRORS as error:
        raise DataError(
            f"expected to download Fashion-MNIST (30 MB) into '{cache_folder}', which failed "
            f"({reason(error)}): connect to the internet, or put its four files into a folder and "
            "name it in data.folder"
        ) from error
    files = fashion_files(cache_folder)
    if files is None:
        raise DataError(
            f"expected Fashion-MNIST in '{cache_folder / made}', where files are missing: remove "
            "that folder, and they are downloaded again"
        )
    return _unpacked(cache_folder, files)
