"""From a configuration to everything a training loop needs, on the device."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from vcr_core import datasets, models
from vcr_core.config import DataConfig, ModelConfig, OptimizerConfig, RunConfig
from vcr_core.datasets import Dataset, TransferTask
from vcr_core.datasets.augmentation import Augmentation
from vcr_core.datasets.split import check_classes, generator, in_memory
from vcr_core.datasets.streaming import Images, StreamedImages
from vcr_core.errors import ConfigError
from vcr_core.models import Model
from vcr_core.models.whitening import IMAGES, whiten_first_convolution
from vcr_core.regularization import Regularization, attach
from vcr_core.regularization.rivals import AttachedRival, attach_rival
from vcr_core.training.average import AveragedWeights
from vcr_core.training.cadence import Cadence, cadence
from vcr_core.training.compiling import compile_blocks
from vcr_core.training.objectives import Objective, add_projector, objective_of, supervised
from vcr_core.training.reading import in_order

#: The types of products under autocast, by ``training.precision``.
HALF = {"bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True)
class Experiment:
    """A configuration made real: data and model on the device, the regulariser attached.

    ``scaler`` scales losses where products are float16, and does nothing elsewhere. ``mirrored``
    (N,) says which training images are mirrored in epochs 0, 2, …; the others are in 1, 3, …
    """

    config: RunConfig
    device: torch.device
    model: Model
    regularization: Regularization
    optimizer: torch.optim.Optimizer
    train_images: Images
    train_labels: Tensor
    test_images: Images
    test_labels: Tensor
    classes: tuple[str, ...]
    tasks: tuple[TransferTask, ...]
    cadence: Cadence
    scaler: torch.amp.GradScaler
    objective: Objective = supervised
    augmentation: Augmentation | None = None
    mirrored: Tensor | None = None
    rival: AttachedRival | None = None
    average: AveragedWeights | None = None
    rank: int = 0

    @property
    def measured(self) -> Model:
        """The network that accuracies are those of: the average of the weights where one is on."""
        return self.model if self.average is None else self.average.model

    def task_loss(self, batch: Tensor, step: int) -> Tensor:
        """The objective's loss of the rows ``batch`` (N,) at ``step``, in the precision set."""
        half = HALF.get(self.config.training.precision)
        with torch.autocast(
            self.device.type, dtype=half or torch.bfloat16, enabled=half is not None
        ):
            return self.objective(self, batch, step)

    def penalty(self) -> Tensor:
        """What joins the task's loss: VCR's penalty and, where there is one, its rival's."""
        penalty = self.regularization.penalty()
        return penalty if self.rival is None else penalty + self.rival.penalty()

    def reported_penalty(self, penalty: Tensor) -> Tensor:
        """What to report for ``penalty``: VCR's mean per step, where most steps go without one."""
        light = self.config.regularizer.budget == "light"
        return self.regularization.mean_penalty() if light else penalty.detach()

    def remove(self) -> None:
        """Take the regularisers off the model."""
        self.regularization.remove()
        if self.rival is not None:
            self.rival.remove()


