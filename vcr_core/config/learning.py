"""What is learned from the images, and how they are varied. Nothing here imports torch."""

from __future__ import annotations

from vcr_core.config.base import Section, setting


class AugmentationConfig(Section):
    """How every image is varied each time it is seen. All chance comes from (seed, step)."""

    crop_padding: int = setting(
        0,
        "Shifts",
        "Every image is moved by up to this many pixels each way, its edge mirrored. 0 is never.",
        unit="pixels",
        ge=0,
        le=64,
    )
    smallest_crop: float = setting(
        1.0,
        "Smallest crop",
        "Every image becomes a random part of itself, at least this share of its area, scaled "
        "back to its size. 1 keeps the whole.",
        gt=0.0,
        le=1.0,
    )
    flip: float = setting(
        0.0, "Mirrored", "Share of images mirrored left to right; 0.5 is usual.", ge=0.0, le=1.0
    )
    jitter: float = setting(
        0.0,
        "Colour jitter",
        "How far brightness, contrast and saturation (by up to 0.8 of this) and hue (0.2 of this) "
        "are changed.",
        ge=0.0,
        le=1.0,
    )
    jitter_share: float = setting(
        1.0, "Jittered", "Share of images whose colours are jittered.", ge=0.0, le=1.0
    )
    grey: float = setting(0.0, "Greyed", "Share of images whose colours are removed.", ge=0, le=1)
    blur: float = setting(0.0, "Blurred", "Share of images that are blurred.", ge=0.0, le=1.0)

    @property
    def is_on(self) -> bool:
        """Whether anything is varied at all."""
        shares = (self.crop_padding, self.flip, self.jitter * self.jitter_share, self.grey)
        return self.smallest_crop < 1 or any(share > 0 for share in (*shares, self.blur))
