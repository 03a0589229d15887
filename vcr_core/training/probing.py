"""Probe runs that have ended, from their newest checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor

from vcr_core.config import override
from vcr_core.errors import CheckpointError, ConfigError
from vcr_core.store import Run, RunState, Store
from vcr_core.training.checkpoint import Folder
from vcr_core.training.experiment import Experiment, devices_here, prepare
from vcr_core.training.state import below
from vcr_core.transfer import FrozenFeatures, Options, Protocol, TargetResult, measure


def probe_run(
    store: Store,
    run_id: str,
    protocols: Sequence[Protocol],
    *,
    targets: Sequence[str] = (),
    options: Options | None = None,
) -> dict[Protocol, list[TargetResult]]:
    """Probe a run that has ended, and keep what came out in its result under ``probes``.

    ``targets`` are as in the run's own configuration; none means the run's. Images pass through
    the network once for all protocols. Whatever was kept of other protocols stays.

    Raises:
        UnknownRunError: the store holds no such run.
        ConfigError: the run has not ended, or a target that its data do not have.
        CheckpointError: no checkpoint, a damaged one, or one of another network.
        FeatureError, DataError: as :func:`vcr_core.transfer.measure`.
    """
    options = options or Options()
    run = store.run(run_id)
    require_ended(run)
    experiment, step = restored(run, targets)
    model = experiment.measured
    features_of = FrozenFeatures(model)
    found = {
        protocol: measure(
            protocol,
            experiment.measured,
            experiment.tasks,
            options=options,
            features_of=features_of,
        )
        for protocol in protocols
    }
    kept = {name: _kept(results, step, options) for name, results in found.items()}
    result = dict(store.run(run_id).result)
    store.update_run(run_id, result=result | {"probes": result.get("probes", {}) | kept})
    return found


def require_ended(run: Run) -> None:
    """Refuse a run whose network still changes.

    Raises:
        ConfigError: it has not ended.
    """
    if not run.state.is_over and run.state is not RunState.INTERRUPTED:
        raise ConfigError(
            f"expected a run that has ended, but run {run.id} is {run.state.value}: wait for it, "
            f"or end it with `vcr-lab stop {run.id}`"
        )


def restored(run: Run, targets: Sequence[str] = ()) -> tuple[Experiment, int]:
    """The run's network as its newest checkpoint has it, without regulariser, and the step.

    ``targets`` are probed instead of the run's own, if there are any. Where the device that it
    trained on is not at hand, the best one takes its place.

    Raises:
        CheckpointError: no checkpoint, a damaged one, or one of another network.
    """
    folder = Folder.of(run)
    checkpoint = folder.newest()
    if checkpoint is None:
        raise CheckpointError(
            f"expected a checkpoint of run {run.id} in {folder.address}, found none that is whole: "
            "train it again"
        )
    changes: dict[str, Any] = {"transfer.targets": tuple(targets)} if targets else {}
    if not devices_here().get(run.config.execution.device, True):
        changes["execution.device"] = "auto"
    experiment = prepare(override(run.config, changes))
    experiment.remove()
    kind = "model/" if experiment.average is None else "average/"
    _load(experiment.measured, below(kind, checkpoint.tensors), run.id)
    return experiment, checkpoint.step


def _load(model: torch.nn.Module, weights: dict[str, Tensor], run_id: str) -> None:
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise CheckpointError(
            f"expected weights that fit the network of run {run_id}: its checkpoint is of another "
            "network, or made by another version"
        ) from error


def _kept(results: Sequence[TargetResult], step: int, options: Options) -> dict[str, Any]:
    """What the store keeps of a protocol: numbers and how they were made, not every sample."""
    return {
        "step": step,
        "seed": options.seed,
        "targets": {result.target: result.as_dict() for result in results},
        "average": sum(result.accuracy for result in results) / len(results),
        "options": asdict(options),
    }