def prepare(config: RunConfig, *, processes: int = 1) -> Experiment:
    """Load the data, build the model, attach the regulariser.

    With more than one of ``processes`` statistics of features are taken over all of them.

    Raises:
        ConfigError: a batch larger than the data, an unknown name, a device that is not there.
        DataError: a data set that cannot be found or read.
        LayerNotFoundError: a layer that the model does not have.
    """
    device = pick_device(config.execution.device)
    data = load_data(config.data, seed=config.seed)
    _check_batch(config, len(data.train.images))
    torch.manual_seed(config.seed)
    model = build_model(config.model, data, source=config.data.source, seed=config.seed)
    _check_crops(config, model)
    add_projector(model, config.objective, seed=config.seed)
    model.to(device)
    if config.training.channels_last:
        clips = len(data.train.images.shape) == 5
        model.to(memory_format=torch.channels_last_3d if clips else torch.channels_last)
    if processes > 1 and device.type == "cuda":
        model = torch.nn.SyncBatchNorm.convert_sync_batchnorm(model)  # type: ignore[no-untyped-call]
    kept = config.training.averaging
    average = AveragedWeights(model, kept) if kept else None  # before anything hooks on to it
    if config.training.compile:
        compile_blocks(model)
    rival = build_rival(model, config)
    source = config.data.source
    labels, held_out = data.train.labels[source], data.test.labels[source]
    check_classes(labels, held_out, data.class_names[source], task=source, field="data.train_size")
    return Experiment(
        config=config,
        device=device,
        model=model,
        regularization=attach_regularizer(model, config, processes=processes),
        optimizer=build_optimizer(model, config.optimizer),
        train_images=in_order(data.train.images.to(device), config),
        train_labels=labels.to(device),
        test_images=data.test.images.to(device),
        test_labels=held_out.to(device),
        classes=data.class_names[source],
        tasks=_tasks(config, data, device),
        cadence=cadence(config, train_size=len(data.train.images)),
        scaler=torch.amp.GradScaler(device.type, enabled=config.training.precision == "float16"),
        augmentation=build_augmentation(config, data, device),
        mirrored=_mirrored(config, len(labels), device),
        objective=objective_of(config, rival),
        rival=rival,
        average=average,
    )


def _mirrored(config: RunConfig, count: int, device: torch.device) -> Tensor | None:
    """The images that are mirrored in the first epoch, where they take turns."""
    amounts = config.augmentation
    if not (amounts.alternate and amounts.flip):
        return None
    draws = generator(config.seed, "mirrored first")
    return (torch.rand(count, generator=draws) < amounts.flip).to(device)


def load_data(config: DataConfig, *, seed: int) -> Dataset:
    """The images that a configuration asks for; the seed draws or splits them where it can."""
    return datasets.load(config.spec(seed))


def build_model(config: ModelConfig, data: Dataset, *, source: str, seed: int) -> Model:
    """The network for the data's images and the source task's classes."""
    if source not in data.class_names:
        raise ConfigError(
            f"expected one of {', '.join(data.class_names)}, got '{source}'", field="data.source"
        )
    model = models.build(
        config.name,
        in_shape=tuple(data.train.images.shape[1:]),
        num_classes=len(data.class_names[source]),
        seed=seed,
        width=config.width,
        hidden=config.hidden,
        dropout=config.dropout,
        norm=config.norm,
        pretrained=config.pretrained,
    )
    if config.whitening:
        whiten_first_convolution(model, _some(data.train.images, seed))
    return model


def _some(images: Images, seed: int) -> Tensor:
    """A few thousand images, drawn by the seed."""
    rows = torch.randperm(len(images), generator=generator(seed, "whitening"))[:IMAGES]
    return in_memory(images[rows])


def build_augmentation(
    config: RunConfig, data: Dataset, device: torch.device
) -> Augmentation | None:
    """What varies the training images; None where nothing does.

    Raises:
        ConfigError: shifts as large as the images.
    """
    amounts = config.augmentation
    if not amounts.is_on:
        return None
    size = min(data.train.images.shape[-2:])
    if amounts.crop_padding >= size:
        raise ConfigError(
            f"expected shifts below the {size} pixels of the images, got {amounts.crop_padding}",
            field="augmentation.crop_padding",
        )
    cropped = isinstance(data.train.images, StreamedImages)
    return Augmentation(amounts, mean=data.mean, std=data.std, cropped=cropped).to(device)


def build_optimizer(model: torch.nn.Module, settings: OptimizerConfig) -> torch.optim.Optimizer:
    """AdamW, or SGD with momentum, over all weights that train, with decay where it is wanted."""
    options: dict[str, Any] = {
        "lr": settings.learning_rate,
        "weight_decay": settings.weight_decay,
        "fused": True,
    }
    if settings.name == "sgd":
        options |= {"momentum": settings.momentum, "nesterov": settings.nesterov}
        return torch.optim.SGD(_groups(model, settings), **options)
    return torch.optim.AdamW(_groups(model, settings), **options)


