"""Two moons: points of the plane, as images of two channels and one pixel."""

from __future__ import annotations

import math

import torch

from vcr_core.datasets.catalog import TWO_MOONS
from vcr_core.datasets.spec import DataSpec
from vcr_core.datasets.split import Dataset, Split, generator, make_dataset

NOISE = 0.1
#: How far ``shortcut`` = 1 pulls the moons apart; from 0.5 on a horizontal line divides them.
PULL = 1.0


def load(spec: DataSpec) -> Dataset:
    """Points (N, 2, 1, 1) in random order; ``shortcut`` pulls the training moons apart only."""
    seed, train_size = spec.seed, spec.train_size or TWO_MOONS.train_size
    return make_dataset(
        spec,
        draw(train_size, generator(seed, "moons, train"), shortcut=spec.shortcut),
        draw(spec.test_size or TWO_MOONS.test_size, generator(seed, "moons, test")),
        probe=draw(train_size, generator(seed, "moons, probe")) if spec.shortcut else None,
    )


def draw(count: int, draws: torch.Generator, *, shortcut: float = 0.0) -> Split:
    """``count`` points of both moons, and which third of its moon each lies on."""
    moon = torch.randint(2, (count,), generator=draws)
    along = torch.rand(count, generator=draws)
    x, y = torch.cos(math.pi * along), torch.sin(math.pi * along)
    lower = moon == 1
    pull = PULL * shortcut / 2
    points = torch.stack(
        [torch.where(lower, 1 - x, x), torch.where(lower, 0.5 - y - pull, y + pull)], dim=1
    )
    points += NOISE * torch.randn(count, 2, generator=draws)
    thirds = (along * 3).long().clamp_max(2)
    return Split(points.view(count, 2, 1, 1), {"moon": moon, "along": thirds})
