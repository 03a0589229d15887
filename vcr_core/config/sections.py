"""The models of the tree, from a run's data to its machine. Nothing here imports torch."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Annotated, Literal

from pydantic import Field, model_validator

from vcr_core.config.base import Section, setting
from vcr_core.config.by_layer import BY_LAYER, factor_at, parse_entry
from vcr_core.config.data import DataConfig
from vcr_core.config.learning import AugmentationConfig, ObjectiveConfig, Rival
from vcr_core.config.steps import OptimizerConfig, TrainingConfig
from vcr_core.datasets.catalog import dataset_info, parse_target
from vcr_core.datasets.corruption_names import parse_corruption
from vcr_core.errors import ConfigError
from vcr_core.models.catalog import FIRST_CHOICE, MODELS, block_names, model_info

Device = Literal["auto", "cpu", "cuda", "mps"]
Scale = Literal["exact", "published", "vicreg"]
Budget = Literal["full", "light"]
Norm = Literal["default", "batch", "layer", "none"]


class ModelConfig(Section):
    """Which network learns."""

    name: str = setting("small-resnet", "Network", "The network that learns the source task.")
    width: int = setting(
        16,
        "Width",
        "Channels of the first block of a small network; later blocks have 2 and 4 times as many. "
        "The small transformer has 4 times as many throughout.",
        unit="channels",
        ge=2,
        le=256,
    )
    hidden: tuple[Annotated[int, Field(ge=2, le=8192)], ...] = setting(
        (512, 512, 128),
        "Hidden layers",
        "Sizes of the multi-layer perceptron's hidden layers, from input to output.",
        unit="features",
        min_length=1,
        max_length=12,
    )
    dropout: float = setting(
        0.0,
        "Dropout",
        "Share of features dropped before the classifier.",
        live=True,
        ge=0.0,
        lt=1.0,
    )

    norm: Norm = setting(
        "default",
        "Normalisation",
        "Of the small networks: 'default' is the family's own (batch norm in the small ResNet, "
        "none in the perceptron, layer norm in the others).",
    )
    whitening: bool = setting(
        False,
        "Whitening",
        "The first convolution is set to whiten small patches of the training images, and stays "
        "so: a good first layer costs no training.",
    )
    pretrained: str | None = setting(
        None,
        "Pretrained weights",
        "A file to start from (.safetensors, or a state dict of torch.save) with the names of "
        "torchvision, of timm or of VCR Lab; the classifier starts anew.",
    )

    @model_validator(mode="after")
    def _known_name(self) -> ModelConfig:
        model_info(self.name)
        return self


class RegularizerConfig(Section):
    """Variance-covariance regularisation: how strongly it pulls, towards what, and where.

    In the *exact* scale the loss is the source loss plus, for every layer,
    ``variance_weight * l_var + covariance_weight * l_cov`` (see ``vcr_core.regularization``).
    """

    variance_weight: float = setting(
        1.0,
        "Variance weight",
        "How strongly every feature is kept from going flat. 0 switches the variance term off.",
        live=True,
        ge=0.0,
        le=1e6,
    )
    covariance_weight: float = setting(
        1.0,
        "Covariance weight",
        "How strongly features are kept from repeating each other. "
        "0 switches the covariance term off.",
        live=True,
        ge=0.0,
        le=1e6,
    )
    variance_factors: tuple[str, ...] = setting(
        (),
        "Variance by layer",
        "Multiplies the variance weight at some layers: 'pool=3' makes it three times as strong "
        "there, 'blocks.*=0' switches it off there. All other layers keep 1.",
        live=True,
        max_length=512,
    )
    covariance_factors: tuple[str, ...] = setting(
        (),
        "Covariance by layer",
        "Multiplies the covariance weight at some layers, as above.",
        live=True,
        max_length=512,
    )
    target_std: float = setting(
        1.0,
        "Target spread",
        "A feature is left alone once its standard deviation over the batch reaches this.",
        live=True,
        gt=0.0,
        le=1e3,
    )
    eps: float = setting(
        1e-4,
        "Epsilon",
        "Added to every variance under the square root, so that a flat feature has a slope.",
        gt=0.0,
        le=1.0,
    )
    threshold: float | None = setting(
        None,
        "Smooth-L1 threshold",
        "Covariances beyond this are punished linearly instead of by their square; "
        "empty means always by the square.",
        live=True,
        gt=0.0,
    )
    layers: tuple[str, ...] = setting(
        ("blocks",),
        "Layers",
        "Where it acts: 'blocks' (after every block), 'last' (the final features alone), "
        "or names and patterns of layers.",
        min_length=1,
    )
    scale: Scale = setting(
        "exact",
        "Convention",
        "What the weights count: 'exact' is the formula as written, 'published' the covariance "
        "term of the paper's listing (n − 1 times as strong), 'vicreg' VICReg's scale. "
        "The same number means very different strengths.",
    )
    budget: Budget = setting(
        "full",
        "Budget",
        "'full' looks at every sample at every step. 'light' looks at some samples at some steps, "
        "as much stronger there: cheaper and less exact.",
    )
    rival: Rival = setting(
        "none",
        "Rival",
        "Another regulariser at the same layers, beside or instead of VCR, to compare it with.",
    )
    rival_weight: float = setting(
        0.0,
        "Rival weight",
        "How strongly the rival pulls; for 'dropout' the share of features that is dropped.",
        ge=0.0,
        le=1e6,
    )

    @model_validator(mode="after")
    def _rival_fits(self) -> RegularizerConfig:
        if self.rival == "dropout" and self.rival_weight >= 1:
            raise ConfigError(
                f"expected a share below 1 for 'dropout', got {self.rival_weight:g}",
                field="regularizer.rival_weight",
            )
        return self


class TransferConfig(Section):
    """What else the frozen features know: linear probes on other factors."""

    targets: tuple[str, ...] = setting(
        (),
        "Transfer targets",
        "Factors that a linear probe has to read from the frozen features. Empty means all "
        "other factors of the data set; 'digits:digit' means a factor of another data set, "
        "'colour@noise-3' the same on noisy images of severity 3 (1 to 5; also salt, blur, "
        "contrast, brightness, pixelate, shift, rotate, invert).",
    )
    probes: int = setting(
        8,
        "Probes",
        "How often the features are probed during the run; the last probe is at the end.",
        unit="times",
        ge=1,
        le=200,
    )
    train_size: int | None = setting(
        2000,
        "Probe training images",
        "Images each probe learns from; empty means all.",
        unit="images",
        ge=10,
    )
    test_size: int | None = setting(
        None,
        "Probe test images",
        "Images each probe is measured on; empty means all.",
        unit="images",
        ge=10,
    )
    l2: float = setting(
        1e-3, "Probe shrinkage", "L2 penalty on the probe's weights.", gt=0.0, le=100.0
    )


class TelemetryConfig(Section):
    """How often a run says how it is doing. Twins report at identical steps."""

    reports: int = setting(
        80,
        "Reports",
        "How often losses and spreads are reported during the run.",
        unit="times",
        ge=2,
        le=2000,
    )
    snapshots: int = setting(
        40,
        "Snapshots",
        "How often covariance matrices are kept.",
        unit="times",
        ge=1,
        le=1000,
    )


class ExecutionConfig(Section):
    """Where it runs."""

    device: Device = setting(
        "auto", "Device", "'auto' takes the best there is: CUDA, then MPS, then the CPU."
    )
    threads: int | None = setting(
        None,
        "Threads",
        "CPU threads of the run; empty means cores ÷ slots. "
        "Twins get the same number: it changes the last digits of every sum.",
        unit="threads",
        ge=1,
        le=512,
    )


class RunConfig(Section):
    """Everything that decides a run's numbers, but for the machine and the knobs turned later."""

    data: DataConfig = DataConfig()
    augmentation: AugmentationConfig = AugmentationConfig()
    objective: ObjectiveConfig = ObjectiveConfig()
    model: ModelConfig = ModelConfig()
    regularizer: RegularizerConfig = RegularizerConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    training: TrainingConfig = TrainingConfig()
    transfer: TransferConfig = TransferConfig()
    telemetry: TelemetryConfig = TelemetryConfig()
    execution: ExecutionConfig = ExecutionConfig()
    seed: int = setting(
        0,
        "Seed",
        "The start of all chance in a run. Twins share it, so they see the same batches "
        "and start from the same weights.",
        ge=0,
        lt=2**31,
    )

    @model_validator(mode="after")
    def _names_exist(self) -> RunConfig:
        for target in self.transfer.targets:
            self._check_target(target)
        self._check_layers()
        self._check_factors()
        self._check_objective()
        self._check_kind()
        return self

    def _check_kind(self) -> None:
        """Images are for networks of images, clips for those of clips."""
        kind = dataset_info(self.data.dataset).kind
        if kind not in model_info(self.model.name).takes:
            fitting = ", ".join(name for name, info in MODELS.items() if kind in info.takes)
            raise ConfigError(
                f"expected a network that takes {kind} ({fitting}) for '{self.data.dataset}', got "
                f"'{self.model.name}'",
                field="model.name",
            )
        if kind == "clips" and self.model.whitening:
            raise ConfigError(
                "expected no whitening of the first convolution for clips, it acts on images: "
                "leave it off",
                field="model.whitening",
            )
        if kind == "clips" and self.augmentation.policy != "none":
            raise ConfigError(
                f"expected the policy 'none' for clips, got '{self.augmentation.policy}', which "
                "acts on single images: crops, shifts, mirroring and colours suit clips too",
                field="augmentation.policy",
            )

    def _check_objective(self) -> None:
        if self.objective.name == "supervised":
            return
        if not self.augmentation.is_on:
            raise ConfigError(
                f"expected some augmentation for '{self.objective.name}', got none: two views of "
                "an image would be the same; set augmentation.smallest_crop=0.3, for example",
                field="objective.name",
            )
        if self.regularizer.rival == "spectral-decoupling":
            raise ConfigError(
                f"expected a rival that acts without labels for '{self.objective.name}', got "
                "'spectral-decoupling', which acts on the logits",
                field="regularizer.rival",
            )

    def _check_layers(self) -> None:
        names = block_names(self.model.name, hidden=self.model.hidden)
        for layer in self.regularizer.layers:
            if not _matching(layer, names):
                raise ConfigError(
                    f"expected 'blocks', 'last', or names or patterns of {', '.join(names)}, "
                    f"got '{layer}'",
                    field="regularizer.layers",
                )

    def _check_factors(self) -> None:
        layers = self.layer_names
        for field in BY_LAYER:
            for entry in getattr(self.regularizer, field.partition(".")[2]):
                pattern, _ = parse_entry(entry, field=field)
                if not any(name == pattern or fnmatchcase(name, pattern) for name in layers):
                    raise ConfigError(
                        f"expected names or patterns of the regularised layers "
                        f"{', '.join(layers)}, got '{pattern}'",
                        field=field,
                    )

    def _check_target(self, target: str) -> None:
        name, factor, corruption = parse_target(target)
        own = not name or name == self.data.dataset
        known = self.data.factors if own else tuple(dataset_info(name).factors)
        if factor not in known:
            raise ConfigError(
                f"expected one of {', '.join(known)} for '{name or self.data.dataset}', "
                f"got '{factor}'",
                field="transfer.targets",
            )
        if corruption or target.endswith("@"):
            parse_corruption(corruption)
        kind, other = (dataset_info(each or self.data.dataset).kind for each in ("", name))
        if other != kind:
            raise ConfigError(
                f"expected targets of {kind} for a network that learns from '{self.data.dataset}', "
                f"got '{target}', which is of {other}",
                field="transfer.targets",
            )

    @property
    def targets(self) -> tuple[str, ...]:
        """The transfer targets, with "all other factors" spelt out.

        Where there is no other factor, the source itself is probed.
        """
        if self.transfer.targets:
            return self.transfer.targets
        others = tuple(name for name in self.data.factors if name != self.data.source)
        return others or (self.data.source,)

    @property
    def layer_names(self) -> tuple[str, ...]:
        """The layers that are regularised and measured, from input to output."""
        names = block_names(self.model.name, hidden=self.model.hidden)
        chosen = {name for layer in self.regularizer.layers for name in _matching(layer, names)}
        return tuple(name for name in names if name in chosen)

    @property
    def layer_factors(self) -> dict[str, tuple[float, float]]:
        """What the variance and the covariance weight are multiplied by, layer by layer."""
        entries = self.regularizer.variance_factors, self.regularizer.covariance_factors
        variance, covariance = (
            {layer: factor_at(each, layer, field=field) for layer in self.layer_names}
            for each, field in zip(entries, BY_LAYER, strict=True)
        )
        return {layer: (variance[layer], covariance[layer]) for layer in self.layer_names}

    @property
    def regularized(self) -> bool:
        """True where at least one weight is above zero at the start."""
        weights = self.regularizer
        return weights.variance_weight > 0 or weights.covariance_weight > 0

    @classmethod
    def looking_at(
        cls, data: DataConfig, *, transfer: TransferConfig | None = None, seed: int = 0
    ) -> RunConfig:
        """A configuration that is about data alone; its network is any that could take them."""
        kind = dataset_info(data.dataset).kind
        model = ModelConfig(name=FIRST_CHOICE[kind])
        return cls(data=data, model=model, transfer=transfer or TransferConfig(), seed=seed)

    def baseline(self) -> RunConfig:
        """The twin: everything the same, both weights zero."""
        weights = {"variance_weight": 0.0, "covariance_weight": 0.0}
        return self.model_copy(update={"regularizer": self.regularizer.model_copy(update=weights)})


def _matching(layer: str, names: tuple[str, ...]) -> tuple[str, ...]:
    """The blocks that one entry of ``regularizer.layers`` means."""
    if layer == "blocks":
        return names
    if layer == "last":
        return names[-1:]
    return tuple(name for name in names if fnmatchcase(name, layer))


SECTIONS: Mapping[str, type[Section]] = {
    name: field.annotation
    for name, field in RunConfig.model_fields.items()
    if isinstance(field.annotation, type) and issubclass(field.annotation, Section)
}
