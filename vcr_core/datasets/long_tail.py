"""Fewer and fewer images of each next class."""

from __future__ import annotations

import torch
from torch import Tensor

from vcr_core.datasets.split import generator


def long_tailed_rows(labels: Tensor, *, imbalance: float, seed: int) -> Tensor:
    """Rows of labels (N,) in random order such that class k keeps n · imbalance^(−k / (K − 1)).

    n is the size of the smallest class, so that every class can keep its share; one image at
    least. ``imbalance`` is the largest class over the smallest. Source: Cui et al.,
    "Class-Balanced Loss Based on Effective Number of Samples", arXiv 1901.05555, section 5.
    """
    draws = generator(seed, "long tail")
    classes = torch.unique(labels)
    most = int(torch.bincount(labels)[classes].min())
    steps = max(1, len(classes) - 1)
    kept = []
    for place, label in enumerate(classes):
        rows = (labels == label).nonzero().flatten()
        count = max(1, int(most * imbalance ** (-place / steps)))
        kept.append(rows[torch.randperm(len(rows), generator=draws)[:count]])
    together = torch.cat(kept)
    return together[torch.randperm(len(together), generator=draws)]
