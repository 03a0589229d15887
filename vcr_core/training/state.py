"""All that decides the rest of a run, out of an experiment and back into one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from vcr_core.config import RunConfig, differences, validate
from vcr_core.errors import CheckpointError, ConfigError
from vcr_core.training.experiment import Experiment


def tensors_of(experiment: Experiment) -> dict[str, Tensor]:
    """Model, its average, optimiser and random states as copies on the CPU."""
    found = {f"model/{name}": value for name, value in experiment.model.state_dict().items()}
    if experiment.average is not None:
        averaged = experiment.average.model.state_dict()
        found |= {f"average/{name}": value for name, value in averaged.items()}
    for index, state in experiment.optimizer.state_dict()["state"].items():
        found |= {f"optimizer/{index}/{key}": torch.as_tensor(x) for key, x in state.items()}
    found["random/cpu"] = torch.get_rng_state()
    if experiment.device.type == "cuda":
        found["random/cuda"] = torch.cuda.get_rng_state(experiment.device)
    elif experiment.device.type == "mps":
        found["random/mps"] = torch.mps.get_rng_state()
    return {name: _copy(value) for name, value in found.items()}


def state_of(experiment: Experiment) -> dict[str, Any]:
    """What of an experiment is no tensor."""
    groups = experiment.optimizer.state_dict()["param_groups"]
    return {
        "config": experiment.config.model_dump(mode="json"),
        "device": experiment.device.type,
        "torch": torch.__version__,
        "optimizer": type(experiment.optimizer).__name__,
        "groups": groups,
        "regularization": experiment.regularization.state_dict(),
        "scaler": experiment.scaler.state_dict(),
    }


def restore(
    experiment: Experiment, tensors: Mapping[str, Tensor], state: Mapping[str, Any]
) -> None:
    """Put an experiment where another one of the same configuration was.

    Raises:
        CheckpointError: the checkpoint is of another configuration, network or optimiser.
    """
    _check(experiment, tensors, state)
    experiment.model.load_state_dict(below("model/", tensors))
    if experiment.average is not None:
        experiment.average.model.load_state_dict(below("average/", tensors))
    parameters = [each for group in experiment.optimizer.param_groups for each in group["params"]]
    slots: dict[int, dict[str, Tensor]] = {}
    for name, value in below("optimizer/", tensors).items():
        index, _, key = name.partition("/")
        slots.setdefault(int(index), {})[key] = _laid_out_like(parameters[int(index)], value)
    groups = [
        {key: _like(before.get(key), value) for key, value in group.items()}
        for before, group in zip(experiment.optimizer.param_groups, state["groups"], strict=True)
    ]
    experiment.optimizer.load_state_dict({"state": slots, "param_groups": groups})
    experiment.regularization.load_state_dict(state["regularization"])
    if experiment.scaler.is_enabled():
        experiment.scaler.load_state_dict(state["scaler"])
    torch.set_rng_state(tensors["random/cpu"])
    if experiment.device.type == "cuda" and "random/cuda" in tensors:
        torch.cuda.set_rng_state(tensors["random/cuda"], experiment.device)
    elif experiment.device.type == "mps" and "random/mps" in tensors:
        torch.mps.set_rng_state(tensors["random/mps"])


def _check(experiment: Experiment, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
    differing = sorted(differences(experiment.config, _known(state["config"])))
    if differing:
        raise CheckpointError(
            f"expected a checkpoint of this run's configuration, got one that differs in "
            f"{', '.join(differing)}: fork the other run instead"
        )
    mine, theirs = experiment.model.state_dict(), below("model/", tensors)
    if {name: value.shape for name, value in mine.items()} != {
        name: value.shape for name, value in theirs.items()
    }:
        raise CheckpointError(
            f"expected a checkpoint of the network '{experiment.config.model.name}' with "
            f"{len(mine)} tensors, got {len(theirs)} tensors, or others in shape: use the run's own"
        )
    if state["optimizer"] != type(experiment.optimizer).__name__:
        raise CheckpointError(
            f"expected a checkpoint of {type(experiment.optimizer).__name__}, got one of "
            f"{state['optimizer']}"
        )


def _known(tree: Mapping[str, Any]) -> RunConfig:
    """A checkpoint's configuration; settings that came later are at their defaults.

    Raises:
        CheckpointError: it is of a version whose settings this one does not know.
    """
    try:
        return validate(tree)
    except ConfigError as error:
        raise CheckpointError(
            f"expected a checkpoint of this version's settings, got one with {error}: go on with "
            "the version that made it"
        ) from error


def below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors whose names begin with ``prefix``, under the rest of their names."""
    return {
        name.removeprefix(prefix): value
        for name, value in tensors.items()
        if name.startswith(prefix)
    }


def _like(before: Any, value: Any) -> Any:
    """JSON turns tuples into lists; this turns them back where there was one."""
    return tuple(value) if isinstance(before, tuple) else value


def _laid_out_like(parameter: Tensor, value: Tensor) -> Tensor:
    """Fused optimisers pair elements by their place in memory, which files do not keep."""
    if value.shape != parameter.shape:
        return value
    return torch.empty_like(parameter, dtype=value.dtype, device="cpu").copy_(value)


def _copy(value: Tensor) -> Tensor:
    return value.detach().to("cpu", copy=True).contiguous()
