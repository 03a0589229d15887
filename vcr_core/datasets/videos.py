"""From the file of a video to a clip: its middle, or a random part of it.

Decoding is PyAV's, which brings FFmpeg along: ``pip install 'vcr-lab[video]'``. Torchvision itself
decodes no videos any more.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torchvision.transforms import functional as transforms

from vcr_core.datasets.pictures import Chance, RandomPart
from vcr_core.errors import ConfigError, DataError

#: Longer videos are refused, not held in memory: five minutes at 30 frames a second.
MOST_FRAMES = 9000
#: A video that ends before this share of the frames it announces was cut short.
LEAST_SHARE = 0.9


@dataclass(frozen=True)
class MiddleClip:
    """The middle of a video, (3, T, S, S) uint8, in time and in space.

    T = ``frames``, each ``stride``-th of the video; one that is too short begins again. The shorter
    side is scaled to ``resize`` pixels (S where that is None), S = ``size`` of either are kept.
    """

    size: int
    frames: int
    stride: int
    resize: int | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """(3, T, S, S)."""
        return (3, self.frames, self.size, self.size)

    def random_part(self, smallest: float, size: int | None = None) -> RandomClip:
        """What training takes in its place; it begins anywhere also where nothing is cut off."""
        return RandomClip(self, smallest, size or self.size)

    def __call__(self, video: Path) -> Tensor:
        """(3, T, S, S) uint8."""
        frames = decode(video)
        return self.cut(frames, (len(frames) - self.span) // 2)

    @property
    def span(self) -> int:
        """Frames of the video from the first to the last of the clip."""
        return (self.frames - 1) * self.stride + 1

    def chosen(self, frames: list[Any], start: int) -> Tensor:
        """The clip from frame ``start`` (0 where that is below) on, (T, 3, H, W) uint8."""
        places = [(max(0, start) + k * self.stride) % len(frames) for k in range(self.frames)]
        return as_tensor([frames[place] for place in places])

    def cut(self, frames: list[Any], start: int) -> Tensor:
        """The clip from frame ``start`` on, scaled, its middle: (3, T, S, S) uint8."""
        scaled = transforms.resize(self.chosen(frames, start), [self.resize or self.size])
        middle: Tensor = transforms.center_crop(scaled, [self.size])
        return middle.transpose(0, 1)


@dataclass(frozen=True)
class RandomClip:
    """A random clip of a video, (3, T, S, S) uint8 with S = ``size``, the same part of each frame.

    The part is a ``RandomPart`` where ``smallest`` is below 1, and the middle otherwise.
    """

    middle: MiddleClip
    smallest: float
    size: int

    def __call__(self, video: Path, chance: Chance) -> Tensor:
        """(3, T, S, S) uint8; ``chance`` decides where the clip begins and which part it shows."""
        frames, draws = decode(video), np.random.default_rng(chance)
        start = int(draws.integers(max(1, len(frames) - self.middle.span + 1)))
        if self.smallest == 1:
            return self.middle.cut(frames, start)
        clip = self.middle.chosen(frames, start)
        height, width = clip.shape[2:]
        part = RandomPart(self.size, self.smallest)
        left, top, right, bottom = part.box(width, height, draws)
        shown: Tensor = transforms.resized_crop(
            clip, top, left, bottom - top, right - left, [self.size, self.size]
        )
        return shown.transpose(0, 1)


def require_decoder() -> Any:
    """PyAV.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        return import_module("av")
    except ImportError as error:
        raise ConfigError(
            "expected PyAV to decode videos with, it is not installed: "
            "pip install 'vcr-lab[video]'",
            field="data.dataset",
        ) from error


def decode(video: Path) -> list[Any]:
    """All frames of a video, still in the colours of its file.

    Raises:
        DataError: a file that is not there, broken, cut short or far too long; the message names
            it.
        ConfigError: PyAV is not installed.
    """
    av = require_decoder()
    try:
        with av.open(str(video)) as container:
            stream = next(iter(container.streams.video), None)
            if stream is None:
                raise _refused(video, "it holds no moving picture")
            stream.codec_context.thread_count = 1  # the reading processes share the processor
            announced = stream.frames
            frames = list(islice(container.decode(stream), MOST_FRAMES + 1))
    except (av.FFmpegError, OSError, ValueError) as error:
        raise _refused(video, str(error)) from error
    if len(frames) > MOST_FRAMES:
        raise _refused(video, f"it has more than {MOST_FRAMES} frames: cut it into clips first")
    if not frames or len(frames) < LEAST_SHARE * announced:
        raise _refused(video, f"it ends after {len(frames)} of its {announced} frames")
    return frames


def _refused(video: Path, why: str) -> DataError:
    return DataError(
        f"expected a whole video that can be decoded, '{video}' is none ({why}): place it again"
    )


def as_tensor(frames: list[Any]) -> Tensor:
    """Decoded frames as (T, 3, H, W) uint8, all of the first one's size."""
    first = frames[0]
    size = {"width": first.width, "height": first.height}
    pixels = np.stack([frame.to_ndarray(format="rgb24", **size) for frame in frames])
    return torch.from_numpy(pixels).permute(0, 3, 1, 2)
