"""Every image is varied on its own, as torchvision would, and by the generator alone."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional
from torchvision.transforms import functional as reference

from vcr_core.config import AugmentationConfig
from vcr_core.datasets.augmentation import (
    Augmentation,
    blurred,
    random_resized_crop,
    recoloured,
    shifted,
)

EVERYTHING = AugmentationConfig(
    crop_padding=3, smallest_crop=0.5, flip=0.5, jitter=0.5, grey=0.2, blur=0.5
)


def draws(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def pixels() -> Tensor:
    return torch.rand(64, 3, 10, 12, generator=draws(1))


def augmentation(amounts: AugmentationConfig) -> Augmentation:
    return Augmentation(
        amounts, mean=torch.tensor([0.4, 0.5, 0.6]), std=torch.tensor([0.2, 0.3, 0.25])
    )


def test_equal_draws_give_equal_pictures_and_the_global_state_is_left_alone(
    pixels: Tensor,
) -> None:
    augment, before = augmentation(EVERYTHING), torch.get_rng_state()
    first = augment(pixels, draws(7))
    assert torch.equal(first, augment(pixels, draws(7)))
    assert not torch.equal(first, augment(pixels, draws(8)))
    assert torch.equal(before, torch.get_rng_state())


def test_nothing_asked_for_changes_nothing(pixels: Tensor) -> None:
    assert not AugmentationConfig().is_on
    assert torch.equal(augmentation(AugmentationConfig())(pixels, draws()), pixels)


def test_equal_images_of_a_batch_are_varied_differently(pixels: Tensor) -> None:
    same = pixels[:1].expand(8, -1, -1, -1).contiguous()
    varied = augmentation(EVERYTHING)(same, draws())
    assert len({image.numpy().tobytes() for image in varied}) == 8


def test_every_shift_is_a_crop_of_the_mirrored_padding_and_all_shifts_occur(
    pixels: Tensor,
) -> None:
    same = pixels[:1].expand(400, -1, -1, -1)
    padded = functional.pad(pixels[:1], (2, 2, 2, 2), mode="reflect")[0]
    crops = {
        image.numpy().tobytes()
        for top in range(5)
        for left in range(5)
        for crop in [padded[:, top : top + 10, left : left + 12].contiguous()]
        for image in (crop, crop.flip(-1).contiguous())
    }
    seen = {image.numpy().tobytes() for image in shifted(same, draws(), padding=2, flip=0.5)}
    assert seen == crops


def test_the_share_of_mirrored_images_is_the_one_asked_for(pixels: Tensor) -> None:
    same = pixels[:1].expand(1000, -1, -1, -1)
    mirrored = shifted(same, draws(), padding=0, flip=0.3) == same.flip(-1)
    assert mirrored.flatten(1).all(dim=1).float().mean() == pytest.approx(0.3, abs=0.05)


def test_a_crop_keeps_the_colours_and_shows_a_part(pixels: Tensor) -> None:
    ramp = torch.linspace(0, 1, 32).expand(200, 1, 32, 32)
    crops = random_resized_crop(ramp, draws(), smallest=0.25, flip=0.0)
    spans = crops.amax(dim=(1, 2, 3)) - crops.amin(dim=(1, 2, 3))
    assert crops.min() >= 0
    assert crops.max() <= 1
    assert 0.35 < spans.min() < 0.6  # a quarter of the area, at aspect ratios around 1
    assert spans.max() > 0.9
    flat = torch.full((4, 3, 8, 8), 0.3)
    torch.testing.assert_close(random_resized_crop(flat, draws(), smallest=0.2, flip=0.5), flat)


def test_a_whole_crop_is_the_image_itself(pixels: Tensor) -> None:
    square = torch.rand(6, 3, 9, 9, generator=draws())
    whole = random_resized_crop(square, draws(), smallest=1.0, flip=1.0)
    inner = whole.flip(-1)
    assert inner.shape == square.shape
    assert (inner - square).abs().mean() < 0.2  # the aspect ratio alone is drawn


@pytest.mark.parametrize(
    ("index", "adjust"),
    [
        (1, reference.adjust_brightness),
        (2, reference.adjust_contrast),
        (3, reference.adjust_saturation),
    ],
)
def test_colours_change_as_torchvisions_do(
    pixels: Tensor, monkeypatch: pytest.MonkeyPatch, index: int, adjust: object
) -> None:
    """One of the three factors is drawn as 1.4 (strength 1 · 0.8 · 0.5), the others stay 1."""
    calls = iter(range(10))

    def rand(count: int, *, generator: torch.Generator) -> Tensor:
        """The first call chooses images, then come brightness, contrast, saturation, hue."""
        call = next(calls)
        if call == 0:
            return torch.zeros(count)
        return torch.full((count,), 0.75 if call == index else 0.5)

    monkeypatch.setattr(torch, "rand", rand)
    changed = recoloured(pixels, draws(), strength=1.0, share=1.0, grey=0.0)
    torch.testing.assert_close(changed, adjust(pixels, 1.4), atol=1e-4, rtol=0)  # type: ignore[operator]


def test_grey_is_torchvisions_and_hue_leaves_greys_and_luma(pixels: Tensor) -> None:
    grey = recoloured(pixels, draws(), strength=0.0, share=0.0, grey=1.0)
    expected = reference.rgb_to_grayscale(pixels, num_output_channels=3)
    torch.testing.assert_close(grey, expected, atol=1e-4, rtol=0)
    flat = torch.full((50, 3, 4, 4), 0.5)
    jittered = recoloured(flat, draws(), strength=1.0, share=1.0, grey=0.0)
    torch.testing.assert_close(jittered[:, 0], jittered[:, 1], atol=1e-4, rtol=0)


def test_images_that_are_not_chosen_keep_their_colours(pixels: Tensor) -> None:
    changed = recoloured(pixels, draws(), strength=1.0, share=0.5, grey=0.0)
    kept = (changed - pixels).abs().amax(dim=(1, 2, 3)) < 1e-6
    assert 0.3 < kept.float().mean() < 0.7


def test_blur_lowers_contrast_of_its_share_and_keeps_flat_images(pixels: Tensor) -> None:
    noise = torch.rand(400, 1, 16, 16, generator=draws())
    contrast = blurred(noise, draws(), share=0.5).std(dim=(1, 2, 3)) / noise.std(dim=(1, 2, 3))
    assert (contrast < 0.95).float().mean() == pytest.approx(0.45, abs=0.12)
    flat = torch.full((4, 3, 8, 8), 0.3)
    torch.testing.assert_close(blurred(flat, draws(), share=1.0), flat)


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 32, 32), (3, 28, 20)])
def test_shapes_and_types_stay(shape: tuple[int, int, int]) -> None:
    images = torch.rand(5, *shape)
    augment = Augmentation(
        EVERYTHING, mean=torch.full(shape[:1], 0.5), std=torch.full(shape[:1], 0.2)
    )
    varied = augment(images, draws())
    assert varied.shape == images.shape
    assert varied.dtype == images.dtype
    assert torch.isfinite(varied).all()
