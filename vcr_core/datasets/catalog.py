"""The registry of data sets, without torch: what each is, where it comes from, what loads it.

The page, the command line and the configuration read this table; the images themselves come from
:func:`vcr_core.datasets.load`, which takes the loader that an entry names. A new data set is an
entry here (or, where torchvision reads it, in ``known_sets.py`` and ``readers.py``) and its loader.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from vcr_core.datasets.clip_sets import CLIP_SETS
from vcr_core.datasets.fashion_files import find_fashion
from vcr_core.datasets.info import DatasetInfo
from vcr_core.datasets.known_sets import HIGH, KNOWN_SETS, PARITY, TEN_DIGITS
from vcr_core.errors import ConfigError

SPRITES = DatasetInfo(
    name="sprites",
    title="Sprites (rendered)",
    description=(
        "Small coloured shapes on painted backgrounds, drawn afresh for every seed. Shape, colour, "
        "texture, background, scale and position are independent of each other, so a network that "
        "learns one of them has no reason to keep the rest."
    ),
    factors={
        "shape": ("circle", "square", "triangle", "star", "cross", "heart"),
        "colour": ("red", "yellow", "green", "cyan", "blue", "purple"),
        "texture": ("plain", "stripes", "dots", "checks"),
        "background": ("sky", "meadow", "sand", "dusk", "night"),
        "scale": ("small", "medium", "large"),
        "x-position": ("left", "centre", "right"),
        "y-position": ("top", "middle", "bottom"),
    },
    image_shape=(3, 32, 32),
    train_size=6000,
    test_size=2000,
    licence="Apache-2.0 (rendered by VCR Lab)",
    source="rendered on this machine",
    default_source="shape",
    loader="sprites",
    made_here="rendered on this machine",
    options=("shortcut",),
)

DIGITS = DatasetInfo(
    name="digits",
    title="Scanned digits",
    description=(
        "1,797 handwritten digits, scanned and reduced to 8 by 8 pixels. They come with "
        "scikit-learn, so nothing is downloaded."
    ),
    factors={"digit": TEN_DIGITS},
    groups={"parity": PARITY, "high": HIGH},
    image_shape=(1, 8, 8),
    train_size=1297,
    test_size=500,
    licence="CC BY 4.0",
    source="UCI Optical Recognition of Handwritten Digits, as included in scikit-learn",
    default_source="parity",
    loader="digits",
    made_here="comes with scikit-learn",
)

FASHION_MNIST = DatasetInfo(
    name="fashion-mnist",
    title="Fashion-MNIST",
    description=(
        "70,000 photographs of clothes, shoes and bags, 28 by 28 pixels, grey. Found on this "
        "machine where it lies already, else downloaded once (about 30 MB)."
    ),
    factors={
        "garment": (
            "T-shirt/top",
            "Trouser",
            "Pullover",
            "Dress",
            "Coat",
            "Sandal",
            "Shirt",
            "Sneaker",
            "Bag",
            "Ankle boot",
        ),
    },
    groups={
        "clothing": {
            "not clothing": ("Sandal", "Sneaker", "Bag", "Ankle boot"),
            "clothing": ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Shirt"),
        },
        "coarse": {
            "top": ("T-shirt/top", "Pullover", "Coat", "Shirt"),
            "trouser": ("Trouser",),
            "dress": ("Dress",),
            "shoe": ("Sandal", "Sneaker", "Ankle boot"),
            "bag": ("Bag",),
        },
    },
    image_shape=(1, 28, 28),
    train_size=60_000,
    test_size=10_000,
    licence="MIT",
    source="Xiao, Rasul, Vollgraf: Fashion-MNIST, arXiv 1708.07747",
    default_source="clothing",
    loader="fashion",
    megabytes=30,
    files="train-images-idx3-ubyte and its three fellows, packed (.gz) or not",
    find=find_fashion,
)

FOLDER = DatasetInfo(
    name="folder",
    title="Your own images",
    description=(
        "A folder of your own with one sub-folder a class. A fifth of every class is held out "
        "as test images."
    ),
    factors={"class": ()},
    image_shape=(3, 32, 32),
    train_size=0,
    test_size=0,
    licence="yours",
    source="a folder on this machine",
    default_source="class",
    loader="folder",
    made_here="a folder of your own",
    options=("folder", "image_size", "resize"),
)

TWO_MOONS = DatasetInfo(
    name="two-moons",
    title="Two moons",
    description=(
        "Points of the plane on two interleaved half circles. With 'shortcut' the moons are "
        "pulled apart in training, so that a straight line suffices: does the network still "
        "learn their shape?"
    ),
    factors={
        "moon": ("upper", "lower"),
        "along": ("first third", "middle", "last third"),
    },
    image_shape=(2, 1, 1),
    train_size=1000,
    test_size=1000,
    licence="Apache-2.0 (drawn by VCR Lab)",
    source="drawn on this machine, after Pezeshki et al.: Gradient Starvation, arXiv 2011.09468",
    default_source="moon",
    loader="two_moons",
    made_here="drawn on this machine",
    options=("shortcut",),
)

#: The labelling that a list of superclasses (``data.hierarchy``) adds.
SUPERCLASS = "superclass"

DATASETS: Mapping[str, DatasetInfo] = {
    info.name: info
    for info in (SPRITES, DIGITS, FASHION_MNIST, TWO_MOONS, *KNOWN_SETS, *CLIP_SETS, FOLDER)
}


def dataset_info(name: str) -> DatasetInfo:
    """What is known about the data set ``name``.

    Raises:
        ConfigError: no data set has this name; the message lists the known ones.
    """
    if name not in DATASETS:
        raise ConfigError(
            f"expected one of {', '.join(DATASETS)}, got '{name}'", field="data.dataset"
        )
    return DATASETS[name]


def chance(dataset: str, tasks: Iterable[str]) -> dict[str, float]:
    """What guessing evenly among the K classes gets right, 1 / K, for every task whose K is known.

    A task is a factor of the data set (``colour``) or of another one (``digits:digit``), perhaps
    on corrupted images (``colour@noise-3``).
    """
    sizes = {}
    for task in tasks:
        target = parse_target(task)
        sizes[task] = dataset_info(target.dataset or dataset).num_classes(target.factor)
    return {task: 1 / size for task, size in sizes.items() if size}


class Target(NamedTuple):
    """A task by its parts: ``digits:digit@noise-3`` is the factor ``digit`` of ``digits``, probed
    on test images with noise of severity 3. Empty parts mean this data set, and clean images.
    """

    dataset: str
    factor: str
    corruption: str


def parse_target(text: str) -> Target:
    """The parts of a task's name."""
    named, _, corruption = text.partition("@")
    dataset, _, factor = named.rpartition(":")
    return Target(dataset, factor, corruption)
