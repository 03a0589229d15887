"""TrivialAugment, RandAugment and AutoAugment on a batch are torchvision's, image by image."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torchvision.transforms import (
    AutoAugment,
    AutoAugmentPolicy,
    InterpolationMode,
    RandAugment,
    TrivialAugmentWide,
)
from torchvision.transforms.autoaugment import _apply_op

from vcr_core.datasets.operations import NAMES, Draw, apply
from vcr_core.datasets.policies import augment, drawn
from vcr_core.datasets.split import generator

STRENGTHS = {
    "ShearX": (-0.99, -0.23, 0.3),
    "ShearY": (-0.5, 0.1, 0.99),
    "TranslateX": (-7.5, 3.2, 31.0),
    "TranslateY": (-2.1, 4.9, 12.0),
    "Rotate": (-135.0, 30.0, 90.0),
    "Posterize": (2, 5, 8),
    "Solarize": (0.0, 110.5, 255.0),
    "Identity": (0.0,),
    "AutoContrast": (0.0,),
    "Equalize": (0.0,),
    "Invert": (0.0,),
}
BLENDED = (-0.99, -0.4, 0.0, 0.6, 0.99)


def pictures(channels: int) -> Tensor:
    """Smooth and dark, noisy, flat, and of two levels; uint8 (4, C, 26, 34)."""
    draws = torch.Generator().manual_seed(0)
    rows, columns = torch.arange(26).view(-1, 1), torch.arange(34).view(1, -1)
    smooth = (40 + 3 * rows + columns).expand(channels, -1, -1)
    noisy = torch.randint(0, 256, (channels, 26, 34), generator=draws)
    flat = torch.full((channels, 26, 34), 77)
    halves = torch.where(columns < 10, 30, 200).expand(channels, 26, -1)
    return torch.stack([smooth, noisy, flat, halves]).to(torch.uint8)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", NAMES)
def test_an_operation_is_torchvisions(name: str, channels: int) -> None:
    images = pictures(channels)
    for strength in STRENGTHS.get(name, BLENDED):
        ours = apply(
            images.float(),
            Draw(torch.full((4,), NAMES.index(name)), torch.full((4,), float(strength))),
        )
        nearest = InterpolationMode.NEAREST
        theirs = torch.stack([_apply_op(each, name, strength, nearest, None) for each in images])
        differ = (ours - theirs.float()).abs() > 1  # a level is float32's rounding
        assert differ.float().mean() < 0.01, (name, strength)
        assert torch.equal(ours, ours.round())


def test_every_image_has_an_operation_and_a_strength_of_its_own() -> None:
    images = pictures(3)[1:2].expand(40, -1, -1, -1).float()
    found = drawn("trivial", 40, (26, 34), generator(0, "test"))[0]
    together = apply(images, found)
    for row in range(40):
        alone = Draw(found.operations[row : row + 1], found.strengths[row : row + 1])
        torch.testing.assert_close(apply(images[:1], alone)[0], together[row])
    assert len(found.operations.unique()) > 8


@pytest.mark.parametrize(
    ("policy", "theirs", "bins"),
    [
        ("trivial", TrivialAugmentWide()._augmentation_space(31), 31),
        ("rand", RandAugment()._augmentation_space(31, (26, 34)), 31),
    ],
)
def test_operations_and_strengths_are_drawn_from_torchvisions_space(
    policy: str, theirs: dict[str, tuple[Tensor, bool]], bins: int
) -> None:
    found = drawn(policy, 30_000, (26, 34), generator(1, "test"))  # type: ignore[arg-type]
    assert len(found) == {"trivial": 1, "rand": 2}[policy]
    operations, strengths = (torch.cat(parts) for parts in zip(*found, strict=True))
    counts = torch.bincount(operations, minlength=len(NAMES)) / len(operations)
    for place, name in enumerate(NAMES):
        assert float(counts[place]) == pytest.approx((name in theirs) / len(theirs), abs=0.01)
        if name not in theirs:
            continue
        magnitudes, signed = theirs[name]
        allowed = magnitudes.float().expand(bins) if magnitudes.ndim == 0 else magnitudes.float()
        allowed = allowed[9:10] if policy == "rand" else allowed
        seen = strengths[operations == place]
        torch.testing.assert_close(seen.abs().unique(), allowed.unique(), atol=1e-4, rtol=0)
        assert (seen < 0).any() == (signed and bool((allowed > 0).any()))


def test_autoaugments_pairs_happen_with_their_shares() -> None:
    first, second = drawn("auto", 50_000, (26, 34), generator(2, "test"))
    pairs = AutoAugment(AutoAugmentPolicy.IMAGENET).policies
    for half, found in enumerate((first, second)):
        for name in NAMES[:5] + NAMES[6:]:
            share = sum(pair[half][1] for pair in pairs if pair[half][0] == name) / len(pairs)
            seen = float((found.operations == NAMES.index(name)).float().mean())
            assert seen == pytest.approx(share, abs=0.01), (half, name)
    turned = first.strengths[first.operations == NAMES.index("Rotate")].abs().unique()
    assert turned.max() <= 30


@pytest.mark.parametrize("policy", ["trivial", "rand", "auto"])
def test_a_policy_repeats_exactly_and_stays_within_the_pixels(policy: str) -> None:
    images = pictures(3).float().div(255)
    found = augment(images, policy, generator(3, "test"))  # type: ignore[arg-type]
    again = augment(images, policy, generator(3, "test"))  # type: ignore[arg-type]
    assert torch.equal(found, again)
    assert found.shape == images.shape
    assert found.min() >= 0
    assert found.max() <= 1
    assert not torch.equal(found, images)
