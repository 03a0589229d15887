"""The questions of the paper's tables, small: minutes on two cores, on data at hand."""

from __future__ import annotations

from vcr_core.config import (
    AugmentationConfig,
    DataConfig,
    ModelConfig,
    ObjectiveConfig,
    OptimizerConfig,
    RegularizerConfig,
    RunConfig,
    TelemetryConfig,
    TrainingConfig,
    TransferConfig,
)
from vcr_core.config.learning import Objective
from vcr_core.presets.preset import Preset

TELEMETRY = TelemetryConfig(reports=40, snapshots=20)

_MOONS = Preset(
    name="two-moons",
    title="Two moons: a line is enough, a curve is right",
    summary=(
        "In training the moons are pulled apart, so that a straight line divides them: gradient "
        "starvation. The test moons touch. Does the network learn more than the line?"
    ),
    look_for="The probe for the place along a moon, which the line does not need.",
    highlights=("along",),
    config=RunConfig(
        data=DataConfig(dataset="two-moons", source="moon", shortcut=0.6),
        model=ModelConfig(name="mlp", hidden=(64, 64)),
        regularizer=RegularizerConfig(variance_weight=0.1, covariance_weight=0.1),
        optimizer=OptimizerConfig(learning_rate=1e-3),
        training=TrainingConfig(epochs=60, batch_size=100),
        transfer=TransferConfig(targets=("moon", "along")),
        telemetry=TELEMETRY,
    ),
)

_SHORTCUT = Preset(
    name="sprites-shortcut",
    title="A shortcut: colour gives the shape away",
    summary=(
        "In nine of ten training images the colour tells the shape. In test images it does not. "
        "What does the network learn to look at?"
    ),
    look_for="Accuracy on shape itself, and the probes for shape and colour.",
    highlights=("shape", "background"),
    config=RunConfig(
        data=DataConfig(shortcut=0.9),
        transfer=TransferConfig(targets=("shape", "colour", "background", "shape@noise-2")),
    ),
)

_TABLE1 = Preset(
    name="table1-small",
    title="Learn garments, transfer elsewhere (small)",
    summary=(
        "The paper's table 1 in small: a ConvNeXt learns garments and is probed on other data, "
        "and on the same garments under noise and shifts."
    ),
    look_for="The average over the targets: the paper reports a gain on most of eight data sets.",
    highlights=("digits:digit",),
    config=RunConfig(
        data=DataConfig(dataset="fashion-mnist", source="garment", train_size=6000, test_size=2000),
        augmentation=AugmentationConfig(crop_padding=2, flip=0.5),
        model=ModelConfig(name="small-convnext", width=16),
        optimizer=OptimizerConfig(learning_rate=2e-3, weight_decay=0.05, schedule="cosine"),
        objective=ObjectiveConfig(label_smoothing=0.1),
        regularizer=RegularizerConfig(variance_weight=0.1, covariance_weight=0.1),
        training=TrainingConfig(epochs=6, batch_size=128),
        transfer=TransferConfig(
            targets=("digits:digit", "sprites:shape", "garment@noise-2", "garment@shift-2"),
            probes=3,
        ),
        telemetry=TELEMETRY,
    ),
)

_HIERARCHY = Preset(
    name="hierarchy-small",
    title="Learn five groups, probe ten garments (small)",
    summary=(
        "Superclass for training, subclass for probing: the networks learn to tell tops, "
        "trousers, dresses, shoes and bags apart; the probe has to name the garment."
    ),
    look_for="The probe for the garment: what the groups hide from the network's task.",
    highlights=("garment",),
    config=RunConfig(
        data=DataConfig(dataset="fashion-mnist", source="coarse", train_size=10_000),
        model=ModelConfig(name="mlp"),
        optimizer=OptimizerConfig(learning_rate=1e-3),
        training=TrainingConfig(epochs=10, batch_size=128),
        transfer=TransferConfig(targets=("garment", "digits:digit")),
        telemetry=TELEMETRY,
    ),
)

