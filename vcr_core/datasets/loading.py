"""One door to all data sets. What was loaded last stays in memory for the next run."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vcr_core.datasets.catalog import FOLDER, SUPERCLASS, dataset_info
from vcr_core.datasets.hierarchy import read_hierarchy, superclass_labels
from vcr_core.datasets.long_tail import long_tailed_rows
from vcr_core.datasets.spec import DataSpec
from vcr_core.datasets.split import (
    Dataset,
    Split,
    earlier_of_its_class,
    generator,
    measured_on_validation,
)
from vcr_core.errors import ConfigError

KEPT_IN_MEMORY = 3


def load(data: DataSpec | str, **options: Any) -> Dataset:
    """The data set that a spec asks for, as standardised tensors; equal specs give equal images.

    ``load("digits", seed=1)`` stands for ``load(DataSpec("digits", seed=1))``. The same tensors may
    be returned twice: do not write into them.

    Raises:
        ConfigError: what :class:`DataSpec` refuses, or more images asked for than there are.
        DataError: files that are missing, broken or cannot be downloaded.
    """
    spec = replace(data, **options) if isinstance(data, DataSpec) else DataSpec(data, **options)
    read = _read if spec.dataset == FOLDER.name else _remembered  # one's own files may change
    found = replace(read(spec.for_reading()), spec=spec)
    if spec.hierarchy is not None:
        found = with_superclasses(found, spec.hierarchy)
    if spec.measured_on == "validation":
        found = measured_on_validation(found, seed=spec.seed)
    if spec.class_limit is not None:
        found = with_class_limit(found, spec.class_limit)
    if spec.imbalance != 1.0:
        found = long_tailed(found)
    return found


def _read(spec: DataSpec) -> Dataset:
    """A data set's images, by the loader that its entry names."""
    module = import_module(f"vcr_core.datasets.{dataset_info(spec.dataset).loader}")
    found: Dataset = module.load(spec)
    return found


_remembered = lru_cache(maxsize=KEPT_IN_MEMORY)(_read)


def long_tailed(found: Dataset) -> Dataset:
    """A data set whose training classes of the source task shrink exponentially.

    ``imbalance`` of its spec says how far. Probes learn from all images.

    Raises:
        ConfigError: no such task.
    """
    labels, spec = _source_labels(found), found.spec
    rows = long_tailed_rows(labels, imbalance=spec.imbalance, seed=spec.seed)
    return replace(found, train=found.train.take(rows))


def with_class_limit(found: Dataset, limit: int) -> Dataset:
    """A data set with at most ``limit`` training images of each class of the source task.

    The seed of its spec chooses them; a larger limit keeps those of a smaller one. Probes learn
    from all images.

    Raises:
        ConfigError: no such task.
    """
    labels = _source_labels(found)
    order = torch.randperm(len(labels), generator=generator(found.spec.seed, "class limit"))
    kept = order[earlier_of_its_class(labels[order]) < limit]
    return replace(found, train=found.train.take(kept.sort().values))


def _source_labels(found: Dataset) -> Tensor:
    """Labels (N,) of the training images by the source task."""
    source = found.spec.source
    if source is None or source not in found.train.labels:
        raise ConfigError(
            f"expected one of {', '.join(found.class_names)}, got '{source}'", field="data.source"
        )
    return found.train.labels[source]


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
