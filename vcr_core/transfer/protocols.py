"""Every protocol on every task, on one extraction of frozen features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

from torch import Tensor

from vcr_core.datasets import TransferTask
from vcr_core.errors import DataError
from vcr_core.models import Model
from vcr_core.transfer.checks import check_classes_seen, check_features, check_varied
from vcr_core.transfer.features import FrozenFeatures
from vcr_core.transfer.few_shot import DRAWS, SHOTS, few_shot_curve, usable_shots
from vcr_core.transfer.fine_tuning import FineTuning, fine_tune
from vcr_core.transfer.intervals import share_interval
from vcr_core.transfer.neighbours import (
    DEFAULT_NEIGHBOURS,
    Metric,
    nearest_class_mean,
    nearest_neighbours,
)
from vcr_core.transfer.path import STRENGTHS, choose_probes
from vcr_core.transfer.probe import on_same_images
from vcr_core.transfer.results import Protocol, TargetResult


@dataclass(frozen=True)
class Options:
    """What can be chosen about the protocols. ``shots`` None: as many as the classes allow."""

    strengths: tuple[float, ...] = STRENGTHS
    neighbours: int = DEFAULT_NEIGHBOURS
    metric: Metric = "cosine"
    shots: tuple[int, ...] | None = None
    draws: int = DRAWS
    fine_tuning: FineTuning = field(default_factory=FineTuning)
    seed: int = 0


def measure(
    protocol: Protocol,
    model: Model,
    tasks: Sequence[TransferTask],
    *,
    options: Options | None = None,
    features_of: FrozenFeatures | None = None,
) -> list[TargetResult]:
    """What a protocol reads from the model's penultimate features, task by task.

    Pass the same ``features_of`` for several protocols: images then go through the model once.
    The model, its modes and all random state stay as they are.

    Raises:
        FeatureError: features that are not finite, or the same for all images.
        DataError: one class only, test images of classes without training images, too many shots.
        ConfigError: options out of their range.
    """
    options = options or Options()
    features_of = features_of or FrozenFeatures(model)
    for task in tasks:
        _check(task, features_of)
    if protocol == "linear":
        return _linear(tasks, features_of, options)
    if protocol == "few-shot":
        return [_few_shot(task, features_of, options) for task in tasks]
    return [_named(protocol, model, task, features_of, options) for task in tasks]


def _check(task: TransferTask, features_of: FrozenFeatures) -> None:
    """Refuse what no protocol can use, before the first of them takes its time."""
    if not len(task.test_labels):
        raise DataError(f"expected at least one test image for '{task.name}', got none")
    check_classes_seen(task.train_labels, task.test_labels, task.class_names, task=task.name)
    for images in (task.train_images, task.test_images):
        check_features(features_of(images))
    check_varied(features_of(task.train_images))


def _linear(
    tasks: Sequence[TransferTask], features_of: FrozenFeatures, options: Options
) -> list[TargetResult]:
    """Tasks on the same images walk the path of strengths together."""
    results: dict[str, TargetResult] = {}
    for group in on_same_images(tasks):
        chosen = choose_probes(
            features_of(group[0].train_images),
            [task.train_labels for task in group],
            num_classes=[len(task.class_names) for task in group],
            strengths=options.strengths,
            seed=options.seed,
        )
        for task, found in zip(group, chosen, strict=True):
            hits = found.probe.hits(features_of(task.test_images), task.test_labels)
            details = {"l2": found.probe.l2, "at_the_edge": found.at_the_edge}
            results[task.name] = _shares(task, hits, details)
    return [results[task.name] for task in tasks]


def _few_shot(task: TransferTask, features_of: FrozenFeatures, options: Options) -> TargetResult:
    """The curve among the details; the accuracy is that of the most shots."""
    classes = len(task.class_names)
    shots = options.shots or usable_shots(task.train_labels, classes)
    if not shots:
        raise DataError(
            f"expected a training image of every class of '{task.name}', some class has none: "
            f"raise transfer.train_size (few-shot needs {SHOTS[0]} a class at least)",
            field="transfer.train_size",
        )
    points = few_shot_curve(
        features_of(task.train_images),
        task.train_labels,
        features_of(task.test_images),
        task.test_labels,
        num_classes=classes,
        shots=shots,
        draws=options.draws,
        seed=options.seed,
    )
    curve = [
        {"shots": point.shots, "accuracies": list(point.accuracies), **point.interval.as_dict()}
        for point in points
    ]
    last = points[-1]
    return TargetResult(
        task.name, last.interval, last.accuracies, {"shots": last.shots, "curve": curve}
    )


def _named(
    protocol: Protocol,
    model: Model,
    task: TransferTask,
    features_of: FrozenFeatures,
    options: Options,
) -> TargetResult:
    """Protocols that name a class for every test image."""
    if protocol == "fine-tune":
        predicted = fine_tune(model, task, settings=options.fine_tuning, seed=options.seed)
        return _shares(task, predicted == _at(predicted, task), asdict(options.fine_tuning))
    train, test = features_of(task.train_images), features_of(task.test_images)
    classes = len(task.class_names)
    if protocol == "ncm":
        predicted = nearest_class_mean(train, task.train_labels, test, num_classes=classes)
        return _shares(task, predicted == _at(predicted, task), {})
    predicted = nearest_neighbours(
        train,
        task.train_labels,
        test,
        num_classes=classes,
        k=options.neighbours,
        metric=options.metric,
    )
    details = {"neighbours": options.neighbours, "metric": options.metric}
    return _shares(task, predicted == _at(predicted, task), details)


def _at(predicted: Tensor, task: TransferTask) -> Tensor:
    return task.test_labels.to(predicted.device)


def _shares(task: TransferTask, hits: Tensor, details: Mapping[str, object]) -> TargetResult:
    samples = tuple(hits.double().tolist())
    return TargetResult(
        task.name, share_interval(int(sum(samples)), len(samples)), samples, details
    )
