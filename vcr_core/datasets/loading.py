"""One door to all data sets. What was loaded last stays in memory for the next run."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any

from vcr_core import paths
from vcr_core.datasets.catalog import SUPERCLASS, dataset_info
from vcr_core.datasets.hierarchy import read_hierarchy, superclass_labels
from vcr_core.datasets.long_tail import long_tailed_rows
from vcr_core.datasets.split import Dataset, Split
from vcr_core.errors import ConfigError

KEPT_IN_MEMORY = 3
#: Sets that are drawn here, each by the module of its name, and know a shortcut.
DRAWN = ("sprites", "two-moons", "moving-shapes")


def load(
    name: str,
    *,
    seed: int = 0,
    train_size: int | None = None,
    test_size: int | None = None,
    folder: str | Path | None = None,
    image_size: int = 32,
    resize: int | None = None,
    shortcut: float = 0.0,
    cache_folder: str | Path | None = None,
    source: str | None = None,
    imbalance: float = 1.0,
    hierarchy: str | Path | None = None,
    workers: int = 0,
    frames: int = 16,
    stride: int = 2,
    split: int = 1,
) -> Dataset:
    """The data set ``name`` as standardised tensors; equal arguments give equal images.

    Args:
        name: one of :data:`vcr_core.datasets.DATASETS`.
        seed: draws the sprites, splits digits and folders, and chooses rows where fewer are asked.
        train_size, test_size: how many images; None means all there are.
        folder: for ``folder`` your images; for others where their files lie, if not in a usual
            place.
        image_size: height and width in pixels that images of many sizes are scaled to.
        resize: their shorter side is scaled to this first, and the middle kept; None means
            ``image_size``.
        shortcut: in [0, 1]; for sprites how often colour gives the shape away in training, for
            moving shapes how often the shape gives the motion away, for two moons how far the
            training moons are pulled apart.
        cache_folder: where downloads are kept; None means the user's data folder.
        source: the factor whose classes ``imbalance`` thins out.
        imbalance: the largest training class over the smallest; 1 leaves all images.
        hierarchy: a list of superclasses for the set's first factor (see ``hierarchy.py``).
        workers: processes that decode images which stay on disk.
        frames, stride: of videos on disk, clips of so many frames, each ``stride``-th of the video.
        split: of sets that come with several splits into training and test clips.

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
    options: dict[str, Any] = {
        "seed": seed,
        "train_size": train_size,
        "test_size": test_size,
        "folder": own,
    }
    if name == "folder":  # its files may change between two runs
        from vcr_core.datasets import folder as images

        found = images.load(**options, image_size=image_size, resize=resize)
    else:
        found = _remembered(
            name,
            **options,
            shortcut=shortcut,
            cache_folder=paths.data_folder() if cache_folder is None else Path(cache_folder),
            image_size=image_size,
            resize=resize,
            workers=workers,
            frames=frames,
            stride=stride,
            split=split,
        )
    if hierarchy is not None:
        found = with_superclasses(found, hierarchy)
    if imbalance != 1.0:
        found = long_tailed(found, source, imbalance=imbalance, seed=seed)
    return found


def long_tailed(found: Dataset, source: str | None, *, imbalance: float, seed: int) -> Dataset:
    """A data set whose training classes of ``source`` shrink exponentially; probes learn from all.

    Raises:
        ConfigError: no such factor, or an imbalance below 1.
    """
    if imbalance < 1:
        raise ConfigError(f"expected 1 or more, got {imbalance:g}", field="data.imbalance")
    if source is None or source not in found.train.labels:
        raise ConfigError(
            f"expected one of {', '.join(found.class_names)}, got '{source}'", field="data.source"
        )
    rows = long_tailed_rows(found.train.labels[source], imbalance=imbalance, seed=seed)
    return replace(found, train=found.train.take(rows))


def with_superclasses(found: Dataset, path: str | Path) -> Dataset:
    """A data set with a factor ``superclass`` over its first one; unlisted classes are left out.

    Raises:
        DataError: a list that cannot be used.
    """
    superclasses = read_hierarchy(path)
    factor, names = next(iter(found.class_names.items()))

    def listed(split: Split) -> Split:
        rows, labels = superclass_labels(split.labels[factor], names, superclasses)
        taken = split.take(rows)
        return Split(taken.images, {**taken.labels, SUPERCLASS: labels})

    train = listed(found.train)
    return replace(
        found,
        train=train,
        test=listed(found.test),
        probe=train if found.probe is found.train else listed(found.probe),
        class_names={**found.class_names, SUPERCLASS: tuple(dict.fromkeys(superclasses.values()))},
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
    image_size: int,
    resize: int | None,
    workers: int,
    frames: int,
    stride: int,
    split: int,
) -> Dataset:
    if name == "hmdb51":
        from vcr_core.datasets import hmdb51
        from vcr_core.datasets.videos import MiddleClip

        return hmdb51.load(
            seed=seed,
            train_size=train_size,
            test_size=test_size,
            folder=folder,
            cache_folder=cache_folder,
            cut=MiddleClip(image_size, frames, stride, resize),
            split=split,
            workers=workers,
        )
    if name in DRAWN:
        room = import_module(f"vcr_core.datasets.{name.replace('-', '_')}")
        drawn: Dataset = room.load(
            seed=seed, train_size=train_size, test_size=test_size, shortcut=shortcut
        )
        return drawn
    if name == "digits":
        from vcr_core.datasets import digits

        return digits.load(seed=seed, train_size=train_size, test_size=test_size)
    if name == "fashion-mnist":
        from vcr_core.datasets import fashion

        return fashion.load(
            seed=seed,
            train_size=train_size,
            test_size=test_size,
            folder=folder,
            cache_folder=cache_folder,
        )
    from vcr_core.datasets import torchvision_sets

    return torchvision_sets.load(
        name,
        seed=seed,
        train_size=train_size,
        test_size=test_size,
        folder=folder,
        cache_folder=cache_folder,
        image_size=image_size,
        resize=resize,
        workers=workers,
    )
