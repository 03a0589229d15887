"""Scikit-learn's scanned digits, with labels beside the digit itself."""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits

from vcr_core.datasets.catalog import DIGITS
from vcr_core.datasets.split import Dataset, Split, generator, make_dataset, random_rows

BRIGHTEST = 16.0


def load(*, seed: int, train_size: int | None, test_size: int | None) -> Dataset:
    """The scanned digits, (N, 1, 8, 8). The seed decides which images are held out."""
    scans = load_digits()
    images = torch.from_numpy(scans.images).float().div_(BRIGHTEST).unsqueeze(1)
    digit = torch.from_numpy(scans.target).long()
    labels = {"digit": digit, "parity": digit % 2, "high": (digit >= 5).long()}
    everything = Split(images, labels)
    order = torch.randperm(len(everything), generator=generator(seed, "digits"))
    train, test = order[DIGITS.test_size :], order[: DIGITS.test_size]
    return make_dataset(
        DIGITS,
        everything.take(train[random_rows(len(train), train_size, seed, field="data.train_size")]),
        everything.take(test[random_rows(len(test), test_size, seed, field="data.test_size")]),
    )
