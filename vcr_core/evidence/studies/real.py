"""Real images: what the coarse labels hide, few labels, a long tail; objectives; and the price."""

from __future__ import annotations

from vcr_core.evidence.design import Arm, Changes, Setting, Study
from vcr_core.evidence.studies.parts import (
    BASELINE,
    DIGITS,
    FASHION,
    MLP,
    RESNET,
    SPRITES,
    config,
    tuned_setting,
    tuned_vcr,
    weights,
)

COARSE: Changes = {"data.source": "coarse"}
GARMENT: Changes = {"data.source": "garment"}
TO_DIGITS: Changes = {"transfer.targets": ("digits:digit",)}
LONG_TAIL: Changes = {"data.imbalance": 50.0, "data.train_size": None, "training.epochs": 2}
CROPPED: Changes = {
    "augmentation.smallest_crop": 0.3,
    "augmentation.flip": 0.5,
    "augmentation.jitter": 0.4,
}
SHOTS = (50, 100, 500)


def real_images() -> Study:
    """Coarse to fine, to other images, with few labels, and with a long tail; both sides tuned."""
    networks: dict[str, Changes] = {"MLP": MLP, "small ResNet": RESNET}
    cases: dict[str, tuple[Changes, ...]] = {
        "odd or even to digit": (DIGITS,),
        "0–4 or 5–9 to digit": (DIGITS, {"data.source": "high"}),
        "clothing or not to garment and digit": (FASHION,),
        "five groups to garment and digit": (FASHION, COARSE),
        "garment to digit": (FASHION, GARMENT, TO_DIGITS),
        "long tail of garments to digit": (FASHION, GARMENT, TO_DIGITS, LONG_TAIL),
    }
    cases |= {
        f"odd or even to digit, {shots} labels": (DIGITS, {"transfer.train_size": shots})
        for shots in SHOTS
    }
    settings = (
        tuned_setting(f"{case}, {name}", network, *changes, tags={"network": name})
        for name, network in networks.items()
        for case, changes in cases.items()
    )
    return Study(
        name="real-images",
        title="Does it help on real images?",
        question=(
            "Scanned digits and photographed garments: does it keep what coarse labels hide, "
            "both sides tuned with four trials?"
        ),
        settings=tuple(settings),
        baseline=BASELINE,
        tuning_seeds=(100, 101),
        quick=("odd or even to digit, MLP", "odd or even to digit, small ResNet"),
    )


def objectives() -> Study:
    """Supervised, SimCLR and VICReg, each with and without."""
    base = (RESNET, {"data.train_size": 2000, "training.epochs": 8}, CROPPED)
    settings = [
        Setting(
            f"{data}, {title}",
            config(changes, *base, {"objective.name": name, "data.train_size": size}),
            (Arm(BASELINE, (weights(0, 0),)), tuned_vcr()),
            {"objective": title},
        )
        for data, changes, size in (
            ("garments", {**FASHION, **COARSE}, 2000),
            ("digits", DIGITS, None),
        )
        for name, title in (
            ("supervised", "supervised"),
            ("simclr", "SimCLR"),
            ("vicreg", "VICReg"),
        )
    ]
    return Study(
        name="objectives",
        title="With and without labels",
        question="Does it help networks that learn without labels, as the paper reports?",
        settings=tuple(settings),
        baseline=BASELINE,
        tuning_seeds=(100, 101),
        quick=("digits, supervised", "digits, SimCLR"),
    )


def price() -> Study:
    """What it costs: source accuracy, calibration, unknown images, noise."""
    garments: Changes = {
        "data.source": "garment",
        "transfer.targets": ("garment@noise-2", "garment@shift-2", "digits:digit"),
    }
    digits: Changes = {
        "data.source": "digit",
        "transfer.targets": ("digit@noise-2", "digit@shift-1", "fashion-mnist:garment"),
    }
    sprites: Changes = {
        "transfer.targets": ("shape@noise-2", "shape@shift-2", "colour", "background"),
    }
    arms = (
        Arm(BASELINE, (weights(0, 0),)),
        Arm("0.1, 0.1", (weights(0.1, 0.1),)),
        Arm("1, 1", (weights(1, 1),)),
    )
    cases = {
        "garments, MLP": (FASHION, MLP, garments),
        "garments, small ResNet": (FASHION, RESNET, garments),
        "digits, MLP": (DIGITS, MLP, digits),
        "digits, small ResNet": (DIGITS, RESNET, digits),
        "sprites, small ResNet": (SPRITES, RESNET, sprites),
    }
    return Study(
        name="price",
        title="What does it cost?",
        question=(
            "Source accuracy, calibration, the detection of images of another kind, and accuracy "
            "under noise and shifts, at two strengths."
        ),
        settings=tuple(Setting(name, config(*each), arms) for name, each in cases.items()),
        baseline=BASELINE,
        quick=("digits, MLP", "digits, small ResNet"),
    )
