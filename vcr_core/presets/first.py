"""The three experiments that a first user meets: seconds on a laptop, five seeds measured.

The settings were found by search; ``docs/log.md`` tells what was tried, and
``docs/results/presets.json`` holds what they give over five seeds.
"""

from __future__ import annotations

from vcr_core.config import (
    DataConfig,
    ModelConfig,
    OptimizerConfig,
    RunConfig,
    TelemetryConfig,
    TrainingConfig,
    TransferConfig,
)
from vcr_core.presets.preset import Preset

_SPRITES = Preset(
    name="sprites-shape",
    title="Train for shape, transfer to colour",
    summary=(
        "Two networks learn to name the shape of a small rendered object. Nobody asks them about "
        "its colour or what is behind it. Which of them still knows?"
    ),
    look_for=(
        "Both name the shape. Watch colour and background: the plain network forgets them, "
        "the regularised one keeps them. Scale pays a little for it."
    ),
    highlights=("colour", "background"),
    seconds=26,
    config=RunConfig(),
)

_DIGITS = Preset(
    name="digits-parity",
    title="Odd or even? And which digit?",
    summary=(
        "Real scanned digits. The networks learn only whether a digit is odd or even; then a "
        "linear probe has to tell all ten digits apart from their features."
    ),
    look_for="The probe for the digit: features that collapsed onto odd-or-even lose the digit.",
    highlights=("digit",),
    seconds=4,
    config=RunConfig(
        data=DataConfig(dataset="digits", source="parity"),
        model=ModelConfig(name="mlp"),
        training=TrainingConfig(epochs=30, batch_size=128),
        transfer=TransferConfig(targets=("digit",)),
        telemetry=TelemetryConfig(snapshots=20),
    ),
)

_FASHION = Preset(
    name="fashion-coarse",
    title="Clothing or not? And which garment?",
    summary=(
        "Real photographs of garments. The networks learn only whether a picture shows clothing "
        "or something else; then probes have to name the garment, and even handwritten digits."
    ),
    look_for="The probes for the garment and for the digits, a data set neither network has seen.",
    highlights=("garment", "digits:digit"),
    seconds=13,
    config=RunConfig(
        data=DataConfig(dataset="fashion-mnist", source="clothing", train_size=10_000),
        model=ModelConfig(name="mlp"),
        optimizer=OptimizerConfig(learning_rate=1e-3),
        training=TrainingConfig(epochs=10, batch_size=128),
        transfer=TransferConfig(targets=("garment", "digits:digit")),
        telemetry=TelemetryConfig(snapshots=20),
    ),
)

FIRST = (_SPRITES, _DIGITS, _FASHION)
