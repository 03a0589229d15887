"""Moving shapes: clips of one grey shape that slides, turns, grows or shrinks.

how it moves (N,)  →  centre, angle, radius of every frame (N, T)  →  coverage (N, T, H, W)
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from vcr_core.datasets.clip_sets import MOVING_SHAPES
from vcr_core.datasets.outlines import OUTLINES
from vcr_core.datasets.spec import DataSpec
from vcr_core.datasets.split import Dataset, Split, generator, make_dataset

FRAMES, SIZE = MOVING_SHAPES.frames, MOVING_SHAPES.image_shape[-1]
PIXEL = 2.0 / SIZE  # the picture spans [-1, 1] both ways
RADIUS, RADIUS_JITTER, PLACE_JITTER = 0.5, 0.08, 0.2
#: How far a clip goes from its first frame to its last, by speed: slides in half pictures, turns
#: in radians, growth as the logarithm of the radius.
SLIDES, TURNS, GROWTH = (0.45, 0.9), (0.8, 1.6), (0.45, 0.9)
SPEED_JITTER, TILT = 0.1, 0.4
#: Of ground and shape, where the shape is the bright one.
TONES, TONE_JITTER = (0.25, 0.75), 0.08
HALF_SHADE = 0.6  # one half of a shape is that much nearer to the ground: a circle's turn shows
NOISE = 0.05


def load(spec: DataSpec) -> Dataset:
    """Render the clips, (N, 1, T, H, W). Any size can be asked for.

    ``shortcut`` is the share of training clips whose motion is given away by the shape. Test clips
    and the clips that probes learn from are free of it.
    """
    seed, train_size = spec.seed, spec.train_size or MOVING_SHAPES.train_size
    return make_dataset(
        spec,
        render(train_size, generator(seed, "moving shapes, train"), shortcut=spec.shortcut),
        render(spec.test_size or MOVING_SHAPES.test_size, generator(seed, "moving shapes, test")),
        probe=render(train_size, generator(seed, "moving shapes, probe"))
        if spec.shortcut
        else None,
    )


def render(count: int, draws: torch.Generator, *, shortcut: float = 0.0) -> Split:
    """``count`` clips with pixels in [0, 1] before noise, and the labels of every factor."""
    labels = {
        factor: torch.randint(len(classes), (count,), generator=draws)
        for factor, classes in MOVING_SHAPES.factors.items()
    }
    tied = torch.rand(count, generator=draws) < shortcut
    labels["shape"] = torch.where(tied, labels["motion"], labels["shape"])
    coverage = _coverage(labels, draws)
    dark, bright = (
        tone + TONE_JITTER * _around_zero(count, 1, 1, 1, draws=draws) for tone in TONES
    )
    is_bright = (labels["tone"] == 0).view(-1, 1, 1, 1)
    ground, paint = torch.where(is_bright, dark, bright), torch.where(is_bright, bright, dark)
    clips = torch.lerp(ground, paint, coverage)
    clips += NOISE * torch.randn(clips.shape, generator=draws)
    return Split(clips.unsqueeze(1), labels)


def _around_zero(*shape: int, draws: torch.Generator) -> Tensor:
    """Uniform in [-1, 1]."""
    return torch.rand(shape, generator=draws) * 2 - 1


def _coverage(labels: Mapping[str, Tensor], draws: torch.Generator) -> Tensor:
    """How much of every pixel the shape fills with its paint, (N, T, H, W) in [0, 1]."""
    across, down, angle, radius = _paths(labels, draws)  # (N, T) each
    axis = (torch.arange(SIZE) + 0.5) * PIXEL - 1
    x = axis.view(1, 1, 1, -1) - across[..., None, None]
    y = axis.view(1, 1, -1, 1) - down[..., None, None]
    cos, sin = angle.cos()[..., None, None], angle.sin()[..., None, None]
    size = radius[..., None, None]
    u, v = (cos * x + sin * y) / size, (cos * y - sin * x) / size
    distance = torch.empty_like(u)
    for place, name in enumerate(MOVING_SHAPES.factors["shape"]):
        rows = labels["shape"] == place
        distance[rows] = OUTLINES[name](u[rows], v[rows])
    coverage = (0.5 - distance * size / PIXEL).clamp_(0, 1)
    return coverage * torch.where(u > 0, 1.0, HALF_SHADE)


def _paths(labels: Mapping[str, Tensor], draws: torch.Generator) -> tuple[Tensor, ...]:
    """Centre to the right and downwards, angle in radians and radius of every frame, (N, T) each.

    Every clip passes through its mean state in its middle, so that no frame's place, angle or size
    alone gives the motion away.
    """
    count, motion = len(labels["motion"]), labels["motion"]
    names = MOVING_SHAPES.factors["motion"]
    time = torch.linspace(-0.5, 0.5, FRAMES)
    jitter = 1 + SPEED_JITTER * _around_zero(count, 1, draws=draws)

    def travelled(reach: tuple[float, float], forth: str, back: str) -> Tensor:
        """How far along its way, (N, T); 0 in clips of other motions."""
        direction = (motion == names.index(forth)).float() - (motion == names.index(back)).float()
        speed = torch.tensor(reach)[labels["speed"]]
        return (direction * speed).unsqueeze(1) * jitter * time

    place = PLACE_JITTER * _around_zero(2, count, 1, draws=draws)
    tilt = TILT * _around_zero(count, 1, draws=draws)
    size = RADIUS + RADIUS_JITTER * _around_zero(count, 1, draws=draws)
    return (
        place[0] + travelled(SLIDES, "right", "left"),
        place[1].expand(-1, FRAMES),
        tilt + travelled(TURNS, "clockwise", "counter-clockwise"),
        size * travelled(GROWTH, "growing", "shrinking").exp(),
    )
