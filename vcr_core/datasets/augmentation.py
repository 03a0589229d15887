"""Vary every image of a batch on its own, on the device the batch lies on.

    augment = Augmentation(config.augmentation, mean=data.mean, std=data.std)
    images = augment(images, generator(seed, f"augmentation of step {step}"))

Chance is drawn on the CPU, a few numbers an image, so a seed gives the same pictures on every
device. Order: shift or crop, mirror, policy, colours, blur, erasing, cutout.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal, Protocol

import torch
from torch import Tensor
from torch.nn import functional

from vcr_core.datasets import policies
from vcr_core.datasets.operations import GREY
from vcr_core.device_copies import send

#: SimCLR's proportions of colour jitter (Chen et al., arXiv 2002.05709, appendix A).
BRIGHTNESS, CONTRAST, SATURATION, HUE = 0.8, 0.8, 0.8, 0.2
ASPECT_RATIOS = (3 / 4, 4 / 3)
#: Area and aspect ratio of what is erased (Zhong et al., arXiv 1708.04896, section 4.1).
ERASED_AREA, ERASED_RATIOS = (0.02, 0.33), (0.3, 3.3)
BLUR_STD = (0.1, 2.0)  # of the Gaussian, in pixels of a 32-pixel image; scales with the size
#: From RGB to luma and two colour differences (YIQ, NTSC 1953).
YIQ = ((0.299, 0.587, 0.114), (0.5959, -0.2746, -0.3213), (0.2115, -0.5227, 0.3112))


class Amounts(Protocol):
    """How much is varied; ``vcr_core.config.AugmentationConfig`` is one."""

    @property
    def crop_padding(self) -> int: ...
    @property
    def smallest_crop(self) -> float: ...
    @property
    def crop_size(self) -> int | None: ...
    @property
    def flip(self) -> float: ...
    @property
    def policy(self) -> Literal["none"] | policies.Policy: ...
    @property
    def jitter(self) -> float: ...
    @property
    def jitter_share(self) -> float: ...
    @property
    def grey(self) -> float: ...
    @property
    def blur(self) -> float: ...
    @property
    def erasing(self) -> float: ...
    @property
    def cutout(self) -> int: ...


@dataclass(frozen=True, eq=False)
class Augmentation:
    """Per-sample augmentation of standardised images (N, C, H, W), or clips (N, C, T, H, W).

    ``mean`` and ``std`` (C,) are those the images were standardised with: colours are changed on
    pixels in [0, 1]. ``cropped`` images come cropped already, as those do that stream from disk.
    All frames of a clip are varied alike.
    """

    amounts: Amounts
    mean: Tensor
    std: Tensor
    cropped: bool = False

    def to(self, device: torch.device) -> Augmentation:
        """The same on another device."""
        return replace(self, mean=self.mean.to(device), std=self.std.to(device))

    def __call__(
        self, images: Tensor, draws: torch.Generator, *, mirrored: Tensor | None = None
    ) -> Tensor:
        """Images (N, C, H, W), each varied on its own with chance from ``draws``.

        ``mirrored`` (N,) says which are mirrored; by chance where it is not given.
        """
        amounts, within = self.amounts, images.shape[:-2]  # (N, C) or (N, C, T)
        images = self._moved(images.flatten(1, -3), draws, mirrored)  # frames are channels
        recolours = amounts.jitter * amounts.jitter_share > 0 or amounts.grey > 0
        if recolours or amounts.policy != "none":
            frames = images.reshape(*within, *images.shape[-2:])
            recoloured = self._in_colour(frames.flatten(2, -2), draws)  # frames below each other
            images = recoloured.reshape(frames.shape).flatten(1, -3)
        images = self._hidden(images, draws)
        return images.reshape(*within, *images.shape[-2:])

    def _in_colour(self, images: Tensor, draws: torch.Generator) -> Tensor:
        """Images (N, C, H, W) with their colours changed."""
        shape = (1, -1, 1, 1)
        pixels = images * self.std.view(shape) + self.mean.view(shape)
        return (self._recoloured(pixels, draws) - self.mean.view(shape)) / self.std.view(shape)

    def _hidden(self, images: Tensor, draws: torch.Generator) -> Tensor:
        """Blur, and what is painted over."""
        amounts = self.amounts
        if amounts.blur:
            images = blurred(images, draws, share=amounts.blur)
        if amounts.erasing:
            images = erased(images, draws, share=amounts.erasing)
        if amounts.cutout:
            images = cut_out(images, draws, size=amounts.cutout)
        return images

    def _moved(self, images: Tensor, draws: torch.Generator, mirrored: Tensor | None) -> Tensor:
        """Crop, shift and mirror."""
        amounts = self.amounts
        flip = amounts.flip if mirrored is None else 0.0
        crops = amounts.smallest_crop < 1 and not self.cropped
        if crops:
            images = random_resized_crop(
                images, draws, smallest=amounts.smallest_crop, flip=flip, size=amounts.crop_size
            )
        if amounts.crop_padding or (flip and not crops):
            flip = 0.0 if crops else flip
            images = shifted(images, draws, padding=amounts.crop_padding, flip=flip)
        if mirrored is not None:
            images = torch.where(mirrored.view(-1, 1, 1, 1), images.flip(3), images)
        return images

    def _recoloured(self, pixels: Tensor, draws: torch.Generator) -> Tensor:
        """Pixels (N, C, H, W) in [0, 1] after the policy and the jitter of colours."""
        amounts = self.amounts
        if amounts.policy != "none":
            pixels = policies.augment(pixels, amounts.policy, draws)
        if amounts.jitter * amounts.jitter_share > 0 or amounts.grey:
            pixels = recoloured(
                pixels,
                draws,
                strength=amounts.jitter,
                share=amounts.jitter_share,
                grey=amounts.grey,
            )
        return pixels


def shifted(images: Tensor, draws: torch.Generator, *, padding: int, flip: float = 0.0) -> Tensor:
    """Each image moved by up to ``padding`` pixels both ways with its edge mirrored, and mirrored
    left to right with probability ``flip``: torchvision's ``RandomCrop(size, padding,
    padding_mode="reflect")`` and ``RandomHorizontalFlip``, sample by sample, in one gather.
    """
    count, channels, height, width = images.shape
    offsets = torch.randint(-padding, padding + 1, (2, count, 1), generator=draws)
    mirrored = torch.rand(count, 1, generator=draws) < flip
    rows = _reflected(torch.arange(height) + offsets[0], height)
    across = torch.arange(width).expand(count, -1)
    columns = _reflected(torch.where(mirrored, width - 1 - across, across) + offsets[1], width)
    places = (rows.unsqueeze(2) * width + columns.unsqueeze(1)).view(count, 1, height * width)
    places = send(places, images.device).expand(-1, channels, -1)
    return images.reshape(count, channels, -1).gather(2, places).view_as(images)


def _reflected(places: Tensor, size: int) -> Tensor:
    """Places on a line of ``size`` pixels; those beyond its ends are mirrored back into it."""
    period = max(1, 2 * (size - 1))
    places = places.remainder(period)
    return torch.minimum(places, period - places).clamp_max(size - 1)


def random_resized_crop(
    images: Tensor,
    draws: torch.Generator,
    *,
    smallest: float,
    flip: float = 0.0,
    size: int | None = None,
) -> Tensor:
    """Each image a random part of itself, scaled back to (H, W) bilinearly, perhaps mirrored.

    With ``size`` it is scaled to (size, size).

    The part has a share in [``smallest``, 1] of the area and an aspect ratio in [3/4, 4/3], as in
    torchvision's ``RandomResizedCrop``, but it may not be wider or higher than the image.
    """
    count = len(images)
    area = torch.empty(count).uniform_(smallest, 1.0, generator=draws)
    low, high = (math.log(ratio) for ratio in ASPECT_RATIOS)
    ratio = torch.empty(count).uniform_(low, high, generator=draws).exp()
    width, height = (area * ratio).sqrt().clamp_max(1.0), (area / ratio).sqrt().clamp_max(1.0)
    centre = torch.rand(2, count, generator=draws) * 2 - 1
    mirrored = torch.rand(count, generator=draws) < flip
    theta = torch.zeros(count, 2, 3)
    theta[:, 0, 0] = torch.where(mirrored, -width, width)
    theta[:, 1, 1] = height
    theta[:, 0, 2], theta[:, 1, 2] = centre[0] * (1 - width), centre[1] * (1 - height)
    shape = list(images.shape) if size is None else [count, images.shape[1], size, size]
    grid = functional.affine_grid(send(theta, images.device), shape, align_corners=False)
    return functional.grid_sample(
        images, grid.to(images.dtype), padding_mode="border", align_corners=False
    )


def recoloured(
    pixels: Tensor, draws: torch.Generator, *, strength: float, share: float, grey: float
) -> Tensor:
    """Pixels (N, C, H, W) in [0, 1] with brightness, contrast, saturation and hue changed.

    Brightness, contrast and saturation are factors in 1 ± 0.8 · strength, as torchvision's;
    hue is a rotation by up to ± 0.2 · strength turns in the plane of the colour differences of
    YIQ (torchvision's goes through HSV). One matrix and one offset an image, clamped once. One
    channel has no saturation and hue.
    """
    count, channels = pixels.shape[:2]

    def factors(amount: float) -> Tensor:
        """Uniform in 1 ± amount · strength, 1 for those left alone; (N,)."""
        drawn = 1 + strength * amount * (2 * torch.rand(count, generator=draws) - 1)
        return torch.where(chosen, drawn, 1.0)

    chosen = torch.rand(count, generator=draws) < share
    brightness, contrast, saturation = map(factors, (BRIGHTNESS, CONTRAST, SATURATION))
    turn = (factors(HUE) - 1) * 2 * math.pi
    greyed = torch.rand(count, generator=draws) < grey
    saturation = torch.where(greyed, 0.0, saturation)
    luma = torch.tensor(GREY if channels == len(GREY) else [1 / channels] * channels)
    colours = torch.eye(channels).expand(count, -1, -1)
    if channels == len(GREY):
        colours = _hue_turn(turn) @ _saturated(saturation, luma)
    gain = (brightness * contrast).view(-1, 1, 1)
    matrix = send((colours * gain).to(pixels.dtype), pixels.device)
    luma = send(luma.to(pixels.dtype), pixels.device)
    mean_luma = (pixels.mean(dim=(2, 3)) * luma).sum(dim=1)  # (N,)
    lift = send(((1 - contrast) * brightness).to(pixels.dtype), pixels.device) * mean_luma
    changed = torch.bmm(matrix, pixels.flatten(2)).add_(lift.view(-1, 1, 1))
    return changed.clamp_(0, 1).view_as(pixels)


def _saturated(saturation: Tensor, luma: Tensor) -> Tensor:
    """s · I + (1 − s) · grey, (N, 3, 3): keeps grey as it is."""
    s = saturation.view(-1, 1, 1)
    return s * torch.eye(len(luma)) + (1 - s) * luma.expand(len(luma), -1)


def _hue_turn(angle: Tensor) -> Tensor:
    """Rotation (N, 3, 3) of the colour differences by ``angle`` radians (N,); luma stays."""
    basis = torch.tensor(YIQ)
    turn = torch.eye(3).repeat(len(angle), 1, 1)
    turn[:, 1, 1] = turn[:, 2, 2] = angle.cos()
    turn[:, 1, 2], turn[:, 2, 1] = -angle.sin(), angle.sin()
    rotation: Tensor = torch.linalg.solve(basis, turn @ basis)
    return torch.where(angle.view(-1, 1, 1) == 0, torch.eye(3), rotation)


def blurred(images: Tensor, draws: torch.Generator, *, share: float) -> Tensor:
    """A share of the images smoothed by a Gaussian of its own width, edges mirrored."""
    count, _, height, width = images.shape
    chosen = torch.rand(count, generator=draws) < share
    scale = max(height, width) / 32
    std = torch.empty(count).uniform_(*BLUR_STD, generator=draws) * scale
    reach = max(1, min(round(2 * scale), height - 1, width - 1))
    offsets = torch.arange(-reach, reach + 1)
    weights = torch.exp(-0.5 * (offsets / std.unsqueeze(1)) ** 2)
    weights = torch.where(chosen.unsqueeze(1), weights, (offsets == 0).float())
    weights = (weights / weights.sum(dim=1, keepdim=True)).to(images.dtype)
    weights = send(weights, images.device)  # (N, 2 · reach + 1)
    padded = functional.pad(images, (reach, reach, reach, reach), mode="reflect")
    down = _weighted(padded, weights, dim=2, size=height)
    return _weighted(down, weights, dim=3, size=width)


def _weighted(images: Tensor, weights: Tensor, *, dim: int, size: int) -> Tensor:
    """Σ_j weights[:, j] · images shifted by j along ``dim``, ``size`` places kept."""
    total = torch.zeros_like(images.narrow(dim, 0, size))
    for place, weight in enumerate(weights.unbind(1)):
        total.addcmul_(images.narrow(dim, place, size), weight.view(-1, 1, 1, 1))
    return total


def erased(images: Tensor, draws: torch.Generator, *, share: float) -> Tensor:
    """A share of the standardised images with a random rectangle at 0, the mean colour.

    Of 2 to 33 % of the area and an aspect ratio from 0.3 to 3.3, as torchvision's
    ``RandomErasing``, but cut to the image where it would be longer than one side.
    """
    count, _, height, width = images.shape
    area = torch.empty(count).uniform_(*ERASED_AREA, generator=draws) * height * width
    low, high = (math.log(ratio) for ratio in ERASED_RATIOS)
    ratio = torch.empty(count).uniform_(low, high, generator=draws).exp()
    chosen = torch.rand(count, generator=draws) < share
    inside = rectangles(
        (area * ratio).sqrt().round(),
        (area / ratio).sqrt().round(),
        (height, width),
        torch.rand(2, count, generator=draws),
    )
    hidden = (inside & chosen[:, None, None]).unsqueeze(1)
    return images.masked_fill(send(hidden, images.device), 0)


def cut_out(images: Tensor, draws: torch.Generator, *, size: int) -> Tensor:
    """Each standardised image with a square of ``size`` pixels, wholly inside, at 0.

    Source: DeVries, Taylor, arXiv 1708.04552 (whose square may leave the image).
    """
    count, _, height, width = images.shape
    side = torch.full((count,), float(size))
    places = torch.rand(2, count, generator=draws)
    inside = rectangles(side, side, (height, width), places)
    return images.masked_fill(send(inside.unsqueeze(1), images.device), 0)


def rectangles(heights: Tensor, widths: Tensor, size: tuple[int, int], places: Tensor) -> Tensor:
    """Which pixels lie in a rectangle of each image, (N, H, W) bool.

    Of ``heights`` and ``widths`` (N,) whole pixels, cut to the image of ``size`` (H, W);
    ``places`` (2, N) in [0, 1) say where between the top and the bottom, the left and the right.
    """
    spans = []
    for wanted, whole, place in zip((heights, widths), size, places, strict=True):
        length = wanted.clamp(0, whole)
        first = (place * (whole - length + 1)).floor()
        pixels = torch.arange(whole)
        spans.append((pixels >= first[:, None]) & (pixels < (first + length)[:, None]))
    return torch.logical_and(spans[0].unsqueeze(2), spans[1].unsqueeze(1))
