"""The names, options and layer names of all networks, without torch.

The page and the command line list layers from here; :func:`vcr_core.models.build` makes the
networks, and a test holds the two together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from vcr_core.errors import ConfigError

SMALL_RESNET_BLOCKS = 3
RESNET_STAGES = 4
RESNET_DEPTHS = {"resnet18": (2, 2, 2, 2), "resnet34": (3, 4, 6, 3), "resnet50": (3, 4, 6, 3)}
CONVNEXT_TINY_DEPTHS = (3, 3, 9, 3)
SMALL_CONVNEXT_DEPTHS = (2, 2, 2)
VIT_B_DEPTH = 12
SMALL_VIT_DEPTH = 4
TIMM_PREFIX = "timm:"
TIMM_TAPS = 4
DEFAULT_HIDDEN = (512, 512, 128)
VIDEO_RESNET_DEPTHS = (2, 2, 2, 2)
#: Places of S3D's inception blocks in torchvision's sequence; pooling stands between them.
S3D_BLOCKS = (5, 6, 8, 9, 10, 11, 12, 14, 15)
SWIN_STAGES = 4
IMAGES, CLIPS = ("images",), ("clips",)
#: The network for a data set where none was chosen, by what the set has.
FIRST_CHOICE: Mapping[str, str] = {"images": "small-resnet", "clips": "video-small"}


@dataclass(frozen=True)
class ModelInfo:
    """What is known about a network before it is built.

    ``options`` names the settings that this network takes (``width``, ``hidden``, ``norm``,
    ``dropout``); the others have no effect on it. ``names_for`` gives the names of its blocks, from
    input to output, for a tuple of hidden sizes. ``takes`` says what it can look at: ``images``
    (C, H, W), ``clips`` (C, T, H, W).
    """

    name: str
    title: str
    description: str
    options: tuple[str, ...]
    names_for: Callable[[Sequence[int]], tuple[str, ...]]
    takes: tuple[str, ...] = IMAGES


def _small_resnet_blocks(_: Sequence[int]) -> tuple[str, ...]:
    return (*(f"blocks.{index}" for index in range(SMALL_RESNET_BLOCKS)), "pool")


def _mlp_blocks(hidden: Sequence[int]) -> tuple[str, ...]:
    return tuple(f"blocks.{index}" for index in range(len(hidden)))


def _resnet_blocks(depths: Sequence[int]) -> Callable[[Sequence[int]], tuple[str, ...]]:
    names = [f"layer{n + 1}.{block}" for n, depth in enumerate(depths) for block in range(depth)]
    return lambda _: (*names, "avgpool")


def _convnext_blocks(depths: Sequence[int]) -> Callable[[Sequence[int]], tuple[str, ...]]:
    """Torchvision's numbering: stem 0, then a stage and what shrinks its map, in turns."""
    names = [
        f"network.features.{2 * n + 1}.{block}"
        for n, depth in enumerate(depths)
        for block in range(depth)
    ]
    return lambda _: (*names, "network.classifier")


def _vit_blocks(depth: int) -> Callable[[Sequence[int]], tuple[str, ...]]:
    names = [f"network.encoder.layers.encoder_layer_{n}" for n in range(depth)]
    return lambda _: (*names, "network.heads")


def _s3d_blocks(_: Sequence[int]) -> tuple[str, ...]:
    return (*(f"network.features.{place}" for place in S3D_BLOCKS), "network.classifier")


def _swin_blocks(_: Sequence[int]) -> tuple[str, ...]:
    return (*(f"taps.{stage}" for stage in range(SWIN_STAGES)), "pool")


def _timm_blocks(_: Sequence[int]) -> tuple[str, ...]:
    return (*(f"taps.{tap}" for tap in range(TIMM_TAPS)), "pool")


VIDEO_MODELS = (
    ModelInfo(
        name="video-small",
        title="Small video network",
        description=(
            "Three residual blocks of convolutions over time and space, then the average over all "
            "places. For clips; learns in minutes on a laptop."
        ),
        options=("width", "dropout"),
        names_for=_small_resnet_blocks,
        takes=CLIPS,
    ),
    ModelInfo(
        name="r3d-18",
        title="R3D-18 (video)",
        description="Torchvision's ResNet of 3-D convolutions. For clips; wants a GPU.",
        options=("dropout",),
        names_for=_resnet_blocks(VIDEO_RESNET_DEPTHS),
        takes=CLIPS,
    ),
    ModelInfo(
        name="mc3-18",
        title="MC3-18 (video)",
        description=(
            "Torchvision's ResNet that looks across frames in its first stage only. For clips; "
            "wants a GPU."
        ),
        options=("dropout",),
        names_for=_resnet_blocks(VIDEO_RESNET_DEPTHS),
        takes=CLIPS,
    ),
    ModelInfo(
        name="r2plus1d-18",
        title="R(2+1)D-18 (video)",
        description=(
            "Torchvision's ResNet that looks across space and across frames in turns. For clips; "
            "wants a GPU."
        ),
        options=("dropout",),
        names_for=_resnet_blocks(VIDEO_RESNET_DEPTHS),
        takes=CLIPS,
    ),
    ModelInfo(
        name="s3d",
        title="S3D (video)",
        description=(
            "Torchvision's inception network of separable 3-D convolutions. For clips; wants a GPU."
        ),
        options=("dropout",),
        names_for=_s3d_blocks,
        takes=CLIPS,
    ),
    ModelInfo(
        name="swin3d-t",
        title="Video Swin-T",
        description="Torchvision's shifted-window transformer. For clips; wants a GPU.",
        options=("dropout",),
        names_for=_swin_blocks,
        takes=CLIPS,
    ),
)

