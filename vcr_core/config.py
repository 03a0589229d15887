"""What a run is: one tree of validated, frozen models.

This is the single source for the form on the page, the options of the command line, the link in
the address bar and what the store keeps. Every field says what it means, its unit, its limits and
whether it may be changed while the run trains (``live``).

    RunConfig
    ├── data         DataConfig          which images, which factor is learned, how many
    ├── model        ModelConfig         which network
    ├── regularizer  RegularizerConfig   the two weights of VCR and where it acts
    ├── optimizer    OptimizerConfig     AdamW, its learning rate and schedule
    ├── training     TrainingConfig      epochs and batch size
    ├── transfer     TransferConfig      which factors are probed, how often
    ├── telemetry    TelemetryConfig     how often numbers and matrices are reported
    ├── execution    ExecutionConfig     device and threads
    └── seed

Nothing here imports torch.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.fields import FieldInfo

from vcr_core.datasets.catalog import dataset_info
from vcr_core.errors import ConfigError
from vcr_core.models.catalog import MODELS, block_names

Device = Literal["auto", "cpu", "cuda", "mps"]
Schedule = Literal["constant", "cosine"]


def setting(
    default: Any, title: str, help_text: str, *, unit: str = "", live: bool = False, **limits: Any
) -> Any:
    """A field with its title, help text, unit and limits; ``live`` fields may change mid-run."""
    return Field(
        default,
        title=title,
        description=help_text,
        json_schema_extra={"unit": unit, "live": live},
        **limits,
    )


class Section(BaseModel):
    """Base of every part of the tree: immutable, and strict about unknown names."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class DataConfig(Section):
    """Which images are learned from, and what they are labelled with."""

    dataset: str = setting("sprites", "Data set", "The images to learn from.")
    source: str = setting(
        "shape", "Source task", "What the network is trained to tell apart. It sees no other label."
    )
    train_size: int | None = setting(
        None,
        "Training images",
        "How many images to train on; empty means all there are.",
        unit="images",
        ge=10,
    )
    test_size: int | None = setting(
        None,
        "Test images",
        "How many held-out images to measure on; empty means all there are.",
        unit="images",
        ge=10,
    )
    shortcut: float = setting(
        0.0,
        "Shortcut",
        "Sprites only: how often colour gives the shape away in the training images. "
        "0 is never, 1 is always.",
        ge=0.0,
        le=1.0,
    )
    folder: str | None = setting(
        None,
        "Folder",
        "For the data set 'folder': your images, one sub-folder a class. "
        "For 'fashion-mnist': where its files lie, if not in a usual place.",
    )
    image_size: int = setting(
        32, "Image size", "Your own images are scaled to this.", unit="pixels", ge=8, le=256
    )

    @model_validator(mode="after")
    def _known_names(self) -> DataConfig:
        info = dataset_info(self.dataset)
        if info.factors and self.source not in info.factors:
            raise ConfigError(
                f"expected one of {', '.join(info.factors)} for '{self.dataset}', "
                f"got '{self.source}'",
                field="data.source",
            )
        return self


class ModelConfig(Section):
    """Which network learns."""

    name: str = setting("small-resnet", "Network", "The network that learns the source task.")
    width: int = setting(
        16,
        "Width",
        "Channels of the first block of the small ResNet; later blocks have 2 and 4 times as many.",
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
        0.0, "Dropout", "Share of features dropped before the classifier.", ge=0.0, lt=1.0
    )

    @model_validator(mode="after")
    def _known_name(self) -> ModelConfig:
        if self.name not in MODELS:
            raise ConfigError(
                f"expected one of {', '.join(MODELS)}, got '{self.name}'", field="model.name"
            )
        return self


