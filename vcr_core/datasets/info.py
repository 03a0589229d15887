"""What is known about a data set before it is loaded. Nothing here imports torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

#: Names of groups, and the classes that each has.
Groups = Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class DatasetInfo:
    """What is known about a data set before it is loaded, and which module loads it.

    ``factors`` maps every labelling of the images to its class names. Any factor can be the source
    task or a transfer target. Continuous ones (scale, position) are binned. An empty tuple of class
    names means that they are known only once the images are there; ``counts`` then says how many
    there are, where that is known. ``groups`` are further factors, made of the first one's classes;
    ``factors`` has them too. ``image_shape`` is (C, H, W). ``frames`` is T of sets of clips
    (C, T, H, W), 0 of sets of images.

    ``loader`` is the module of this package whose ``load`` makes a ``Dataset`` of a ``DataSpec``;
    ``options`` are the fields of that spec which the set has beside those of every set.

    ``made_here`` says where the images come from that need no download. Of the others ``megabytes``
    is the size of the download, ``fetched`` says whether VCR Lab downloads it by itself, and
    ``files`` what its folder has to hold. ``find`` looks for them in the folder of downloads and
    wherever else they may be; without it they are in a folder there of the set's own name.
    """

    name: str
    title: str
    description: str
    factors: Mapping[str, tuple[str, ...]]
    image_shape: tuple[int, int, int]
    train_size: int
    test_size: int
    licence: str
    source: str
    default_source: str
    loader: str
    options: tuple[str, ...] = ()
    groups: Mapping[str, Groups] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    frames: int = 0
    made_here: str = ""
    megabytes: int = 0
    fetched: bool = True
    files: str = ""
    find: Callable[[Path], Path | None] | None = None

    def __post_init__(self) -> None:
        coarser = {factor: tuple(groups) for factor, groups in self.groups.items()}
        object.__setattr__(self, "factors", {**self.factors, **coarser})

    @property
    def kind(self) -> str:
        """What a network has to take: ``images`` or ``clips``."""
        return "clips" if self.frames else "images"

    @property
    def resized(self) -> bool:
        """Whether images of many sizes are scaled to one, and clips of many lengths cut."""
        return "image_size" in self.options

    @property
    def takes_folder(self) -> bool:
        """Whether ``data.folder`` may say where its images lie."""
        return not self.made_here or "folder" in self.options

    def num_classes(self, factor: str) -> int:
        """K of a factor; 0 where it is not known before the images are there."""
        return len(self.factors.get(factor, ())) or self.counts.get(factor, 0)


def group_of_each(names: Sequence[str], groups: Groups) -> tuple[int, ...]:
    """For every class of ``names``, the place of its group among ``groups``."""
    place_of = {name: place for place, members in enumerate(groups.values()) for name in members}
    return tuple(place_of[name] for name in names)
