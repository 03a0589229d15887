"""Which part of it does it, how much, where, and for which sizes? Mostly on rendered sprites."""

from __future__ import annotations

from collections.abc import Mapping

from vcr_core.evidence.design import Arm, Changes, Setting, Study
from vcr_core.evidence.studies.parts import (
    BASELINE,
    DIGITS,
    MLP,
    RESNET,
    SPRITES,
    VCR,
    config,
    weights,
)

NONE = Arm(BASELINE, (weights(0, 0),))
BOTH = Arm("both", (weights(1, 1),))
LAST: Changes = {"regularizer.layers": ("last",)}
#: Each weight of the dose-response surface; 0 and 0 is the baseline.
DOSES = (0.0, 0.1, 0.3, 1.0, 3.0, 10.0)
PUBLISHED: Changes = {"regularizer.scale": "published"}


def terms() -> Study:
    """Neither, one, or both terms; at the last layer or everywhere; in two scales."""
    arms = (
        NONE,
        Arm("variance alone", (weights(1, 0),)),
        Arm("covariance alone", (weights(0, 1),)),
        BOTH,
        Arm("both, last layer", ({**weights(1, 1), **LAST},)),
        Arm("both, published scale", ({**weights(1, 1), **PUBLISHED},)),
        Arm("both, published scale, 0.16 and 0.01", ({**weights(0.16, 0.01), **PUBLISHED},)),
        Arm("both, smooth-L1 at 0.1", (weights(1, 1) | {"regularizer.threshold": 0.1},)),
    )
    settings = (
        Setting("sprites, small ResNet", config(SPRITES, RESNET), arms),
        Setting("digits, small ResNet", config(DIGITS, RESNET), arms),
    )
    return Study(
        name="terms",
        title="Which term does it?",
        question=(
            "Trained to name shapes: what do variance, covariance, the layers and the scale each "
            "contribute to what the features still tell?"
        ),
        settings=settings,
        baseline=BASELINE,
        quick=("digits, small ResNet",),
    )


def dose() -> Study:
    """The dose-response surface over both weights."""
    arms = tuple(
        Arm(f"{variance:g}, {covariance:g}", (weights(variance, covariance),))
        for variance in DOSES
        for covariance in DOSES
    )
    base = config(SPRITES, RESNET)
    return Study(
        name="dose",
        title="How much of it?",
        question="Transfer and source accuracy over the variance and the covariance weight.",
        settings=(Setting("sprites, small ResNet", base, arms),),
        baseline="0, 0",
        quick=("sprites, small ResNet",),
    )


def size() -> Study:
    """The amount of data, width, depth and length of training."""
    arms = (NONE, Arm(VCR, (weights(1, 1),)))
    cases: Mapping[str, Changes] = {
        "1,000 images": {"data.train_size": 1000, "training.epochs": 18},
        "3,000 images": {},
        "6,000 images": {"data.train_size": 6000, "training.epochs": 3},
        "width 4": {"model.width": 4},
        "width 16": {"model.width": 16},
        "width 32": {"model.width": 32},
        "3 epochs": {"training.epochs": 3},
        "12 epochs": {"training.epochs": 12},
        "24 epochs": {"training.epochs": 24},
    }
    settings = [
        Setting(f"sprites, {name}", config(SPRITES, RESNET, changes), arms)
        for name, changes in cases.items()
    ]
    settings += [
        Setting(f"digits, {depth} hidden layers", config(DIGITS, MLP, _deep(depth)), arms)
        for depth in (1, 2, 4, 8)
    ]
    return Study(
        name="size",
        title="Does it depend on size?",
        question="Weights of 1 and 1 while data, width, depth and length of training vary.",
        settings=tuple(settings),
        baseline=BASELINE,
        quick=("sprites, 3,000 images", "sprites, 3 epochs"),
    )


def _deep(layers: int) -> Changes:
    return {"model.hidden": (256,) * layers}
