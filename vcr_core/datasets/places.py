"""Where the files of data sets may lie on this machine, without torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from vcr_core.datasets.catalog import DATASETS, dataset_info
from vcr_core.datasets.downloads import is_there

#: Where images of data sets come from that need no download.
MADE_HERE: Mapping[str, str] = {
    info.name: info.made_here for info in DATASETS.values() if info.made_here
}
FASHION_FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
FASHION_SYSTEM_FOLDER = Path("/usr/share/datasets/fashion-mnist")


def fashion_files(folder: Path) -> dict[str, Path] | None:
    """The four files of Fashion-MNIST in ``folder``, packed (``.gz``) or not; None if one lacks.

    The folder may also be the root that torchvision's ``FashionMNIST`` was given.
    """
    for place in (folder, folder / "FashionMNIST" / "raw"):
        found = {
            name: path
            for name in FASHION_FILES
            for path in (place / f"{name}.gz", place / name)
            if path.is_file()
        }
        if len(found) == len(FASHION_FILES):
            return found
    return None


@dataclass(frozen=True)
class Whereabouts:
    """Whether a data set's images are on this machine, and where they are or belong."""

    is_here: bool
    place: str


def whereabouts(name: str, cache_folder: str | Path) -> Whereabouts:
    """Where the images of the data set ``name`` come from on this machine.

    Raises:
        ConfigError: no data set has this name.
    """
    dataset_info(name)
    if name in MADE_HERE:
        return Whereabouts(name != "folder", MADE_HERE[name])
    if name == "fashion-mnist":
        for place in (Path(cache_folder), FASHION_SYSTEM_FOLDER):
            if fashion_files(place):
                return Whereabouts(True, str(place))
        return Whereabouts(False, str(cache_folder))
    root = Path(cache_folder) / name
    return Whereabouts(is_there(root), str(root))


def find_data(cache_folder: str | Path) -> dict[str, str]:
    """For every data set, where its images come from on this machine, in words."""
    return {name: _in_words(name, whereabouts(name, cache_folder)) for name in DATASETS}


def _in_words(name: str, found: Whereabouts) -> str:
    if found.is_here or name in MADE_HERE:
        return found.place
    fetched = dataset_info(name).fetched
    missing = "downloaded when it is first used" if fetched else f"place it in {found.place}"
    return f"not here yet: {missing}"
