"""Where the files of data sets may lie on this machine, without torch."""

from __future__ import annotations

from pathlib import Path

from vcr_core.datasets.known_sets import KNOWN_SETS

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


def find_data(cache_folder: str | Path) -> dict[str, str]:
    """For every data set, where its images come from on this machine."""
    found = next(
        (
            str(place)
            for place in (Path(cache_folder), FASHION_SYSTEM_FOLDER)
            if fashion_files(place)
        ),
        "not here yet: downloaded when it is first used",
    )
    places = {
        "sprites": "rendered on this machine",
        "digits": "comes with scikit-learn",
        "fashion-mnist": found,
        "two-moons": "drawn on this machine",
        "folder": "a folder of your own",
    }
    for info in KNOWN_SETS:
        root = Path(cache_folder) / info.name
        missing = "downloaded when it is first used" if info.fetched else f"place it in {root}"
        places[info.name] = str(root) if root.is_dir() else f"not here yet: {missing}"
    return places
