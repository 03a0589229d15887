"""Rivals, each at its own best; and architectures with every normalisation."""

from __future__ import annotations

from vcr_core.evidence.design import Arm, Changes, Setting, Study
from vcr_core.evidence.studies.parts import (
    BASELINE,
    CONVNEXT,
    DIGITS,
    FASHION,
    MLP,
    RESNET,
    SPRITES,
    VIT,
    config,
    tuned_baseline,
    tuned_setting,
    tuned_vcr,
)

#: Four strengths for each rival, a factor of about ten apart around what its source uses.
STRENGTHS: dict[str, tuple[float, ...]] = {
    "weight-decay": (1e-5, 1e-4, 1e-3, 1e-2),
    "dropout": (0.1, 0.2, 0.4, 0.6),
    "decov": (0.001, 0.01, 0.1, 1.0),
    "spectral-decoupling": (0.001, 0.01, 0.1, 1.0),
    "weak-sigreg": (0.01, 0.1, 1.0, 10.0),
    "vicreg": (0.01, 0.1, 1.0, 10.0),
}


def rivals() -> Study:
    """VCR beside other regularisers at the same layers, each tuned with four trials."""
    batch: Changes = {"model.norm": "batch"}
    cases = {
        "digits, MLP": (config(DIGITS, MLP), {"batch norm": batch}),
        "digits, small ResNet": (config(DIGITS, RESNET), {}),
        "garments, MLP": (config(FASHION, MLP), {"batch norm": batch}),
        "sprites, small ResNet": (config(SPRITES, RESNET), {}),
    }
    settings = []
    for name, (base, others) in cases.items():
        plain = tuned_baseline(base)
        arms = [plain, tuned_vcr(), *(_rival(rival) for rival in STRENGTHS)]
        for title, changes in others.items():
            arms.append(Arm(title, tuple({**each, **changes} for each in plain.candidates)))
        settings.append(Setting(name, base, tuple(arms)))
    return Study(
        name="rivals",
        title="Beside its rivals",
        question="Each regulariser at the best of four strengths, chosen on validation images.",
        settings=tuple(settings),
        baseline=BASELINE,
        tuning_seeds=(100, 101),
        quick=("digits, MLP",),
    )


def _rival(name: str) -> Arm:
    return Arm(
        name,
        tuple(
            {"regularizer.rival": name, "regularizer.rival_weight": strength}
            for strength in STRENGTHS[name]
        ),
    )


def architectures() -> Study:
    """Every small network with every normalisation, both sides tuned."""
    networks: dict[str, Changes] = {
        "MLP": MLP,
        "ResNet": RESNET,
        "ConvNeXt": CONVNEXT,
        "ViT": {**VIT, "training.epochs": 8},
    }
    slower: Changes = {"optimizer.learning_rate": 1e-3}
    settings = [
        tuned_setting(
            f"{name}, {title}",
            DIGITS,
            network,
            slower if norm == "none" else {},
            {"model.norm": norm},
            tags={"network": name, "norm": title},
        )
        for name, network in networks.items()
        for norm, title in (("none", "plain"), ("batch", "batch norm"), ("layer", "layer norm"))
    ]
    return Study(
        name="architectures",
        title="Which networks profit?",
        question="Scanned digits, odd or even to digit: networks and their normalisation.",
        settings=tuple(settings),
        baseline=BASELINE,
        tuning_seeds=(100, 101),
        quick=("MLP, plain", "ResNet, batch norm"),
    )
