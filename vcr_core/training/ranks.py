"""One run on several processes: each takes a part of every batch, and all do the same step.

    torchrun --nproc-per-node 2 -m vcr_core run sprites-shape

Lightning Fabric joins the processes and wraps the network in DistributedDataParallel; the
regulariser takes its statistics over all processes. So the loss curve is that of one process on
the same batches, up to rounding, for networks without batch norm; on GPUs batch norm is taken over
all processes too. What is random within a step (dropout, augmentation) differs from one process's.

The first process alone talks to the store. What it hears, all do at the same boundary.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar, cast

import torch
from torch import Tensor, distributed

from vcr_core.datasets.streaming import StreamedImages
from vcr_core.errors import ConfigError, VcrLabError
from vcr_core.models import Model
from vcr_core.store import Command, Report, RunState
from vcr_core.training.channel import Channel
from vcr_core.training.experiment import Experiment

if TYPE_CHECKING:
    from lightning.fabric import Fabric

Plain = TypeVar("Plain")


def world_size() -> int:
    """How many processes torchrun has started for this run; 1 without it."""
    return int(os.environ.get("WORLD_SIZE", "1"))


class Ranks:
    """The processes of one run. Made by :func:`join`."""

    def __init__(self, fabric: Fabric) -> None:
        self._fabric = fabric
        self.rank = int(fabric.global_rank)
        self.size = int(fabric.world_size)

    @property
    def is_first(self) -> bool:
        """Whether this process talks to the store."""
        return self.rank == 0

    def learner(self, experiment: Experiment) -> Experiment:
        """The experiment with a network whose gradients are averaged over all processes.

        Raises:
            ConfigError: the batch cannot be shared out evenly.
        """
        batch = experiment.config.training.batch_size
        if batch % self.size:
            raise ConfigError(
                f"expected a multiple of the {self.size} processes, got {batch}",
                field="training.batch_size",
            )
        model = self._fabric.setup_module(experiment.model, move_to_device=False)
        model.mark_forward_method("features")
        torch.manual_seed(experiment.config.seed + self.rank)
        images = experiment.train_images
        if isinstance(images, StreamedImages):
            images = images.shared(self.part, self.rank)
        return replace(experiment, model=cast(Model, model), train_images=images, rank=self.rank)

    def part(self, batch: Tensor) -> Tensor:
        """This process's rows of a batch (N,): (N / processes,)."""
        return batch.chunk(self.size)[self.rank]

    def mean(self, value: Tensor) -> Tensor:
        """The mean of a scalar over all processes."""
        total = value.detach().clone()
        distributed.all_reduce(total)
        return total / self.size

    def same(self, value: Plain) -> Plain:
        """What the first process says, on all of them."""
        box = [value]
        distributed.broadcast_object_list(box, src=0)
        return box[0]


def join(device: torch.device) -> Ranks:
    """Join the processes that torchrun started.

    Raises:
        VcrLabError: Lightning is not installed.
    """
    try:
        from lightning.fabric import Fabric
        from lightning.fabric.strategies.ddp import DDPStrategy
    except ModuleNotFoundError as error:
        raise VcrLabError(
            "several processes for one run need Lightning: pip install 'vcr-lab[multi-gpu]'"
        ) from error
    backend = "nccl" if device.type == "cuda" else "gloo"
    local = int(os.environ.get("LOCAL_WORLD_SIZE", str(world_size())))
    fabric = Fabric(
        accelerator=device.type,
        devices=local,
        num_nodes=world_size() // local,
        strategy=DDPStrategy(process_group_backend=backend),
    )
    fabric.launch()
    atexit.register(_part)
    return Ranks(fabric)


def _part() -> None:
    """Stop the threads of the process group: one that still runs at the exit aborts the process."""
    if distributed.is_initialized():
        distributed.destroy_process_group()


class SharedChannel:
    """The first process's channel, heard by all. Implements ``Channel``."""

    def __init__(self, ranks: Ranks, inner: Channel | None) -> None:
        self._ranks = ranks
        self._inner = inner
        self._interrupted = False

    def started(self, *, total_steps: int, environment: Mapping[str, Any]) -> None:
        """Training is about to begin."""
        if self._inner is not None:
            found = {**environment, "processes": self._ranks.size}
            self._inner.started(total_steps=total_steps, environment=found)

    def report(self, report: Report, *, seconds: float) -> None:
        """The first process's report."""
        if self._inner is not None:
            self._inner.report(report, seconds=seconds)

    def state(self, state: RunState, *, step: int, seconds: float, total_steps: int) -> None:
        """The run was paused, goes on, or has become longer."""
        if self._inner is not None:
            self._inner.state(state, step=step, seconds=seconds, total_steps=total_steps)

    def commands(self, step: int) -> Sequence[Command]:
        """What was asked of the first process, on all; and whether it has to end."""
        heard: tuple[list[Command], bool] = [], False
        if self._inner is not None:
            heard = list(self._inner.commands(step)), self._inner.is_interrupted(step)
        asked, self._interrupted = self._ranks.same(heard)
        return asked

    def holds(self, step: int, *, reported: bool) -> float:
        """What holds the first process up; the loop tells the others."""
        return 0.0 if self._inner is None else self._inner.holds(step, reported=reported)

    def settle(self, command: Command, *, step: int, reason: str | None = None) -> None:
        """Acknowledge a command once."""
        if self._inner is not None:
            self._inner.settle(command, step=step, reason=reason)

    def agree(self, payload: Mapping[str, Any], *, step: int) -> Command | None:
        """What the first process and its twin agree on."""
        agreed = self._inner.agree(payload, step=step) if self._inner is not None else None
        return self._ranks.same(agreed)

    def is_interrupted(self, step: int) -> bool:
        """Whether the first process had to end when all last heard of it."""
        return self._interrupted

    def flush(self) -> None:
        """Write what is pending."""
        if self._inner is not None:
            self._inner.flush()
