"""The names, sizes and factors of all data sets, without torch.

The page, the command line and the configuration read this table; the images themselves come from
:func:`vcr_core.datasets.load`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from vcr_core.errors import ConfigError


@dataclass(frozen=True)
class DatasetInfo:
    """What is known about a data set before it is loaded.

    ``factors`` maps every labelling of the images to its class names. Any factor can be the source
    task or a transfer target. Continuous ones (scale, position) are binned. An empty tuple of class
    names means that they are known only once the images are there. ``image_shape`` is (C, H, W).
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
)

DIGITS = DatasetInfo(
    name="digits",
    title="Scanned digits",
    description=(
        "1,797 handwritten digits, scanned and reduced to 8 by 8 pixels. They come with "
        "scikit-learn, so nothing is downloaded."
    ),
    factors={
        "digit": ("0", "1", "2", "3", "4", "5", "6", "7", "8", "9"),
        "parity": ("even", "odd"),
        "high": ("0 to 4", "5 to 9"),
    },
    image_shape=(1, 8, 8),
    train_size=1297,
    test_size=500,
    licence="CC BY 4.0",
    source="UCI Optical Recognition of Handwritten Digits, as included in scikit-learn",
    default_source="parity",
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
        "clothing": ("not clothing", "clothing"),
        "coarse": ("top", "trouser", "dress", "shoe", "bag"),
    },
    image_shape=(1, 28, 28),
    train_size=60_000,
    test_size=10_000,
    licence="MIT",
    source="Xiao, Rasul, Vollgraf: Fashion-MNIST, arXiv 1708.07747",
    default_source="clothing",
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
)

DATASETS: Mapping[str, DatasetInfo] = {
    info.name: info for info in (SPRITES, DIGITS, FASHION_MNIST, FOLDER)
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

    A task is a factor of the data set (``colour``) or of another one (``digits:digit``).
    """
    sizes = {}
    for task in tasks:
        other, _, factor = task.rpartition(":")
        sizes[task] = len(dataset_info(other or dataset).factors.get(factor, ()))
    return {task: 1 / size for task, size in sizes.items() if size}
