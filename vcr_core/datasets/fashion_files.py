"""Where the files of Fashion-MNIST may lie on this machine, without torch."""

from __future__ import annotations

from pathlib import Path

FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
#: Where Debian's package of the data set puts them.
SYSTEM_FOLDER = Path("/usr/share/datasets/fashion-mnist")


def fashion_files(folder: Path) -> dict[str, Path] | None:
    """The four files of Fashion-MNIST in ``folder``, packed (``.gz``) or not; None if one lacks.

    The folder may also be the root that torchvision's ``FashionMNIST`` was given.
    """
    for place in (folder, folder / "FashionMNIST" / "raw"):
        found = {
            name: path
            for name in FILES
            for path in (place / f"{name}.gz", place / name)
            if path.is_file()
        }
        if len(found) == len(FILES):
            return found
    return None


def find_fashion(downloads: Path) -> Path | None:
    """The folder that has the four files: that of downloads, or the system's; None for neither."""
    return next((place for place in (downloads, SYSTEM_FOLDER) if fashion_files(place)), None)
