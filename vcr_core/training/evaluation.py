"""What the network knows now: the source task, and what linear probes read from its features."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from vcr_core.device_copies import fetch
from vcr_core.training.experiment import Experiment
from vcr_core.training.measurables import feature_numbers, measure_features, measure_trust
from vcr_core.transfer import FrozenFeatures, frozen, probe_all


@dataclass(frozen=True)
class Evaluation:
    """Accuracies as shares of 1, measured on held-out images.

    ``samples`` is n of the effective rank, which is n − 1 at most. ``features`` and ``trust`` are
    as in :mod:`vcr_core.training.measurables`.
    """

    source_accuracy: float
    transfer: Mapping[str, float]
    effective_rank: float
    samples: int
    features: Mapping[str, float]
    trust: Mapping[str, float]

    def numbers(self) -> dict[str, float]:
        """The evaluation as metrics of the store."""
        return {
            "source/accuracy": self.source_accuracy,
            "features/effective_rank": self.effective_rank,
            "features/count": float(self.samples),
            **{f"transfer/{name}": value for name, value in self.transfer.items()},
        }

    def summary(self) -> dict[str, Any]:
        """The evaluation as the result of a run."""
        return {
            "source_accuracy": self.source_accuracy,
            "transfer": dict(self.transfer),
            "effective_rank": self.effective_rank,
            "rank_samples": self.samples,
            "features": dict(self.features),
            "trust": dict(self.trust),
        }


def evaluate(
    experiment: Experiment, *, starts: MutableMapping[int, Tensor] | None = None
) -> Evaluation:
    """Measure the source task and every transfer task; leaves the model and all chance untouched.

    The effective rank is that of the penultimate features (N, D) of the held-out source images.
    ``starts`` are the probes of the last evaluation, replaced by those of this one: see
    :func:`vcr_core.transfer.probe_all`.
    """
    model = experiment.measured
    features_of = FrozenFeatures(model)
    features = features_of(experiment.test_images)
    labels, settings = experiment.test_labels, experiment.config
    with frozen(model):
        logits = model.head(features)
        accuracy = (logits.argmax(dim=1) == labels).float().mean()
        measured = measure_features(
            features, logits, labels.cpu(), target_std=settings.regularizer.target_std
        )
        trust = measure_trust(
            logits,
            labels,
            own=experiment.test_images,
            tasks=experiment.tasks,
            logits_of=lambda images: model.head(features_of(images)),
        )
    transfer = probe_all(features_of, experiment.tasks, l2=settings.transfer.l2, starts=starts)
    found = fetch({"accuracy": accuracy, **_under("features", measured), **_under("trust", trust)})
    numbers = {name: float(value) for name, value in found.items()}
    of_features = {name: numbers[f"features/{name}"] for name in measured}
    return Evaluation(
        source_accuracy=numbers["accuracy"],
        transfer=transfer,
        effective_rank=of_features["effective_rank"],
        samples=len(features),
        features=feature_numbers(of_features, features.shape[1]),
        trust={name: numbers[f"trust/{name}"] for name in trust},
    )


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {f"{prefix}/{name}": value for name, value in tensors.items()}
