"""Scikit-learn's scanned digits, with labels beside the digit itself."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from vcr_core.datasets.catalog import DIGITS
from vcr_core.datasets.spec import DataSpec
from vcr_core.datasets.split import (
    Dataset,
    Split,
    generator,
    make_dataset,
    rows_asked_for,
    with_groups,
)

BRIGHTEST = 16.0


def load(spec: DataSpec) -> Dataset:
    """The scanned digits, (N, 1, 8, 8). The seed decides which images are held out."""
    scans = read_scans()
    images = torch.from_numpy(scans[:, :-1]).float().div_(BRIGHTEST).reshape(-1, 1, 8, 8)
    digit = torch.from_numpy(scans[:, -1]).long()
    everything = Split(images, with_groups(DIGITS, digit))
    order = torch.randperm(len(everything), generator=generator(spec.seed, "digits"))
    train, test = order[DIGITS.test_size :], order[: DIGITS.test_size]
    of_train, of_test = rows_asked_for(spec, len(train), len(test))
    return make_dataset(spec, everything.take(train[of_train]), everything.take(test[of_test]))


def read_scans() -> NDArray[np.float64]:
    """Rows of 64 pixels from 0 to 16 and the digit, (N, 65), as scikit-learn brings them.

    Its package is not imported where its file is found: that takes seconds, of every worker.
    """
    package = find_spec("sklearn")
    for folder in (package.submodule_search_locations or ()) if package is not None else ():
        file = Path(folder, "datasets", "data", "digits.csv.gz")
        if file.is_file():
            return np.loadtxt(file, delimiter=",")
    from sklearn.datasets import load_digits

    found = load_digits()
    return np.column_stack([found.data, found.target])
