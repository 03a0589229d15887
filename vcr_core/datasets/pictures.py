"""From a picture of any size to pixels of one: its middle, or a random part of it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms import functional as transforms

#: Whole numbers that decide a part: equal ones give equal parts.
Chance = tuple[int, ...]
ASPECT_RATIOS = (3 / 4, 4 / 3)
TRIES = 10


@dataclass(frozen=True)
class ScaledPixels:
    """The middle, (3, S, S) uint8: the shorter side is scaled to ``resize`` pixels (S where that
    is None), and S = ``size`` pixels of either side are kept."""

    size: int
    resize: int | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """(3, S, S)."""
        return (3, self.size, self.size)

    def random_part(self, smallest: float, size: int | None = None) -> RandomPart | None:
        """What training takes in its place: a part scaled to ``size`` (S where that is None).

        None where nothing smaller than the whole may be taken.
        """
        return RandomPart(size or self.size, smallest) if smallest < 1 else None

    def __call__(self, picture: Image.Image) -> Tensor:
        """(3, S, S) uint8."""
        scaled = transforms.resize(picture.convert("RGB"), [self.resize or self.size])
        return _as_tensor(transforms.center_crop(scaled, [self.size]))


@dataclass(frozen=True)
class RandomPart:
    """A random part as (3, S, S) uint8, S = ``size``: torchvision's ``RandomResizedCrop``.

    It has a share in [``smallest``, 1] of the area and an aspect ratio in [3/4, 4/3]; where ten
    such parts do not fit into the picture, it is the largest middle part with such a ratio.
    """

    size: int
    smallest: float

    def __call__(self, picture: Image.Image, chance: Chance) -> Tensor:
        """(3, S, S) uint8; ``chance`` decides which part."""
        part = picture.crop(self.box(*picture.size, np.random.default_rng(chance))).convert("RGB")
        return _as_tensor(part.resize((self.size, self.size), Image.Resampling.BILINEAR))

    def box(self, width: int, height: int, draws: np.random.Generator) -> tuple[int, int, int, int]:
        """Left, top, right and bottom of a part, in pixels."""
        low, high = (math.log(ratio) for ratio in ASPECT_RATIOS)
        for _ in range(TRIES):
            area = width * height * draws.uniform(self.smallest, 1.0)
            ratio = math.exp(draws.uniform(low, high))
            across, down = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
            if 0 < across <= width and 0 < down <= height:
                left = int(draws.integers(width - across + 1))
                top = int(draws.integers(height - down + 1))
                return left, top, left + across, top + down
        across = min(width, round(height * ASPECT_RATIOS[1]))
        down = min(height, round(width / ASPECT_RATIOS[0]))
        left, top = (width - across) // 2, (height - down) // 2
        return left, top, left + across, top + down


def _as_tensor(picture: Image.Image) -> Tensor:
    pixels: Tensor = transforms.pil_to_tensor(picture)
    return pixels.to(torch.uint8)
