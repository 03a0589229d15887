"""Linear probes: what a linear classifier can read from frozen features.

The probe minimises, over weights W (D, K) and bias b (K,),

    mean cross-entropy(standardised features @ W + b, labels) + l2 / 2 · ‖W‖²

by L-BFGS from zero, in the features' own precision: the objective is convex, so the answer
depends on the features alone. It is scikit-learn's ``LogisticRegression(C=1 / (l2 · N))``.
Probes on the same features are fitted together: see :mod:`vcr_core.transfer.softmax`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, MutableMapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from vcr_core.device_copies import fetch, send
from vcr_core.transfer.checks import check_features, check_labels
from vcr_core.transfer.lbfgs import minimise
from vcr_core.transfer.softmax import SharedRows, Spectrum, spectrum

if TYPE_CHECKING:
    from vcr_core.datasets import TransferTask
    from vcr_core.datasets.streaming import Images

DEFAULT_L2 = 1e-3
MAX_EVALUATIONS = 500
#: The solver stops where no entry of the gradient is larger.
GRADIENT_TOLERANCE = {torch.float64: 1e-8, torch.float32: 1e-4}


@dataclass(frozen=True)
class Scaling:
    """Mean (D,) and scale (D,) of features: the standard deviation, 1 where they are constant."""

    mean: Tensor
    scale: Tensor

    def __call__(self, features: Tensor) -> Tensor:
        """Standardised features (N, D)."""
        return (features.to(self.mean) - self.mean).div_(self.scale)


def scaling_of(features: Tensor) -> Scaling:
    """The scaling of features (N, D), in float32 or float64; exact at any common offset."""
    features = features.detach()
    if features.dtype not in GRADIENT_TOLERANCE:
        features = features.float()
    spread, offset = torch.std_mean(features - features[0], dim=0, correction=0)
    rounding = 8 * torch.finfo(features.dtype).eps * (1 + features[0].abs())
    return Scaling(features[0] + offset, torch.where(spread > rounding, spread, 1.0))


@dataclass(frozen=True)
class LinearProbe:
    """A fitted probe. ``weights`` (D, K) and ``bias`` (K,) act on standardised features."""

    scaling: Scaling
    weights: Tensor
    bias: Tensor
    l2: float
    iterations: int
    converged: bool

    def logits(self, features: Tensor) -> Tensor:
        """Logits (N, K) of features (N, D)."""
        return torch.addmm(self.bias, self.scaling(features), self.weights)

    def hits(self, features: Tensor, labels: Tensor) -> Tensor:
        """Which of features (N, D) have their label (N,) named, (N,) bool."""
        return self.logits(features).argmax(dim=1) == send(labels, self.bias.device)

    def accuracy(self, features: Tensor, labels: Tensor) -> float:
        """Share of features (N, D) whose label (N,) is named."""
        return int(self.hits(features, labels).sum()) / len(labels)


@dataclass(frozen=True)
class ProbeData:
    """Features (N, D) standardised once, and the labels (N, P) of P targets with K_p classes."""

    scaling: Scaling
    z: Tensor
    labels: Tensor
    classes: tuple[int, ...]
    spectrum: Spectrum

    @classmethod
    def of(
        cls, features: Tensor, labels: Sequence[Tensor], num_classes: Sequence[int]
    ) -> ProbeData:
        """Check and standardise; raises what :func:`fit_probes` raises."""
        check_features(features)
        for target, classes in zip(labels, num_classes, strict=True):
            check_labels(features, target, classes)
        scaling = scaling_of(features)
        z = scaling(features)
        stacked = torch.stack([send(target, z.device) for target in labels], dim=1)
        return cls(scaling, z, stacked, tuple(num_classes), spectrum(z))

    def take(self, rows: Tensor) -> ProbeData:
        """The same targets on some rows (M,), standardised as before."""
        rows = send(rows, self.z.device)
        return ProbeData(self.scaling, self.z[rows], self.labels[rows], self.classes, self.spectrum)

    def solve(self, l2: Sequence[float], *, start: Tensor | None = None) -> list[LinearProbe]:
        """One probe a target, with strengths ``l2`` (P,), from weights ``start`` (P, D + 1, K)."""
        z = self.z
        problems = SharedRows(
            z,
            self.labels,
            send(torch.tensor(self.classes, dtype=z.dtype), z.device),
            send(torch.tensor(l2, dtype=z.dtype), z.device),
            self.spectrum,
            max(self.classes),
        )
        solution = minimise(
            problems,
            problems.start() if start is None else start,
            tolerance=GRADIENT_TOLERANCE[z.dtype],
            max_evaluations=MAX_EVALUATIONS,
        )
        counts, successes = torch.stack([solution.evaluations, solution.converged]).tolist()
        found = zip(solution.weights, self.classes, l2, counts, successes, strict=True)
        return [
            LinearProbe(self.scaling, w[:-1, :k], w[-1, :k], strength, count, bool(success))
            for w, k, strength, count, success in found
        ]


def stack_weights(probes: Sequence[LinearProbe]) -> Tensor:
    """Weights and biases of probes on the same features, (P, D + 1, K), zero beyond K_p."""
    width = max(len(probe.bias) for probe in probes)
    rows = [torch.cat([probe.weights, probe.bias[None]]) for probe in probes]
    return torch.stack(
        [torch.nn.functional.pad(weights, (0, width - weights.shape[1])) for weights in rows]
    )


def fit_probes(
    features: Tensor,
    labels: Sequence[Tensor],
    *,
    num_classes: Sequence[int],
    l2: float = DEFAULT_L2,
) -> list[LinearProbe]:
    """Fit a linear probe to features (N, D) for each of several labellings (N,), all together.

    Features are standardised by their own mean and standard deviation; a constant feature is
    left at zero.

    Raises:
        FeatureError: shapes that do not fit, or features that are not finite.
        DataError: fewer than two classes among some labels, or labels outside their classes.
    """
    return ProbeData.of(features, labels, num_classes).solve([l2] * len(labels))


def fit_probe(
    features: Tensor, labels: Tensor, *, num_classes: int | None = None, l2: float = DEFAULT_L2
) -> LinearProbe:
    """Fit one linear probe to features (N, D) and labels (N,): see :func:`fit_probes`."""
    classes = num_classes or max(1, int(labels.max()) + 1)
    return fit_probes(features, [labels], num_classes=[classes], l2=l2)[0]


def probe_all(
    features_of: Callable[[Images], Tensor],
    tasks: Sequence[TransferTask],
    *,
    l2: float = DEFAULT_L2,
    starts: MutableMapping[int, Tensor] | None = None,
) -> dict[str, float]:
    """Test accuracy of a linear probe for every task, all on the same images at once.

    ``features_of`` gives the features (N, D) of images; :class:`vcr_core.transfer.FrozenFeatures`
    extracts them once per image set. ``starts`` holds weights (P, D + 1, K) for every group of
    tasks on the same images, by its place: the solver starts there, and what it finds is put
    there. The answer is the same up to the solver's tolerance, and sooner found.
    """
    hits = {
        task.name: probe.hits(features_of(task.test_images), task.test_labels).sum()
        for task, probe in fit_tasks(features_of, tasks, l2=l2, starts=starts)
    }
    found = fetch(hits)
    return {task.name: int(found[task.name]) / len(task.test_labels) for task in tasks}


def fit_tasks(
    features_of: Callable[[Images], Tensor],
    tasks: Sequence[TransferTask],
    *,
    l2: float = DEFAULT_L2,
    starts: MutableMapping[int, Tensor] | None = None,
) -> Iterator[tuple[TransferTask, LinearProbe]]:
    """A probe for every task, those on the same images fitted at once: see :func:`probe_all`."""
    known = {} if starts is None else starts
    for place, group in enumerate(on_same_images(tasks)):
        data = ProbeData.of(
            features_of(group[0].train_images),
            [task.train_labels for task in group],
            [len(task.class_names) for task in group],
        )
        probes = data.solve([l2] * len(group), start=known.get(place))
        known[place] = stack_weights(probes)
        yield from zip(group, probes, strict=True)


def on_same_images(tasks: Sequence[TransferTask]) -> list[list[TransferTask]]:
    """Tasks in groups that share their training images."""
    groups: dict[int, list[TransferTask]] = {}
    for task in tasks:
        groups.setdefault(id(task.train_images), []).append(task)
    return list(groups.values())
