"""TrivialAugment, RandAugment and AutoAugment on a batch: every image gets operations of its own.

    policy      operations   each drawn
    trivial     1            evenly, at a strength drawn evenly (Müller, Hutter, arXiv 2103.10158)
    rand        2            evenly, at strength 9 of 30 (Cubuk et al., arXiv 1909.13719)
    auto        2            one of 25 learned pairs, for ImageNet (Cubuk et al., arXiv 1805.09501)

The spaces of strengths are those of torchvision's ``TrivialAugmentWide``, ``RandAugment`` and
``AutoAugment``. Chance is drawn on the CPU, a few numbers an image.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torchvision.transforms import AutoAugment, AutoAugmentPolicy

from vcr_core.datasets.operations import NAMES, WHITE, Draw, apply

Policy = Literal["trivial", "rand", "auto"]
WIDE_BINS, RAND_BINS, AUTO_BINS = 31, 31, 10
RAND_OPERATIONS, RAND_STRENGTH = 2, 9


def augment(pixels: Tensor, policy: Policy, draws: torch.Generator) -> Tensor:
    """Pixels (N, C, H, W) in [0, 1], each image varied as ``policy`` says with chance from draws.

    They are rounded to 256 levels first, as pictures in files are.
    """
    varied = (pixels * WHITE).round_().clamp_(0, WHITE)
    for draw in drawn(policy, len(pixels), pixels.shape[-2:], draws):
        varied = apply(varied, draw)
    return varied.div_(WHITE)


def drawn(policy: Policy, count: int, size: Sequence[int], draws: torch.Generator) -> list[Draw]:
    """The operations of ``count`` images of ``size`` (H, W), one round after the other."""
    if policy == "trivial":
        return [_evenly(count, _WIDE, None, draws)]
    if policy == "rand":
        space = _narrow(tuple(size), RAND_BINS)
        return [_evenly(count, space, RAND_STRENGTH, draws) for _ in range(RAND_OPERATIONS)]
    return _learned(count, _narrow(tuple(size), AUTO_BINS), draws)


class Range(NamedTuple):
    """Strengths of an operation from its weakest to its strongest, and whether a sign is drawn."""

    strengths: Tensor
    signed: bool


Space = Mapping[str, Range]


def _line(low: float, high: float, bins: int, *, signed: bool = False) -> Range:
    return Range(torch.linspace(low, high, bins), signed)


def _bits(dropped: int, bins: int) -> Range:
    """From 8 bits down to 8 − ``dropped``."""
    return Range(8 - (torch.arange(bins) * dropped / (bins - 1)).round(), signed=False)


def _space(
    bins: int, *, shear: float, shift: Sequence[float], turn: float, blend: float, bits: int
) -> Space:
    return {
        "Identity": _line(0, 0, bins),
        "ShearX": _line(0, shear, bins, signed=True),
        "ShearY": _line(0, shear, bins, signed=True),
        "TranslateX": _line(0, shift[0], bins, signed=True),
        "TranslateY": _line(0, shift[1], bins, signed=True),
        "Rotate": _line(0, turn, bins, signed=True),
        "Brightness": _line(0, blend, bins, signed=True),
        "Color": _line(0, blend, bins, signed=True),
        "Contrast": _line(0, blend, bins, signed=True),
        "Sharpness": _line(0, blend, bins, signed=True),
        "Posterize": _bits(bits, bins),
        "Solarize": _line(WHITE, 0, bins),
        "AutoContrast": _line(0, 0, bins),
        "Equalize": _line(0, 0, bins),
    }


_WIDE = _space(WIDE_BINS, shear=0.99, shift=(32, 32), turn=135, blend=0.99, bits=6)


@lru_cache(maxsize=8)
def _narrow(size: tuple[int, ...], bins: int) -> Space:
    """The space of RandAugment and AutoAugment; shifts go with the size (H, W)."""
    shift = [150 / 331 * side for side in reversed(size)]
    return _space(bins, shear=0.3, shift=shift, turn=30, blend=0.9, bits=4)


def _evenly(count: int, space: Space, strength: int | None, draws: torch.Generator) -> Draw:
    """An operation of the space for every image; ``strength`` None draws one evenly."""
    places = torch.tensor([NAMES.index(name) for name in space])
    table = torch.stack([each.strengths for each in space.values()])  # (operations, bins)
    signed = torch.tensor([each.signed for each in space.values()])
    chosen = torch.randint(len(space), (count,), generator=draws)
    bins = torch.randint(table.shape[1], (count,), generator=draws)
    if strength is not None:
        bins = torch.full_like(bins, strength)
    sign = 1 - 2 * (signed[chosen] & _coin(count, draws)).float()
    return Draw(places[chosen], table[chosen, bins] * sign)


def _coin(count: int, draws: torch.Generator) -> Tensor:
    return torch.rand(count, generator=draws) < 0.5


def _learned(count: int, space: Space, draws: torch.Generator) -> list[Draw]:
    """AutoAugment's pairs for ImageNet: each of the two operations happens with its own share."""
    pairs = AutoAugment(AutoAugmentPolicy.IMAGENET).policies
    chosen = torch.randint(len(pairs), (count,), generator=draws)
    rounds = []
    for half in range(2):
        steps = [pair[half] for pair in pairs]
        places = torch.tensor([NAMES.index(name) for name, _, _ in steps])
        shares = torch.tensor([share for _, share, _ in steps])
        ranges = [space.get(name) for name, _, _ in steps]
        strengths = torch.tensor(
            [
                0.0 if each is None or level is None else float(each.strengths[level])
                for each, (_, _, level) in zip(ranges, steps, strict=True)
            ]
        )
        signed = torch.tensor([each is not None and each.signed for each in ranges])
        happens = torch.rand(count, generator=draws) < shares[chosen]
        sign = 1 - 2 * (signed[chosen] & _coin(count, draws)).float()
        idle = torch.full((count,), NAMES.index("Identity"))
        rounds.append(Draw(torch.where(happens, places[chosen], idle), strengths[chosen] * sign))
    return rounds