class RegularizerConfig(Section):
    """Variance-covariance regularisation: how strongly it pulls, towards what, and where.

    The weights go with the *exact* scale: the loss is the source loss plus, for every layer,
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


class OptimizerConfig(Section):
    """AdamW."""

    learning_rate: float = setting(
        3e-3, "Learning rate", "The size of AdamW's steps.", live=True, gt=0.0, le=10.0
    )
    weight_decay: float = setting(
        1e-4, "Weight decay", "How strongly AdamW shrinks the weights.", ge=0.0, le=10.0
    )
    schedule: Schedule = setting(
        "constant",
        "Schedule",
        "'cosine' lets the learning rate fall to zero over the run; 'constant' keeps it.",
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


class TransferConfig(Section):
    """What else the frozen features know: linear probes on other factors."""

    targets: tuple[str, ...] = setting(
        (),
        "Transfer targets",
        "Factors that a linear probe has to read from the frozen features. Empty means all "
        "other factors of the data set; 'digits:digit' means a factor of another data set.",
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
        return self

    def _check_layers(self) -> None:
        names = block_names(self.model.name, hidden=self.model.hidden)
        for layer in self.regularizer.layers:
            if not _matching(layer, names):
                raise ConfigError(
                    f"expected 'blocks', 'last', or names or patterns of {', '.join(names)}, "
                    f"got '{layer}'",
                    field="regularizer.layers",
                )

    def _check_target(self, target: str) -> None:
        name, _, factor = target.rpartition(":")
        info = dataset_info(name or self.data.dataset)
        if info.factors and factor not in info.factors:
            raise ConfigError(
                f"expected one of {', '.join(info.factors)} for '{info.name}', got '{factor}'",
                field="transfer.targets",
            )

    @property
    def targets(self) -> tuple[str, ...]:
        """The transfer targets, with "all other factors" spelt out."""
        if self.transfer.targets:
            return self.transfer.targets
        factors = dataset_info(self.data.dataset).factors
        return tuple(name for name in factors if name != self.data.source)

    @property
    def layer_names(self) -> tuple[str, ...]:
        """The layers that are regularised and measured, from input to output."""
        names = block_names(self.model.name, hidden=self.model.hidden)
        chosen = {name for layer in self.regularizer.layers for name in _matching(layer, names)}
        return tuple(name for name in names if name in chosen)

    @property
    def regularized(self) -> bool:
        """True where at least one weight is above zero at the start."""
        weights = self.regularizer
        return weights.variance_weight > 0 or weights.covariance_weight > 0

    def baseline(self) -> RunConfig:
        """The twin: everything the same, both weights zero."""
        return override(
            self, {"regularizer.variance_weight": 0.0, "regularizer.covariance_weight": 0.0}
        )


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


def fields() -> dict[str, FieldInfo]:
    """Every field of a run by its dotted name, in the order of the tree."""
    named: dict[str, FieldInfo] = {}
    for name, section in SECTIONS.items():
        named |= {f"{name}.{field}": info for field, info in section.model_fields.items()}
    return named | {"seed": RunConfig.model_fields["seed"]}


def is_live(info: FieldInfo) -> bool:
    """Whether a field may be changed while the run trains."""
    extra = info.json_schema_extra
    return isinstance(extra, dict) and bool(extra.get("live"))


def live_fields() -> tuple[str, ...]:
    """The dotted names of all fields that may be changed while a run trains."""
    return tuple(name for name, info in fields().items() if is_live(info))


def get_value(config: RunConfig, name: str) -> Any:
    """The value of a dotted name, for example ``regularizer.variance_weight``."""
    _require_known(name)
    value: Any = config
    for part in name.split("."):
        value = getattr(value, part)
    return value


def override(config: RunConfig, changes: Mapping[str, Any]) -> RunConfig:
    """A new configuration with some dotted names set; texts are read as their field's type.

    Raises:
        ConfigError: a name that does not exist or a value that its field refuses.
    """
    tree = config.model_dump(mode="python")
    for name, value in changes.items():
        _require_known(name)
        section, _, field = name.rpartition(".")
        target = tree[section] if section else tree
        target[field] = parse_text(name, value) if isinstance(value, str) else value
    return validate(tree)


def validate(tree: Mapping[str, Any]) -> RunConfig:
    """A configuration from plain data.

    Raises:
        ConfigError: names the first field at fault, what it expected and what it got.
    """
    try:
        return RunConfig.model_validate(dict(tree))
    except ValidationError as error:
        raise _as_config_error(error) from error


def parse_text(name: str, text: str) -> Any:
    """A value typed by a person: a comma makes a list, an empty text or ``none`` means empty."""
    info = fields()[name]
    arguments = get_args(info.annotation)
    if type(None) in arguments and text.strip().lower() in {"", "none"}:
        return None
    if info.annotation is not None and getattr(info.annotation, "__origin__", None) is tuple:
        return tuple(part.strip() for part in text.split(",") if part.strip())
    return text


def _require_known(name: str) -> None:
    if name not in fields():
        known = fields()
        section = name.partition(".")[0]
        near = [field for field in known if field.startswith(f"{section}.")] or list(known)
        raise ConfigError(f"no setting has this name; there are {', '.join(near)}", field=name)


def _as_config_error(error: ValidationError) -> ConfigError:
    first = error.errors()[0]
    cause = first.get("ctx", {}).get("error")
    if isinstance(cause, ConfigError):
        return cause
    name = ".".join(str(part) for part in first["loc"] if isinstance(part, str))
    return ConfigError(f"{_expectation(first)}, got {_shown(first['input'])}", field=name)


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return "not a number" if math.isnan(value) else str(_plain(value))
    return repr(value)


def _expectation(problem: Any) -> str:
    """What a field expected, in words, from one of pydantic's problems."""
    limits = problem.get("ctx", {})
    words = {
        "greater_than_equal": "expected {ge} or more",
        "greater_than": "expected more than {gt}",
        "less_than_equal": "expected {le} or less",
        "less_than": "expected less than {lt}",
        "float_parsing": "expected a number",
        "float_type": "expected a number",
        "finite_number": "expected a finite number",
        "int_parsing": "expected a whole number",
        "int_type": "expected a whole number",
        "int_from_float": "expected a whole number",
        "literal_error": "expected one of {expected}",
        "extra_forbidden": "no setting has this name",
        "too_short": "expected at least {min_length}",
        "too_long": "expected at most {max_length}",
    }
    template = words.get(problem["type"])
    if template is None:
        return str(problem["msg"]).lower()
    return template.format(**{name: _plain(limit) for name, limit in limits.items()})


def _plain(value: Any) -> Any:
    """A number as a person writes it: ``0`` for ``0.0``."""
    return f"{value:g}" if isinstance(value, float) else value
