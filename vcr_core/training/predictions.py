"""Which test images a run gets right: its classifier's and its probes' predictions, one by one."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from vcr_core.config import RunConfig, override
from vcr_core.datasets.streaming import Images
from vcr_core.errors import ConfigError
from vcr_core.store import Store
from vcr_core.training.experiment import Experiment, load_data, load_tasks
from vcr_core.training.probing import require_ended, restored
from vcr_core.transfer import FrozenFeatures, frozen
from vcr_core.transfer.probe import fit_tasks

SOURCE = ""
"""Stands for the task that was trained, which may be among the targets by its own name as well."""


@dataclass(frozen=True)
class Predictions:
    """Of a task's N test images: ``predicted`` (N,) and ``truth`` (N,), places in ``classes``."""

    predicted: Tensor
    truth: Tensor
    classes: tuple[str, ...]


@dataclass(frozen=True)
class TaskImages:
    """A task's test images (N, C, H, W), and the (C',) that they were standardised with."""

    images: Images
    mean: Tensor
    std: Tensor


def predict(store: Store, run_id: str) -> tuple[int, dict[str, Predictions]]:
    """Step of the newest checkpoint of an ended run, and its predictions for every task.

    What the run's own evaluation counts: the classifier's of the task that was trained, under the
    name ``""``, then the probes' of every target.

    Raises:
        UnknownRunError: the store holds no such run.
        ConfigError: the run has not ended.
        CheckpointError: no checkpoint, a damaged one, or one of another network.
        FeatureError, DataError: features or data that cannot be measured.
    """
    run = store.run(run_id)
    require_ended(run)
    experiment, step = restored(run)
    features_of = FrozenFeatures(experiment.measured)
    found = {SOURCE: _of_source(experiment, features_of)}
    fitted = fit_tasks(features_of, experiment.tasks, l2=run.config.transfer.l2)
    for task, probe in fitted:
        predicted = probe.logits(features_of(task.test_images)).argmax(dim=1)
        found[task.name] = Predictions(predicted.cpu(), task.test_labels.cpu(), task.class_names)
    names = (SOURCE, *(task.name for task in experiment.tasks))
    return step, {name: found[name] for name in names}


def _of_source(experiment: Experiment, features_of: FrozenFeatures) -> Predictions:
    """The classifier's own predictions, which need no probe."""
    model = experiment.measured
    with frozen(model):
        predicted = model.head(features_of(experiment.test_images)).argmax(dim=1)
    return Predictions(predicted.cpu(), experiment.test_labels.cpu(), experiment.classes)


def images_of_task(config: RunConfig, task: str) -> TaskImages:
    """The test images of a task, in the order in which :func:`predict` has them.

    Raises:
        ConfigError: the configuration has no such task.
        DataError: images that cannot be found or read.
    """
    data = load_data(config.data, seed=config.seed)
    if task == SOURCE:
        return TaskImages(data.test.images, data.mean, data.std)
    if task not in config.targets:
        raise ConfigError(f"expected one of {', '.join(config.targets)}, got '{task}'")
    (found,) = load_tasks(override(config, {"transfer.targets": (task,)}), data)
    return TaskImages(found.test_images, found.mean, found.std)
