"""``load``: any data set by its name, kept in memory for the next run of the same process."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from vcr_core.datasets import digits, fashion_mnist, folder, sprites
from vcr_core.datasets.catalog import DIGITS, FASHION_MNIST, FOLDER, SPRITES, dataset_info
from vcr_core.datasets.split import Dataset, make_dataset

KEPT = 4


def load(
    name: str,
    *,
    cache_folder: Path,
    train_size: int | None = None,
    test_size: int | None = None,
    folder: str | None = None,
    image_size: int = 32,
    shortcut: float = 0.0,
    seed: int = 0,
) -> Dataset:
    """The data set ``name``; ``train_size`` and ``test_size`` take the first images only.

    ``seed`` decides the images that are rendered (sprites); ``shortcut`` ties colour to shape in
    their training images. ``folder`` and ``image_size`` belong to one's own images.

    Raises:
        ConfigError: no data set has this name, or no folder was given where one is needed.
        DataError: the images are not there or cannot be read.
    """
    dataset_info(name)
    if name == SPRITES.name:
        return _sprites(train_size, test_size, shortcut, seed)
    if name == FOLDER.name:
        return _folder(folder, image_size, train_size, test_size)
    if name == DIGITS.name:
        return _digits(train_size, test_size)
    return _fashion_mnist(folder, cache_folder, train_size, test_size)


@lru_cache(maxsize=KEPT)
def _sprites(train_size: int | None, test_size: int | None, shortcut: float, seed: int) -> Dataset:
    train = sprites.render(train_size or SPRITES.train_size, seed=2 * seed, shortcut=shortcut)
    test = sprites.render(test_size or SPRITES.test_size, seed=2 * seed + 1)
    return make_dataset(SPRITES.name, SPRITES.factors, train, test)


@lru_cache(maxsize=KEPT)
def _digits(train_size: int | None, test_size: int | None) -> Dataset:
    images, labels = digits.read_digits()
    cut = DIGITS.train_size
    train = images[:cut], {factor: values[:cut] for factor, values in labels.items()}
    test = images[cut:], {factor: values[cut:] for factor, values in labels.items()}
    return _limited(make_dataset(DIGITS.name, DIGITS.factors, train, test), train_size, test_size)


@lru_cache(maxsize=KEPT)
def _fashion_mnist(
    folder: str | None, cache_folder: Path, train_size: int | None, test_size: int | None
) -> Dataset:
    place = Path(folder).expanduser() if folder else None
    train, test = fashion_mnist.read_fashion_mnist(place, cache_folder)
    train = train[0][:train_size], {name: values[:train_size] for name, values in train[1].items()}
    test = test[0][:test_size], {name: values[:test_size] for name, values in test[1].items()}
    return make_dataset(FASHION_MNIST.name, FASHION_MNIST.factors, train, test)


def _folder(
    place: str | None, image_size: int, train_size: int | None, test_size: int | None
) -> Dataset:
    """Read anew for every run: the images may have changed."""
    path = Path(place).expanduser() if place else None
    classes, train, test = folder.read_folder(path, size=image_size)
    dataset = make_dataset(FOLDER.name, {"class": classes}, train, test)
    return _limited(dataset, train_size, test_size)


def _limited(dataset: Dataset, train_size: int | None, test_size: int | None) -> Dataset:
    return Dataset(
        dataset.name,
        dataset.train.head(train_size),
        dataset.test.head(test_size),
        dataset.class_names,
    )
