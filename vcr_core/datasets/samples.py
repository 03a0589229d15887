"""Some images of a data set to look at, with their labels: chosen, varied, as plain arrays.

A *sheet* is a page of images: rows drawn in a fixed random order, so that every page shows others.
Clips are shown as strips of some of their frames, from the first to the last, side by side.
Points of the plane are no pictures; of them all are given, as coordinates.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from vcr_core.datasets.augmentation import Augmentation
from vcr_core.datasets.split import generator, scaling_for, to_pixels
from vcr_core.datasets.streaming import Images

LARGEST_SIDE = 96
"""Larger pictures are scaled down to this for the screen."""
MOST_POINTS = 2000
VIEWS = 5
STRIP = 4  # frames of a clip that are shown


@dataclass(frozen=True)
class Sheet:
    """M of ``total`` images: ``rows`` (M,) of the split, and ``labels`` (M,) of every factor.

    ``images`` are uint8 (M, V, H, W, C) with V views of each, one if nothing is varied;
    ``points`` (M, 2) where the data are points of the plane, and images are then (0, …).
    """

    rows: NDArray[np.int64]
    labels: Mapping[str, NDArray[np.int64]]
    images: NDArray[np.uint8]
    points: NDArray[np.float32]
    total: int


@dataclass(frozen=True)
class Look:
    """How standardised images (N, C, H, W), or clips, are shown: with the ``mean`` and ``std``
    (C',) that they were standardised with, each ``views`` times as ``augmentation`` varies it.
    """

    mean: Tensor
    std: Tensor
    augmentation: Augmentation | None = None
    seed: int = 0

    def pixels(self, images: Tensor) -> NDArray[np.uint8]:
        """(M, V, H, W, C) of images (M, C, H, W); the first view is the image itself.

        Of clips (M, C, T, H, W) it is strips, ``STRIP`` times as wide as a frame.
        """
        views = [images]
        if self.augmentation is not None:
            draws = generator(self.seed, "views to look at")
            views += [
                scaled(self.augmentation(images, draws), images.shape[-2:]) for _ in range(VIEWS)
            ]
        shown = [_strip(_shrunk(view)) for view in views]
        stacked = torch.stack(shown, dim=1)  # (M, V, C, H, W)
        pixels = to_pixels(stacked.flatten(0, 1), mean=self.mean, std=self.std)
        return np.asarray(pixels.view(stacked.shape).permute(0, 1, 3, 4, 2).contiguous())

    def points(self, images: Tensor) -> NDArray[np.float32]:
        """Coordinates (M, 2) of points (M, 2, 1, 1)."""
        mean, std = scaling_for(images, self.mean, self.std)
        return np.asarray((images * std + mean).flatten(1).float())


def scaled(images: Tensor, size: torch.Size) -> Tensor:
    """Images (N, C, H', W') at ``size`` (H, W): crops may have a size of their own."""
    if images.shape[-2:] == size:
        return images
    flat = images.flatten(1, -3)
    scaled = functional.interpolate(flat, list(size), mode="bilinear", align_corners=False)
    return scaled.reshape(*images.shape[:-2], *size)


def draw_sheet(
    images: Images,
    labels: Mapping[str, Tensor],
    look: Look,
    *,
    factor: str,
    label: int | None = None,
    page: int = 0,
    count: int = 48,
) -> Sheet:
    """A page of images (N, C, H, W) and labels (N,), of one class of ``factor`` where asked."""
    among = labels[factor]
    rows = torch.arange(len(among)) if label is None else (among == label).nonzero().flatten()
    total = len(rows)
    if are_points(images):
        chosen = rows[:MOST_POINTS]
    else:
        order = rows[torch.randperm(total, generator=generator(look.seed, "images to look at"))]
        pages = max(1, -(-total // count))
        first = page % pages * count
        chosen = order[first : first + count]
    return sheet_of(images, {name: of[chosen] for name, of in labels.items()}, look, chosen, total)


def sheet_of(
    images: Images, labels: Mapping[str, Tensor], look: Look, rows: Tensor, total: int
) -> Sheet:
    """The images of ``rows`` (M,), with labels (M,)."""
    taken = images[rows].cpu()
    flat = are_points(images)
    nothing = np.zeros((0, 1, 1, 1, 1), dtype=np.uint8)
    return Sheet(
        rows=np.asarray(rows),
        labels={name: np.asarray(of.cpu()) for name, of in labels.items()},
        images=nothing if flat or not len(rows) else look.pixels(taken),
        points=look.points(taken) if flat else np.zeros((0, 2), dtype=np.float32),
        total=total,
    )


def are_points(images: Images) -> bool:
    """Whether images are points of the plane, (N, 2, 1, 1)."""
    return tuple(images.shape[1:]) == (2, 1, 1)


def class_counts(labels: Tensor, classes: int) -> list[int]:
    """How many of labels (N,) are of each of K classes."""
    return torch.bincount(labels.cpu(), minlength=classes).tolist()


def _shrunk(images: Tensor) -> Tensor:
    """Images (M, C, H, W) no larger than the screen needs them."""
    side = max(images.shape[-2:])
    if side <= LARGEST_SIDE:
        return images
    scale = LARGEST_SIDE / side
    size = [max(1, round(length * scale)) for length in images.shape[-2:]]
    flat = images.flatten(1, -3)
    small = functional.interpolate(flat, size=size, mode="bilinear", antialias=True)
    return small.reshape(*images.shape[:-2], *size)


def _strip(images: Tensor) -> Tensor:
    """Images (M, C, H, W) as they are, clips (M, C, T, H, W) as strips (M, C, H, STRIP · W)."""
    if images.ndim == 4:
        return images
    places = torch.linspace(0, images.shape[2] - 1, STRIP).round().long()
    return torch.cat(images[:, :, places].unbind(2), dim=-1)
