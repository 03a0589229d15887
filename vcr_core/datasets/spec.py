"""What is asked of a data set: one frozen record that travels. Nothing here imports torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from vcr_core import paths
from vcr_core.datasets.catalog import dataset_info
from vcr_core.errors import ConfigError

MeasuredOn = Literal["test", "validation"]
#: What decides of every data set which images are read. Its own options are in its entry.
OF_EVERY_SET = ("dataset", "seed", "train_size", "test_size")


@dataclass(frozen=True)
class DataSpec:
    """Which images to load and what to make of them; equal specs give equal images.

    Its fields but ``seed`` and ``cache_folder`` are those of ``DataConfig``, which has their help
    texts and limits; :meth:`vcr_core.config.DataConfig.spec` makes one.

    Args:
        dataset: one of :data:`vcr_core.datasets.DATASETS`.
        seed: draws the sprites, splits digits and folders, and chooses rows where fewer are asked.
        source: the factor whose classes ``imbalance`` and ``class_limit`` thin out.
        train_size, test_size: how many images; None means all there are.
        shortcut: in [0, 1]; for sprites how often colour gives the shape away in training, for
            moving shapes how often the shape gives the motion away, for two moons how far the
            training moons are pulled apart.
        folder: for ``folder`` your images; for others where their files lie, if not in a usual
            place.
        image_size: height and width in pixels that images of many sizes are scaled to.
        resize: their shorter side is scaled to this first, and the middle kept; None means
            ``image_size``.
        frames, stride: of videos on disk, clips of so many frames, each ``stride``-th of the video.
        split: of sets that come with several splits into training and test clips.
        imbalance: the largest training class over the smallest; 1 leaves all images.
        class_limit: the most training images that a class of ``source`` keeps; None keeps all.
        hierarchy: a list of superclasses for the set's first factor (see ``hierarchy.py``).
        workers: processes that decode images which stay on disk.
        measured_on: ``validation`` puts a fifth of the training images in the test images' place.
        cache_folder: where downloads are kept; None means the user's data folder.

    Raises:
        ConfigError: an unknown data set, a shortcut outside [0, 1], an imbalance or a class limit
            below 1, measured on something else.
    """

    dataset: str
    seed: int = 0
    source: str | None = None
    train_size: int | None = None
    test_size: int | None = None
    shortcut: float = 0.0
    folder: Path | None = None
    image_size: int = 32
    resize: int | None = None
    frames: int = 16
    stride: int = 2
    split: int = 1
    imbalance: float = 1.0
    class_limit: int | None = None
    hierarchy: str | None = None
    workers: int = 0
    measured_on: MeasuredOn = "test"
    cache_folder: Path | None = None

    def __post_init__(self) -> None:
        dataset_info(self.dataset)
        if not 0.0 <= self.shortcut <= 1.0:
            raise ConfigError(
                f"expected between 0 and 1, got {self.shortcut}", field="data.shortcut"
            )
        if self.imbalance < 1:
            raise ConfigError(f"expected 1 or more, got {self.imbalance:g}", field="data.imbalance")
        if self.class_limit is not None and self.class_limit < 1:
            raise ConfigError(
                f"expected 1 or more, got {self.class_limit}", field="data.class_limit"
            )
        if self.measured_on not in get_args(MeasuredOn):
            raise ConfigError(
                f"expected one of {', '.join(get_args(MeasuredOn))}, got '{self.measured_on}'",
                field="data.measured_on",
            )
        for name in ("folder", "cache_folder"):  # typed by a person
            if getattr(self, name) is not None:
                object.__setattr__(self, name, Path(getattr(self, name)).expanduser())

    @property
    def downloads(self) -> Path:
        """Where downloads are kept."""
        return paths.data_folder() if self.cache_folder is None else self.cache_folder

    def for_reading(self) -> DataSpec:
        """The spec with nothing but what decides which images are read: the key to keep them by."""
        info = dataset_info(self.dataset)
        chosen = {name: getattr(self, name) for name in (*OF_EVERY_SET, *info.options)}
        if info.made_here:
            return DataSpec(**chosen)
        return DataSpec(**chosen, folder=self.folder, cache_folder=self.downloads)
