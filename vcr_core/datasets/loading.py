"""One door to all data sets. What was loaded last stays in memory for the next run."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from vcr_core import paths
from vcr_core.datasets.catalog import dataset_info
from vcr_core.datasets.split import Dataset
from vcr_core.errors import ConfigError

KEPT_IN_MEMORY = 3


def load(
    name: str,
    *,
    seed: int = 0,
    train_size: int | None = None,
    test_size: int | None = None,
    folder: str | Path | None = None,
    image_size: int = 32,
    shortcut: float = 0.0,
    cache_folder: str | Path | None = None,
) -> Dataset:
    """The data set ``name`` as standardised tensors; equal arguments give equal images.

    Args:
        name: one of :data:`vcr_core.datasets.DATASETS`.
        seed: draws the sprites, splits digits and folders, and chooses rows where fewer are asked.
        train_size, test_size: how many images; None means all there are.
        folder: for ``folder`` your images; for ``fashion-mnist`` where its files lie, if not in
            a usual place.
        image_size: height and width in pixels that your own images are scaled to.
        shortcut: sprites only, in [0, 1]: how often colour gives the shape away in training.
        cache_folder: where downloads are kept; None means the user's data folder.

    The same object may be returned twice: do not write into its tensors.

    Raises:
        ConfigError: an unknown name, more images asked for than there are, a shortcut outside
            [0, 1].
        DataError: files that are missing, broken or cannot be downloaded.
    """
    dataset_info(name)
    if not 0.0 <= shortcut <= 1.0:
        raise ConfigError(f"expected between 0 and 1, got {shortcut}", field="data.shortcut")
    own = None if folder is None else Path(folder).expanduser()
    if name == "folder":  # its files may change between two runs
        from vcr_core.datasets import folder as images

        return images.load(
            seed=seed, train_size=train_size, test_size=test_size, folder=own, image_size=image_size
        )
    cache = Path(cache_folder) if cache_folder is not None else paths.data_folder()
    return _remembered(
        name,
        seed=seed,
        train_size=train_size,
        test_size=test_size,
        folder=own,
        shortcut=shortcut,
        cache_folder=cache,
    )


@lru_cache(maxsize=KEPT_IN_MEMORY)
def _remembered(
    name: str,
    *,
    seed: int,
    train_size: int | None,
    test_size: int | None,
    folder: Path | None,
    shortcut: float,
    cache_folder: Path,
) -> Dataset:
    if name == "sprites":
        from vcr_core.datasets import sprites

        return sprites.load(
            seed=seed, train_size=train_size, test_size=test_size, shortcut=shortcut
        )
    if name == "digits":
        from vcr_core.datasets import digits

        return digits.load(seed=seed, train_size=train_size, test_size=test_size)
    from vcr_core.datasets import fashion

    return fashion.load(
        seed=seed,
        train_size=train_size,
        test_size=test_size,
        folder=folder,
        cache_folder=cache_folder,
    )
