"""The names, options and layer names of all networks, without torch.

The page and the command line list layers from here; :func:`vcr_core.models.build` makes the
networks, and a test holds the two together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from vcr_core.errors import ConfigError

SMALL_RESNET_BLOCKS = 3
RESNET18_STAGES = 4
RESNET18_BLOCKS_PER_STAGE = 2
DEFAULT_HIDDEN = (512, 512, 128)


@dataclass(frozen=True)
class ModelInfo:
    """What is known about a network before it is built.

    ``options`` names the settings that this network takes (``width``, ``hidden``, ``norm``,
    ``dropout``); the others have no effect on it. ``names_for`` gives the names of its blocks, from
    input to output, for a tuple of hidden sizes.
    """

    name: str
    title: str
    description: str
    options: tuple[str, ...]
    names_for: Callable[[Sequence[int]], tuple[str, ...]]


def _small_resnet_blocks(_: Sequence[int]) -> tuple[str, ...]:
    return (*(f"blocks.{index}" for index in range(SMALL_RESNET_BLOCKS)), "pool")


def _mlp_blocks(hidden: Sequence[int]) -> tuple[str, ...]:
    return tuple(f"blocks.{index}" for index in range(len(hidden)))


def _resnet18_blocks(_: Sequence[int]) -> tuple[str, ...]:
    stages = range(1, RESNET18_STAGES + 1)
    blocks = range(RESNET18_BLOCKS_PER_STAGE)
    return (*(f"layer{stage}.{block}" for stage in stages for block in blocks), "avgpool")


MODELS: Mapping[str, ModelInfo] = {
    info.name: info
    for info in (
        ModelInfo(
            name="small-resnet",
            title="Small ResNet",
            description=(
                "Three residual blocks with batch norm, then the average over all places. "
                "Learns in seconds on a laptop."
            ),
            options=("width", "dropout"),
            names_for=_small_resnet_blocks,
        ),
        ModelInfo(
            name="mlp",
            title="Multi-layer perceptron",
            description=(
                "Fully connected layers with ReLU. The simplest network there is, and one whose "
                "features collapse readily."
            ),
            options=("hidden", "dropout"),
            names_for=_mlp_blocks,
        ),
        ModelInfo(
            name="resnet18",
            title="ResNet-18",
            description=(
                "Torchvision's ResNet-18; images of up to 64 pixels get a stem that does not "
                "shrink them. Wants a GPU, or patience."
            ),
            options=("dropout",),
            names_for=_resnet18_blocks,
        ),
    )
}


def model_info(name: str) -> ModelInfo:
    """What is known about the network ``name``.

    Raises:
        ConfigError: no network has this name; the message lists the known ones.
    """
    if name not in MODELS:
        raise ConfigError(f"expected one of {', '.join(MODELS)}, got '{name}'", field="model.name")
    return MODELS[name]


def block_names(name: str, *, hidden: Sequence[int] = DEFAULT_HIDDEN) -> tuple[str, ...]:
    """The names of a network's blocks, from input to output; the last one is the penultimate
    representation, the features that transfer is measured on.

    Raises:
        ConfigError: no network has this name.
    """
    return model_info(name).names_for(hidden)