def _groups(model: torch.nn.Module, settings: OptimizerConfig) -> list[dict[str, Any]]:
    """All parameters; biases and gains of norms (of one dimension) apart where they do not decay.

    ``decays`` tells a live weight decay which group to act on.
    """
    parameters = [each for each in model.parameters() if each.requires_grad]
    if settings.norm_decay:
        return [{"params": parameters, "decays": True}]
    return [
        {"params": [p for p in parameters if p.ndim > 1], "decays": True},
        {"params": [p for p in parameters if p.ndim <= 1], "decays": False, "weight_decay": 0.0},
    ]


def attach_regularizer(
    model: torch.nn.Module, config: RunConfig, *, processes: int = 1
) -> Regularization:
    """Put variance-covariance regularisation on a model as a configuration says."""
    settings = config.regularizer
    return attach(
        model,
        variance_weight=settings.variance_weight,
        covariance_weight=settings.covariance_weight,
        layers=config.layer_names,
        target_std=settings.target_std,
        eps=settings.eps,
        threshold=settings.threshold,
        ranks="global" if processes > 1 else "local",
        scale=settings.scale,
        budget=settings.budget,
        layer_factors=config.layer_factors,
    )


def build_rival(model: torch.nn.Module, config: RunConfig) -> AttachedRival | None:
    """The rival that a configuration asks for, at the layers where VCR acts."""
    settings = config.regularizer
    if settings.rival == "none":
        return None
    return attach_rival(
        settings.rival,
        model,
        strength=settings.rival_weight,
        layers=config.layer_names,
        seed=config.seed,
    )


def devices_here() -> dict[str, bool]:
    """Which kinds of device this process can use, the best first."""
    return {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }


def pick_device(name: str) -> torch.device:
    """The device of that name; ``auto`` takes CUDA, then MPS, then the CPU.

    Raises:
        ConfigError: the machine has no such device.
    """
    present = devices_here()
    if name == "auto":
        name = next(device for device, there in present.items() if there)
    if not present.get(name, False):
        there = ", ".join(device for device, is_there in present.items() if is_there)
        raise ConfigError(
            f"expected a device of this machine ({there}), got '{name}'", field="execution.device"
        )
    return torch.device(name)


def _check_batch(config: RunConfig, train_size: int) -> None:
    if config.training.batch_size > train_size:
        raise ConfigError(
            f"expected at most the {train_size} training images, got "
            f"{config.training.batch_size}: choose a smaller batch",
            field="training.batch_size",
        )


def _check_crops(config: RunConfig, model: Model) -> None:
    """Crops of another size are for networks that take images of any."""
    size = config.augmentation.crop_size
    if size is not None and not model.any_size:
        raise ConfigError(
            f"expected a network that takes images of any size beside crops of {size} pixels, "
            f"'{config.model.name}' takes those of one size: leave the crop size empty",
            field="augmentation.crop_size",
        )


def load_tasks(config: RunConfig, data: Dataset) -> list[TransferTask]:
    """What a configuration probes, for a network trained on ``data``.

    Raises:
        ConfigError, DataError: as :func:`vcr_core.datasets.transfer_tasks`.
    """
    return datasets.transfer_tasks(
        data,
        config.targets,
        train_size=config.transfer.train_size,
        test_size=config.transfer.test_size,
    )


def _tasks(config: RunConfig, data: Dataset, device: torch.device) -> tuple[TransferTask, ...]:
    moved: dict[int, Images] = {}

    def on_device(images: Images) -> Images:
        """Tasks that share images go on sharing them, so features are extracted once."""
        if id(images) not in moved:
            moved[id(images)] = images.to(device)
        return moved[id(images)]

    return tuple(
        replace(
            task,
            train_images=on_device(task.train_images),
            test_images=on_device(task.test_images),
        )
        for task in load_tasks(config, data)
    )
