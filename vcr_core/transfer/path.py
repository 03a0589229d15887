"""A path of strengths for linear probes, and the choice of one on held-out training images.

Strengths fall geometrically. Each solution starts where the last ones point to, so that ten of
them cost about three fits: with W_k the solution of strength k,

    start_(k+1) = W_k + ΔW_k + ½ Δ²W_k,   ΔW_k = W_k − W_(k−1),   Δ²W_k = ΔW_k − ΔW_(k−1)

All targets on the same features walk the path side by side.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from vcr_core.datasets.split import generator
from vcr_core.device_copies import send
from vcr_core.errors import ConfigError, DataError
from vcr_core.transfer.probe import LinearProbe, ProbeData, stack_weights

#: From a probe that hardly moves to one that is hardly held: a factor of 3.6 between two.
STRENGTHS = tuple(10 ** (-5 * k / 9) for k in range(10))
VALIDATION_SHARE = 0.2


@dataclass(frozen=True)
class ChosenProbe:
    """A probe fitted to all training images with the strength that did best on held-out ones.

    ``validation`` holds the held-out accuracy of every strength of ``strengths``. Where the
    choice is the first or last of them, a wider path might do better: ``at_the_edge``.
    """

    probe: LinearProbe
    strengths: tuple[float, ...]
    validation: tuple[float, ...]

    @property
    def at_the_edge(self) -> bool:
        return self.probe.l2 in (self.strengths[0], self.strengths[-1])


def fit_path(
    features: Tensor,
    labels: Sequence[Tensor],
    *,
    num_classes: Sequence[int],
    strengths: Sequence[float] = STRENGTHS,
) -> list[list[LinearProbe]]:
    """Linear probes of features (N, D) for each labelling (N,) and each strength, [P][S].

    Raises:
        ConfigError: strengths that do not fall, or are not positive.
        FeatureError, DataError: as :func:`vcr_core.transfer.fit_probes`.
    """
    return _walk(ProbeData.of(features, labels, num_classes), _falling(strengths))


def choose_probes(
    features: Tensor,
    labels: Sequence[Tensor],
    *,
    num_classes: Sequence[int],
    strengths: Sequence[float] = STRENGTHS,
    seed: int = 0,
) -> list[ChosenProbe]:
    """One probe for each labelling (N,) of features (N, D), its strength chosen on a fifth of them.

    The fifth is drawn by ``seed`` and is the same for all targets; among equally good strengths
    the strongest is taken; the chosen probe is then fitted to all N.

    Raises:
        ConfigError: strengths that do not fall, or are not positive.
        DataError: too few images to hold some out.
        FeatureError, DataError: as :func:`vcr_core.transfer.fit_probes`.
    """
    path = _falling(strengths)
    data = ProbeData.of(features, labels, num_classes)
    fitting, held_out = _split(len(data.z), seed)
    _check_split(data.labels[fitting])
    probes = _walk(data.take(fitting), path)
    held_out = send(held_out, data.z.device)
    validation = _accuracies(probes, features[held_out], data.labels[held_out])
    best = [max(range(len(path)), key=scores.__getitem__) for scores in validation]
    start = stack_weights([of_target[k] for of_target, k in zip(probes, best, strict=True)])
    final = data.solve([path[k] for k in best], start=start)
    return [
        ChosenProbe(probe, path, tuple(scores))
        for probe, scores in zip(final, validation, strict=True)
    ]


def _walk(data: ProbeData, strengths: Sequence[float]) -> list[list[LinearProbe]]:
    """All targets along the path, [P][S]."""
    targets = data.labels.shape[1]
    solved: list[list[LinearProbe]] = []
    past: list[Tensor] = []
    for l2 in strengths:
        solved.append(data.solve([l2] * targets, start=_ahead(past)))
        past = [*past[-2:], stack_weights(solved[-1])]
    return [list(of_target) for of_target in zip(*solved, strict=True)]


def _accuracies(
    probes: Sequence[Sequence[LinearProbe]], features: Tensor, labels: Tensor
) -> list[list[float]]:
    """Of the probes of every target and strength, [P][S], on features (M, D), labels (M, P)."""
    hits = [
        torch.stack([probe.hits(features, target).sum() for probe in of_target])
        for of_target, target in zip(probes, labels.T, strict=True)
    ]
    return [[count / len(labels) for count in counts] for counts in torch.stack(hits).tolist()]


def _ahead(past: Sequence[Tensor]) -> Tensor | None:
    """Where the next solution is likely to lie, from up to three past ones, oldest first."""
    match past:
        case [before, last, latest]:
            return 2.5 * latest - 2.0 * last + 0.5 * before
        case [last, latest]:
            return 2.0 * latest - last
        case [latest]:
            return latest
        case _:
            return None


def _falling(strengths: Sequence[float]) -> tuple[float, ...]:
    path = tuple(strengths)
    good = all(0 < l2 < math.inf for l2 in path) and list(path) == sorted(set(path), reverse=True)
    if not path or not good:
        raise ConfigError(f"expected positive strengths that fall, for example 1, 0.1, got {path}")
    return path


def _split(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Rows to fit on and rows held out, drawn by the seed."""
    held = max(1, round(VALIDATION_SHARE * count))
    order = torch.randperm(count, generator=generator(seed, "validation of probes"))
    return order[held:].sort().values, order[:held].sort().values


def _check_split(labels: Tensor) -> None:
    """See that labels (M, P) of the images to fit on still name two classes for every target."""
    lowest, highest = labels.amin(dim=0), labels.amax(dim=0)
    if bool((lowest == highest).any()):
        raise DataError(
            f"expected two classes among the {len(labels)} images that are left when a fifth is "
            "held out to choose the probe's strength, got one: give the probe more images",
            field="transfer.train_size",
        )
