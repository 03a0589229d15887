"""How weights follow gradients, and how images come to each step. Nothing here imports torch."""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from vcr_core.config.base import Section, setting
from vcr_core.errors import ConfigError

OptimizerName = Literal["adamw", "sgd"]
Schedule = Literal["constant", "cosine", "linear"]
Precision = Literal["float32", "bfloat16", "float16"]


class OptimizerConfig(Section):
    """AdamW, or SGD with momentum."""

    name: OptimizerName = setting("adamw", "Optimiser", "'adamw', or 'sgd' with momentum.")
    learning_rate: float = setting(
        3e-3, "Learning rate", "The size of the optimiser's steps.", live=True, gt=0.0, le=10.0
    )
    weight_decay: float = setting(
        1e-4,
        "Weight decay",
        "How strongly the optimiser shrinks the weights.",
        live=True,
        ge=0.0,
        le=10.0,
    )
    momentum: float = setting(
        0.9,
        "Momentum",
        "SGD: the share of its last step that each step keeps.",
        gt=0.0,
        lt=1.0,
    )
    nesterov: bool = setting(
        True, "Nesterov", "SGD: look at the gradient where the momentum is about to lead."
    )
    schedule: Schedule = setting(
        "constant",
        "Schedule",
        "'cosine' and 'linear' let the learning rate fall to zero over the run; 'constant' keeps "
        "it.",
    )
    warmup: float = setting(
        0.0,
        "Warm-up",
        "The share of the run during which the learning rate rises from near zero.",
        ge=0.0,
        le=0.9,
    )
    norm_decay: bool = setting(
        True,
        "Decay all",
        "Whether weight decay also shrinks biases and the gains of norms.",
    )
    clip: float = setting(
        0.0,
        "Gradient clip",
        "The gradient of all weights together is shortened to this length. 0 leaves it.",
        ge=0.0,
        le=1e6,
    )


class TrainingConfig(Section):
    """How long, and how many images at a time."""

    epochs: int = setting(
        10, "Epochs", "How often every training image is seen.", unit="epochs", ge=1, le=10_000
    )
    batch_size: int = setting(
        128,
        "Batch size",
        "Images per step. Variances and covariances are measured over a batch, "
        "so it must be 2 at least.",
        unit="images",
        ge=2,
        le=65_536,
    )
    repeats: int = setting(
        1,
        "Repeats",
        "How often an image comes in one batch, each time augmented anew; an epoch then has as "
        "many steps and fewer images.",
        unit="times",
        ge=1,
        le=16,
    )
    precision: Precision = setting(
        "float32",
        "Precision",
        "'bfloat16' multiplies in 16 bits (autocast): faster on newer GPUs. 'float16' too, with "
        "losses scaled so that small gradients are not lost: for older GPUs. Statistics, losses, "
        "weights and probes stay in 32.",
    )
    compile: bool = setting(
        False,
        "Compiled",
        "Compile the network's blocks (torch.compile): the first steps take a minute, all others "
        "less time. On a CPU it needs a C++ compiler.",
    )
    channels_last: bool = setting(
        False,
        "Channels last",
        "Keep the channels of a place side by side in memory: convolutions in bfloat16 like it.",
    )
    averaging: float = setting(
        0.0,
        "Averaged weights",
        "Accuracies are those of a moving average of the weights, of which each step keeps this "
        "share. 0 measures the weights themselves; 0.999 is usual.",
        ge=0.0,
        lt=1.0,
    )

    @model_validator(mode="after")
    def _repeats_fit(self) -> TrainingConfig:
        if self.repeats > self.batch_size:
            raise ConfigError(
                f"expected at most the {self.batch_size} images of a batch, got {self.repeats}",
                field="training.repeats",
            )
        return self
