"""Where the files of data sets may lie on this machine, without torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from vcr_core.datasets.catalog import DATASETS, FOLDER, dataset_info
from vcr_core.datasets.downloads import is_there

#: Where images of data sets come from that need no download.
MADE_HERE: Mapping[str, str] = {
    info.name: info.made_here for info in DATASETS.values() if info.made_here
}


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
    return {name: _in_words(name, whereabouts(name, cache_folder)) for name in DATASETS}


def _in_words(name: str, found: Whereabouts) -> str:
    if found.is_here or name in MADE_HERE:
        return found.place
    fetched = dataset_info(name).fetched
    missing = "downloaded when it is first used" if fetched else f"place it in {found.place}"
    return f"not here yet: {missing}"
