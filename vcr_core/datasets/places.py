"""Where the files of data sets may lie on this machine, without torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from vcr_core.datasets.catalog import DATASETS, FOLDER, dataset_info
from vcr_core.datasets.downloads import is_there
from vcr_core.datasets.info import DatasetInfo


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
    info = dataset_info(name)
    if info.made_here:
        return Whereabouts(info is not FOLDER, info.made_here)
    if info.find is not None:
        found = info.find(Path(cache_folder))
        return Whereabouts(found is not None, str(found or cache_folder))
    root = Path(cache_folder) / name
    return Whereabouts(is_there(root), str(root))


def find_data(cache_folder: str | Path) -> dict[str, str]:
    """For every data set, where its images come from on this machine, in words."""
    return {
        name: _in_words(info, whereabouts(name, cache_folder)) for name, info in DATASETS.items()
    }


def _in_words(info: DatasetInfo, found: Whereabouts) -> str:
    if found.is_here or info.made_here:
        return found.place
    missing = "downloaded when it is first used" if info.fetched else f"place it in {found.place}"
    return f"not here yet: {missing}"
