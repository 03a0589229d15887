"""What is learned from the images, and how they are varied. Nothing here imports torch."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from vcr_core.config.base import Section, setting
from vcr_core.errors import ConfigError

#: The policies of ``vcr_core.datasets.policies``, and none; a test holds the two together.
Policy = Literal["none", "trivial", "rand", "auto"]
Objective = Literal["supervised", "simclr", "vicreg"]
#: The keys of ``vcr_core.regularization.rivals.RIVALS``; a test holds the two together.
Rival = Literal[
    "none",
    "weight-decay",
    "dropout",
    "decov",
    "spectral-decoupling",
    "weak-sigreg",
    "vicreg",
]


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
    crop_size: int | None = setting(
        None,
        "Crop size",
        "Crops are scaled to this many pixels and not to the images' size: training on smaller "
        "images than one measures on is faster. Needs a smallest crop below 1.",
        unit="pixels",
        ge=8,
        le=512,
    )
    flip: float = setting(
        0.0, "Mirrored", "Share of images mirrored left to right; 0.5 is usual.", ge=0.0, le=1.0
    )
    alternate: bool = setting(
        False,
        "Mirrored in turn",
        "Which images are mirrored is drawn once: those that are in one epoch are not in the "
        "next, and the other way round. Both sides are then seen equally often.",
    )
    policy: Policy = setting(
        "none",
        "Policy",
        "'trivial' does one thing to every image (turn, shear, brighten, equalize, …), as strongly "
        "as chance has it (TrivialAugment); 'rand' two things at strength 9 of 30 (RandAugment); "
        "'auto' one of 25 pairs that were learned for ImageNet (AutoAugment).",
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
    erasing: float = setting(
        0.0,
        "Erased",
        "Share of images of which a random rectangle is painted over with the mean colour.",
        ge=0.0,
        le=1.0,
    )

    cutout: int = setting(
        0,
        "Cut out",
        "A square of this many pixels is painted over with the mean colour in every image. 0 is "
        "never.",
        unit="pixels",
        ge=0,
        le=512,
    )

    @model_validator(mode="after")
    def _turns_are_taken(self) -> AugmentationConfig:
        if self.alternate and not self.flip:
            raise ConfigError(
                "expected a share of mirrored images above 0 where they take turns, got 0: set "
                "augmentation.flip=0.5, for example",
                field="augmentation.alternate",
            )
        return self

    @model_validator(mode="after")
    def _crop_is_one(self) -> AugmentationConfig:
        if self.crop_size is not None and self.smallest_crop == 1:
            raise ConfigError(
                f"expected a smallest crop below 1 beside crops of {self.crop_size} pixels, got 1: "
                "set augmentation.smallest_crop=0.08, for example",
                field="augmentation.crop_size",
            )
        return self

    @property
    def is_on(self) -> bool:
        """Whether anything is varied at all."""
        colours = (self.jitter * self.jitter_share, self.grey, self.blur)
        amounts = (self.crop_padding, self.flip, *colours, self.erasing, self.cutout)
        drawn = self.smallest_crop < 1 or self.policy != "none"
        return drawn or any(amount > 0 for amount in amounts)


class ObjectiveConfig(Section):
    """What the network is trained for, before any regularisation."""

    name: Objective = setting(
        "supervised",
        "Objective",
        "'supervised' names the source factor. 'simclr' and 'vicreg' see no label: they pull two "
        "augmented views of an image together. A classifier beside them, whose gradient the "
        "network never feels, measures the source factor.",
    )
    label_smoothing: float = setting(
        0.0,
        "Label smoothing",
        "Supervised: the share of every label that is spread over all classes.",
        ge=0.0,
        lt=1.0,
    )
    mixup: float = setting(
        0.0,
        "Mixup",
        "Supervised: images and labels of a batch are mixed in pairs by a share drawn from "
        "Beta(this, this). 0 switches it off.",
        ge=0.0,
        le=10.0,
    )
    cutmix: float = setting(
        0.0,
        "CutMix",
        "Supervised: a rectangle of every image comes from another one, with its share of the "
        "label; the share is drawn from Beta(this, this). Beside mixup, each step takes one of "
        "the two.",
        ge=0.0,
        le=10.0,
    )
    projector: tuple[Annotated[int, Field(ge=2, le=8192)], ...] = setting(
        (256, 128),
        "Projector",
        "Self-supervised: sizes of the layers between the features and the loss. Thrown away "
        "after training.",
        unit="features",
        min_length=1,
        max_length=4,
    )
    temperature: float = setting(
        0.5, "Temperature", "SimCLR: lower makes the most alike images count more.", gt=0.0, le=10.0
    )
    invariance: float = setting(
        25.0, "Invariance", "VICReg: weight of the distance between two views.", ge=0.0, le=1e4
    )
    variance: float = setting(
        25.0, "Variance", "VICReg: weight of its own variance term.", ge=0.0, le=1e4
    )
    covariance: float = setting(
        1.0, "Covariance", "VICReg: weight of its own covariance term.", ge=0.0, le=1e4
    )
