"""Which images are learned from. Nothing here imports torch."""

from __future__ import annotations

from pydantic import model_validator

from vcr_core.config.base import Section, setting
from vcr_core.datasets.catalog import SUPERCLASS, dataset_info
from vcr_core.datasets.spec import DataSpec, MeasuredOn
from vcr_core.errors import ConfigError


class DataConfig(Section):
    """Which images are learned from, and what they are labelled with."""

    dataset: str = setting("sprites", "Data set", "The images to learn from.")
    source: str = setting(
        "shape", "Source task", "What the network is trained to tell apart. It sees no other label."
    )
    train_size: int | None = setting(
        None,
        "Training images",
        "How many images to train on; empty means all there are.",
        unit="images",
        ge=10,
    )
    test_size: int | None = setting(
        None,
        "Test images",
        "How many held-out images to measure on; empty means all there are.",
        unit="images",
        ge=10,
    )
    shortcut: float = setting(
        0.0,
        "Shortcut",
        "Sprites: how often colour gives the shape away in the training images, 0 is never, 1 is "
        "always. Moving shapes: how often the shape gives the motion away. Two moons: how far the "
        "training moons are pulled apart.",
        ge=0.0,
        le=1.0,
    )
    folder: str | None = setting(
        None,
        "Folder",
        "For the data set 'folder': your images, one sub-folder a class. "
        "For others: where their files lie, if not in a usual place.",
    )
    image_size: int = setting(
        32,
        "Image size",
        "Your own images, and those of sets with images of many sizes, are scaled to this.",
        unit="pixels",
        ge=8,
        le=512,
    )
    resize: int | None = setting(
        None,
        "Scaled to",
        "The shorter side of your own images, and of those of many sizes, is scaled to this and "
        "the middle of the image size is cut out; empty means the image size itself.",
        unit="pixels",
        ge=8,
        le=1024,
    )
    frames: int = setting(
        16,
        "Frames",
        "Videos on disk: how many frames a clip has. Training begins each clip anywhere in its "
        "video; what is measured is the middle of it.",
        unit="frames",
        ge=2,
        le=128,
    )
    stride: int = setting(
        2,
        "Frame stride",
        "Videos on disk: a clip takes every so many-th frame. Shorter videos begin again.",
        unit="frames",
        ge=1,
        le=32,
    )
    split: int = setting(
        1,
        "Official split",
        "HMDB51: which of its three splits into training and test clips.",
        ge=1,
        le=3,
    )
    imbalance: float = setting(
        1.0,
        "Imbalance",
        "Long tail: the largest training class of the source task has this many times the images "
        "of the smallest, and those between fall exponentially. 1 leaves all images.",
        ge=1.0,
        le=1e4,
    )
    class_limit: int | None = setting(
        None,
        "Most images of a class",
        "At most so many training images of each class of the source task, so that all classes are "
        "learned from equally few; empty means all. Probes learn from all images.",
        unit="images",
        ge=1,
    )
    hierarchy: str | None = setting(
        None,
        "Superclasses",
        "A text file with a line 'class, superclass' for every class to use, or 'living-17' for "
        "ImageNet: adds the factor 'superclass', to be learned while the classes are probed.",
    )
    workers: int = setting(
        2,
        "Reading processes",
        "Processes that read ahead where images stay on disk. 0 reads in the training process.",
        unit="processes",
        ge=0,
        le=128,
    )
    measured_on: MeasuredOn = setting(
        "test",
        "Measured on",
        "'test' measures on the held-out images; 'validation' on a fifth of the training images, "
        "set aside, so that settings can be chosen without a look at the test images.",
    )

    @model_validator(mode="after")
    def _known_names(self) -> DataConfig:
        if self.source not in self.factors:
            raise ConfigError(
                f"expected one of {', '.join(self.factors)} for '{self.dataset}', "
                f"got '{self.source}'",
                field="data.source",
            )
        if self.resize is not None and self.resize < self.image_size:
            raise ConfigError(
                f"expected the image size of {self.image_size} pixels or more, got {self.resize}",
                field="data.resize",
            )
        return self

    @property
    def factors(self) -> tuple[str, ...]:
        """Every labelling that these images have."""
        named = tuple(dataset_info(self.dataset).factors)
        return named if self.hierarchy is None else (*named, SUPERCLASS)

    def spec(self, seed: int) -> DataSpec:
        """What is asked of the data set; ``seed`` draws, splits and chooses its images."""
        return DataSpec(**dict(self), seed=seed)
