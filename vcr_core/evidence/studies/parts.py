"""What the studies share: data at hand, small networks, and what each side may choose from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vcr_core.config import RunConfig, get_value, override
from vcr_core.evidence.design import Arm, Changes, Setting

DIGITS: Changes = {
    "data.dataset": "digits",
    "data.source": "parity",
    "transfer.targets": ("digit",),
}
FASHION: Changes = {
    "data.dataset": "fashion-mnist",
    "data.source": "clothing",
    "data.train_size": 3000,
    "data.test_size": 2000,
    "transfer.targets": ("garment", "digits:digit"),
}
SPRITES: Changes = {
    "data.dataset": "sprites",
    "data.source": "shape",
    "data.train_size": 3000,
    "data.test_size": 1500,
    "training.epochs": 6,
}

MLP: Changes = {"model.name": "mlp", "optimizer.learning_rate": 1e-3, "training.epochs": 12}
RESNET: Changes = {"model.name": "small-resnet", "model.width": 8, "training.epochs": 6}
CONVNEXT: Changes = {
    "model.name": "small-convnext",
    "model.width": 8,
    "optimizer.learning_rate": 2e-3,
    "training.epochs": 6,
}
VIT: Changes = {
    "model.name": "small-vit",
    "model.width": 8,
    "optimizer.learning_rate": 1e-3,
    "training.epochs": 6,
}

BASELINE, VCR = "baseline", "vcr"
#: Weights (variance, covariance) that the regularised side may choose from, in the exact scale.
WEIGHTS = ((0.01, 0.01), (0.1, 0.1), (1.0, 1.0), (1.0, 10.0))


def config(*changes: Changes) -> RunConfig:
    """A configuration without regularisation, later changes over earlier ones."""
    merged: dict[str, Any] = weights(0.0, 0.0)
    for each in changes:
        merged |= each
    return override(RunConfig(), merged)


def weights(variance: float, covariance: float) -> dict[str, Any]:
    """The two weights as changes."""
    return {
        "regularizer.variance_weight": float(variance),
        "regularizer.covariance_weight": float(covariance),
    }


def tuned_vcr() -> Arm:
    """VCR at the best of four pairs of weights."""
    return Arm(VCR, tuple(weights(*pair) for pair in WEIGHTS))


def tuned_baseline(base: RunConfig) -> Arm:
    """No VCR, at the best of four ordinary settings: as given, a third of the learning rate,
    more weight decay, dropout before the classifier."""
    rate = get_value(base, "optimizer.learning_rate")
    return Arm(
        BASELINE,
        (
            {},
            {"optimizer.learning_rate": rate / 3},
            {"optimizer.weight_decay": 0.1},
            {"model.dropout": 0.3},
        ),
    )


def tuned_setting(name: str, *changes: Changes, tags: Mapping[str, str]) -> Setting:
    """VCR against no VCR, both tuned with four trials."""
    base = config(*changes)
    return Setting(name, base, (tuned_baseline(base), tuned_vcr()), tags)
