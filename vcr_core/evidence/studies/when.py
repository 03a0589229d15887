"""When does it help? Sixty and more settings, both sides tuned alike; see ``evidence.prediction``.

They differ in the data, the network, its normalisation, width and depth, the number and coarseness
of classes, the length of training, augmentation, the amount of data, and shortcuts.
"""

from __future__ import annotations

from collections.abc import Iterator

from vcr_core.evidence.design import Changes, Setting, Study
from vcr_core.evidence.studies.parts import (
    CONVNEXT,
    DIGITS,
    FASHION,
    MLP,
    RESNET,
    SPRITES,
    VIT,
    tuned_setting,
)

Cases = dict[str, tuple[Changes, ...]]

LONGER: Changes = {"training.epochs": 30}
SHORTER: Changes = {"training.epochs": 3}
SHIFTED: Changes = {"augmentation.crop_padding": 1}
HIGH: Changes = {"data.source": "high"}
DIGIT: Changes = {"data.source": "digit", "transfer.targets": ("fashion-mnist:garment",)}
COARSE: Changes = {"data.source": "coarse"}
GARMENT: Changes = {"data.source": "garment", "transfer.targets": ("digits:digit",)}

PLAIN: Changes = {"model.norm": "none"}
BATCH: Changes = {"model.norm": "batch"}
LAYER: Changes = {"model.norm": "layer"}


def _digits_mlp() -> Cases:
    return {
        "": (),
        "batch norm": (BATCH,),
        "layer norm": (LAYER,),
        "narrow": ({"model.hidden": (64, 32)},),
        "wide": ({"model.hidden": (1024, 512)},),
        "deep": ({"model.hidden": (256, 256, 256, 256, 256)},),
        "short": (SHORTER,),
        "long": (LONGER, {"training.epochs": 60}),
        "300 images": ({"data.train_size": 300}, LONGER),
        "shifted": (SHIFTED, LONGER),
        "0–4 or 5–9": (HIGH,),
        "ten classes to garments": (DIGIT,),
        "ten classes to garments, batch norm": (DIGIT, BATCH),
    }


def _digits_resnet() -> Cases:
    return {
        "": (),
        "layer norm": (LAYER,),
        "no norm": (PLAIN, {"optimizer.learning_rate": 1e-3}),
        "wide": ({"model.width": 16},),
        "long": (LONGER,),
        "short": (SHORTER,),
        "300 images": ({"data.train_size": 300}, {"training.epochs": 20}),
        "shifted": (SHIFTED, {"training.epochs": 12}),
        "0–4 or 5–9": (HIGH,),
        "ten classes to garments": (DIGIT,),
    }


def _digits_others() -> dict[str, Cases]:
    return {
        "small ConvNeXt": {
            "": (CONVNEXT,),
            "long": (CONVNEXT, {"training.epochs": 20}),
            "0–4 or 5–9": (CONVNEXT, HIGH),
            "batch norm": (CONVNEXT, BATCH),
        },
        "small ViT": {
            "": (VIT, {"training.epochs": 10}),
            "0–4 or 5–9": (VIT, HIGH, {"training.epochs": 10}),
        },
    }


def _fashion_mlp() -> Cases:
    return {
        "": (),
        "batch norm": (BATCH,),
        "layer norm": (LAYER,),
        "narrow": ({"model.hidden": (64, 32)},),
        "short": (SHORTER,),
        "long": (LONGER,),
        "1,000 images": ({"data.train_size": 1000}, LONGER),
        "10,000 images": ({"data.train_size": 10_000}, {"training.epochs": 6}),
        "shifted": ({"augmentation.crop_padding": 2},),
        "five groups": (COARSE,),
        "five groups, batch norm": (COARSE, BATCH),
        "ten classes to digits": (GARMENT,),
        "five groups, long tail": (COARSE, {"data.imbalance": 30.0}, LONGER),
    }


def _fashion_resnet() -> Cases:
    return {
        "": (),
        "layer norm": (LAYER,),
        "no norm": (PLAIN, {"optimizer.learning_rate": 1e-3}),
        "long": ({"training.epochs": 15},),
        "1,000 images": ({"data.train_size": 1000}, {"training.epochs": 15}),
        "shifted": ({"augmentation.crop_padding": 2},),
        "five groups": (COARSE,),
        "ten classes to digits": (GARMENT,),
    }


def _fashion_others() -> dict[str, Cases]:
    few: Changes = {"data.train_size": 1500}
    return {
        "small ConvNeXt": {"": (CONVNEXT, few), "five groups": (CONVNEXT, few, COARSE)},
        "small ViT": {"": (VIT, few)},
    }


def _sprites_resnet() -> Cases:
    return {
        "": (),
        "layer norm": (LAYER,),
        "no norm": (PLAIN, {"optimizer.learning_rate": 1e-3}),
        "wide": ({"model.width": 16},),
        "long": ({"training.epochs": 15},),
        "shortcut": ({"data.shortcut": 0.9},),
        "colour": ({"data.source": "colour"},),
        "background": ({"data.source": "background"},),
        "scale": ({"data.source": "scale"},),
        "position": ({"data.source": "x-position"},),
        "texture": ({"data.source": "texture"},),
    }


def _sprites_others() -> dict[str, Cases]:
    few: Changes = {"data.train_size": 1500, "data.test_size": 1000}
    return {
        "MLP": {
            "colour": (MLP, {"data.source": "colour"}),
            "background": (MLP, {"data.source": "background"}),
        },
        "small ConvNeXt": {"colour": (CONVNEXT, few, {"data.source": "colour"})},
    }


def _family(data: str, network: str, cases: Cases, *first: Changes) -> Iterator[Setting]:
    for case, changes in cases.items():
        name = f"{data}, {network}" + (f", {case}" if case else "")
        tags = {"data": data, "network": network, "family": f"{data}, {network}"}
        yield tuned_setting(name, *first, *changes, tags=tags)


def settings() -> Iterator[Setting]:
    """All settings, the quickest families first."""
    yield from _family("digits", "small ResNet", _digits_resnet(), DIGITS, RESNET)
    yield from _family("digits", "MLP", _digits_mlp(), DIGITS, MLP)
    for network, cases in _digits_others().items():
        yield from _family("digits", network, cases, DIGITS)
    yield from _family("garments", "MLP", _fashion_mlp(), FASHION, MLP)
    yield from _family("garments", "small ResNet", _fashion_resnet(), FASHION, RESNET)
    yield from _family("sprites", "small ResNet", _sprites_resnet(), SPRITES, RESNET)
    for network, cases in _sprites_others().items():
        yield from _family("sprites", network, cases, SPRITES)
    for network, cases in _fashion_others().items():
        yield from _family("garments", network, cases, FASHION)


def study() -> Study:
    """The study, without any run."""
    return Study(
        name="when",
        title="When does it help?",
        question=(
            "Both sides tuned with four trials on held-out training images: in which settings "
            "does variance-covariance regularisation raise transfer, and can the baseline alone "
            "tell?"
        ),
        settings=tuple(settings()),
        baseline="baseline",
        tuning_seeds=(100, 101),
        quick=("digits, small ResNet", "digits, MLP", "garments, MLP", "digits, MLP, narrow"),
    )