SMALL_STEM = "images of up to 64 pixels get a stem that does not shrink them."

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
            options=("width", "norm", "dropout"),
            names_for=_small_resnet_blocks,
        ),
        ModelInfo(
            name="mlp",
            title="Multi-layer perceptron",
            description=(
                "Fully connected layers with ReLU. The simplest network there is, and one whose "
                "features collapse readily."
            ),
            options=("hidden", "norm", "dropout"),
            names_for=_mlp_blocks,
            takes=(*IMAGES, *CLIPS),
        ),
        ModelInfo(
            name="small-convnext",
            title="Small ConvNeXt",
            description=(
                "Three stages of two ConvNeXt blocks with layer norm. Learns in minutes on a "
                "laptop."
            ),
            options=("width", "norm", "dropout"),
            names_for=_convnext_blocks(SMALL_CONVNEXT_DEPTHS),
        ),
        ModelInfo(
            name="small-vit",
            title="Small vision transformer",
            description=(
                "Four transformer layers over patches of 4 pixels. Learns in minutes on a laptop."
            ),
            options=("width", "norm", "dropout"),
            names_for=_vit_blocks(SMALL_VIT_DEPTH),
        ),
        ModelInfo(
            name="resnet18",
            title="ResNet-18",
            description=f"Torchvision's ResNet-18; {SMALL_STEM} Wants a GPU, or patience.",
            options=("dropout",),
            names_for=_resnet_blocks(RESNET_DEPTHS["resnet18"]),
        ),
        ModelInfo(
            name="resnet34",
            title="ResNet-34",
            description=f"Torchvision's ResNet-34; {SMALL_STEM} Wants a GPU.",
            options=("dropout",),
            names_for=_resnet_blocks(RESNET_DEPTHS["resnet34"]),
        ),
        ModelInfo(
            name="resnet50",
            title="ResNet-50",
            description=f"Torchvision's ResNet-50; {SMALL_STEM} Wants a GPU.",
            options=("dropout",),
            names_for=_resnet_blocks(RESNET_DEPTHS["resnet50"]),
        ),
        ModelInfo(
            name="convnext-tiny",
            title="ConvNeXt-T",
            description=(
                "Torchvision's ConvNeXt-T; of images of up to 64 pixels its stem takes smaller "
                "patches. Wants a GPU."
            ),
            options=("dropout",),
            names_for=_convnext_blocks(CONVNEXT_TINY_DEPTHS),
        ),
        ModelInfo(
            name="vit-b-32",
            title="ViT-B/32",
            description=(
                "Torchvision's ViT-B with patches of 32 pixels, of 4 in images of up to 64 "
                "pixels. Wants a GPU."
            ),
            options=("dropout",),
            names_for=_vit_blocks(VIT_B_DEPTH),
        ),
        *VIDEO_MODELS,
    )
}


def model_info(name: str) -> ModelInfo:
    """What is known about the network ``name``; ``timm:NAME`` means any network of timm.

    Raises:
        ConfigError: no network has this name; the message lists the known ones.
    """
    if name in MODELS:
        return MODELS[name]
    if name.startswith(TIMM_PREFIX) and name != TIMM_PREFIX:
        return ModelInfo(
            name=name,
            title=f"{name.removeprefix(TIMM_PREFIX)} (timm)",
            description="A network of timm. Needs the extra: pip install 'vcr-lab[timm]'.",
            options=("dropout",),
            names_for=_timm_blocks,
        )
    raise ConfigError(
        f"expected one of {', '.join(MODELS)}, got '{name}'; timm:NAME takes any network of timm",
        field="model.name",
    )


def block_names(name: str, *, hidden: Sequence[int] = DEFAULT_HIDDEN) -> tuple[str, ...]:
    """The names of a network's blocks, from input to output; the last one is the penultimate
    representation, the features that transfer is measured on.

    Raises:
        ConfigError: no network has this name.
    """
    return model_info(name).names_for(hidden)