_LONG_TAIL = Preset(
    name="long-tail-small",
    title="Few of some garments, many of others (small)",
    summary=(
        "The last garment has a hundredth of the training images of the first. The test images "
        "are balanced."
    ),
    look_for="Accuracy on the balanced test images: the rare classes are hard.",
    highlights=("garment",),
    config=RunConfig(
        data=DataConfig(dataset="fashion-mnist", source="garment", imbalance=100.0, test_size=4000),
        model=ModelConfig(name="mlp"),
        regularizer=RegularizerConfig(variance_weight=0.1, covariance_weight=0.1),
        optimizer=OptimizerConfig(learning_rate=1e-3, schedule="cosine"),
        training=TrainingConfig(epochs=8, batch_size=128),
        transfer=TransferConfig(targets=("garment", "digits:digit"), probes=4),
        telemetry=TELEMETRY,
    ),
)


def _without_labels(name: Objective, title: str) -> Preset:
    return Preset(
        name=f"ssl-{name}-small",
        title=title,
        summary=(
            "The network sees no label: it learns that two crops of a picture belong together. "
            "VCR acts on its inner layers besides."
        ),
        look_for="The probes: what can be read from features that were never told a name.",
        highlights=("garment", "digits:digit"),
        config=RunConfig(
            data=DataConfig(
                dataset="fashion-mnist", source="garment", train_size=4000, test_size=2000
            ),
            augmentation=AugmentationConfig(smallest_crop=0.3, flip=0.5, jitter=0.4, blur=0.2),
            objective=ObjectiveConfig(name=name),
            regularizer=RegularizerConfig(variance_weight=0.1, covariance_weight=0.1),
            training=TrainingConfig(epochs=6, batch_size=128),
            transfer=TransferConfig(targets=("garment", "coarse", "digits:digit"), probes=3),
            telemetry=TELEMETRY,
        ),
    )


_SPEED = Preset(
    name="speed-small",
    title="A short, quick recipe (small)",
    summary=(
        "The recipe of 'cifar10-speed' on sprites: SGD with a short warm-up, softened labels, "
        "averaged weights, and VCR on its light budget."
    ),
    look_for="Seconds a step with VCR and without: the light budget is meant to cost nearly none.",
    highlights=("colour", "background"),
    config=RunConfig(
        augmentation=AugmentationConfig(crop_padding=2, flip=0.5),
        objective=ObjectiveConfig(label_smoothing=0.2),
        regularizer=RegularizerConfig(variance_weight=0.1, covariance_weight=0.1, budget="light"),
        optimizer=OptimizerConfig(
            name="sgd",
            learning_rate=0.2,
            weight_decay=5e-4,
            norm_decay=False,
            schedule="linear",
            warmup=0.2,
        ),
        training=TrainingConfig(epochs=8, batch_size=128, averaging=0.98),
        transfer=TransferConfig(probes=3),
        telemetry=TELEMETRY,
    ),
)

_VIDEO = Preset(
    name="video-small",
    title="How it moves, and what moves (small)",
    summary=(
        "Clips of eight frames: a shape slides, turns, grows or shrinks. A small video network "
        "learns the motion from about 80 clips of each, VCR acts on its final representation "
        "alone; probes ask what moved, how fast, and whether it was bright or dark."
    ),
    look_for=(
        "Accuracy on the motion itself, as in the paper's table: expect a small difference. The "
        "features use more directions; whether the probes profit is another matter."
    ),
    highlights=("tone",),
    seconds=27,
    config=RunConfig(
        data=DataConfig(dataset="moving-shapes", source="motion", train_size=480),
        model=ModelConfig(name="video-small", width=8),
        regularizer=RegularizerConfig(layers=("last",)),
        optimizer=OptimizerConfig(learning_rate=3e-3, schedule="cosine"),
        training=TrainingConfig(epochs=25, batch_size=32),
        transfer=TransferConfig(targets=("shape", "speed", "tone"), probes=4),
        telemetry=TELEMETRY,
    ),
)

SMALL = (
    _MOONS,
    _SHORTCUT,
    _TABLE1,
    _HIERARCHY,
    _LONG_TAIL,
    _without_labels("simclr", "SimCLR, then probes (small)"),
    _without_labels("vicreg", "VICReg, then probes (small)"),
    _VIDEO,
    _SPEED,
)
