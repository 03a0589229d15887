"""Probes and diagnostics on a device other than the CPU: the CPU's numbers, with few looks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from lagging_device import Device
from torch import Tensor

from vcr_core import diagnostics
from vcr_core.transfer import fit_probes
from vcr_core.transfer.few_shot import few_shot_curve
from vcr_core.transfer.lbfgs import LOOK_EVERY, Solution, minimise
from vcr_core.transfer.neighbours import nearest_class_mean, nearest_neighbours
from vcr_core.transfer.path import choose_probes
from vcr_core.transfer.probe import GRADIENT_TOLERANCE

CLASSES = 4


def some_features(count: int = 240, size: int = 12) -> tuple[Tensor, Tensor]:
    """Correlated features of overlapping classes, and the labels."""
    chance = torch.Generator().manual_seed(0)
    labels = torch.arange(count).remainder(CLASSES)
    mixing = torch.randn(size, size, generator=chance)
    centres = torch.randn(CLASSES, size, generator=chance)
    return torch.randn(count, size, generator=chance) @ mixing + centres[labels], labels


class Bowls:
    """P quadratic problems of very different shape: Σ curvature · (w − goal)² / 2."""

    def __init__(self, place: Any) -> None:
        chance = torch.Generator().manual_seed(1)
        spread = torch.tensor([0.0, 1.0, 2.0, 3.0, 4.0]).view(-1, 1, 1)
        curvature = 10 ** (spread * torch.rand(5, 6, 2, generator=chance, dtype=torch.float64))
        goal = torch.randn(5, 6, 2, generator=chance, dtype=torch.float64)
        self.curvature, self.goal = curvature.to(place), goal.to(place)
        self.calls = 0

    def value_and_gradient(self, weights: Tensor, problems: Tensor) -> tuple[Tensor, Tensor]:
        self.calls += 1
        away = weights - self.goal[problems]
        pull = self.curvature[problems] * away
        return (pull * away).sum(dim=(1, 2)) / 2, pull

    def precondition(self, gradient: Tensor, problems: Tensor) -> Tensor:
        return gradient


def solved(bowls: Bowls, start: Tensor, most: int = 400) -> Solution:
    return minimise(bowls, start, tolerance=1e-8, max_evaluations=most)


def test_the_solver_finds_the_same_on_the_device_and_looks_at_every_eighth_evaluation(
    device: Device,
) -> None:
    here = solved(Bowls("cpu"), torch.zeros(5, 6, 2, dtype=torch.float64))
    bowls = Bowls(device.name)
    start = torch.zeros(5, 6, 2, dtype=torch.float64).to(device.name)
    device.forget()
    there = solved(bowls, start)
    assert len(device.waits) <= bowls.calls / LOOK_EVERY
    assert bowls.calls <= int(here.evaluations.max()) + LOOK_EVERY
    assert torch.allclose(there.weights.cpu(), here.weights, atol=1e-7)
    assert torch.equal(there.evaluations.cpu(), here.evaluations)
    assert here.converged.all()
    assert torch.equal(there.converged.cpu(), here.converged)
    assert len(set(here.evaluations.tolist())) > 2  # they were solved at different times


def test_problems_that_are_given_up_are_told_as_on_the_cpu(device: Device) -> None:
    here = solved(Bowls("cpu"), torch.zeros(5, 6, 2, dtype=torch.float64), most=13)
    there = solved(
        Bowls(device.name), torch.zeros(5, 6, 2, dtype=torch.float64).to(device.name), most=13
    )
    assert not here.converged.all()
    assert torch.equal(there.converged.cpu(), here.converged)
    assert torch.equal(there.evaluations.cpu(), here.evaluations)
    assert torch.allclose(there.weights.cpu(), here.weights)


def test_a_start_that_is_the_answer_is_kept(device: Device) -> None:
    bowls = Bowls(device.name)
    there = solved(bowls, bowls.goal.clone())
    assert torch.equal(there.weights.cpu(), bowls.goal.cpu())
    assert there.evaluations.tolist() == [1] * 5


def test_probes_are_the_cpus(device: Device) -> None:
    features, labels = some_features()
    targets, classes = [labels, labels % 2], [CLASSES, 2]
    here = fit_probes(features.double(), targets, num_classes=classes)
    device.forget()
    there = fit_probes(features.double().to(device.name), targets, num_classes=classes)
    solver = [place for place in device.places() if "lbfgs.py" in place]
    assert len(device.waits) - len(solver) <= 4, device.places()
    for ours, theirs in zip(here, there, strict=True):
        assert torch.allclose(theirs.weights.cpu(), ours.weights, atol=1e-4)
        assert theirs.converged
        close = theirs.logits(features.double().to(device.name)).cpu() - ours.logits(
            features.double()
        )
        assert close.abs().max() < 1e3 * GRADIENT_TOLERANCE[torch.float64]


def test_chosen_probes_are_the_cpus(device: Device) -> None:
    features, labels = some_features()
    strengths = (1.0, 0.1, 0.01)

    def chosen(x: Tensor) -> tuple[float, tuple[float, ...]]:
        (found,) = choose_probes(x, [labels], num_classes=[CLASSES], strengths=strengths)
        return found.probe.l2, found.validation

    assert chosen(features.double().to(device.name)) == chosen(features.double())


def test_few_shot_curves_are_the_cpus(device: Device) -> None:
    features, labels = some_features()

    def accuracies(x: Tensor) -> list[tuple[float, ...]]:
        points = few_shot_curve(
            x[:160],
            labels[:160],
            x[160:],
            labels[160:],
            num_classes=CLASSES,
            shots=(2, 5),
            draws=3,
        )
        return [point.accuracies for point in points]

    assert accuracies(features.double().to(device.name)) == accuracies(features.double())


@pytest.mark.parametrize("named", [nearest_neighbours, nearest_class_mean])
def test_neighbours_are_the_cpus(named: Callable[..., Tensor], device: Device) -> None:
    features, labels = some_features()

    def predicted(x: Tensor) -> list[int]:
        return named(x[:160], labels[:160], x[160:], num_classes=CLASSES).tolist()

    assert predicted(features.to(device.name)) == predicted(features)


@pytest.mark.parametrize(
    ("measure", "looks"),
    [
        (diagnostics.std, 0),
        (diagnostics.std_quantiles, 0),
        (diagnostics.active_hinge_share, 0),
        (diagnostics.dead_dimensions, 0),
        (diagnostics.correlation, 0),
        (diagnostics.rms_correlation, 0),
        (diagnostics.max_correlation, 0),
        (lambda c: diagnostics.covariance_noise_floor(c, 240), 0),
        (diagnostics.participation_ratio, 0),
        (diagnostics.eigenvalues, 1),  # torch's own, to see that it went well
        (diagnostics.effective_rank, 1),
    ],
)
def test_what_a_covariance_says_is_the_same_on_the_device(
    measure: Callable[[Tensor], Tensor], looks: int, device: Device
) -> None:
    covariance = torch.cov(some_features()[0].T)
    there = covariance.to(device.name)
    device.forget()
    found = measure(there)
    assert len(device.waits) == looks, device.places()
    assert found.device.type == device.name
    assert torch.allclose(found.cpu(), measure(covariance), rtol=1e-5)


def test_a_covariance_that_is_not_finite_has_no_eigenvalues_on_the_device_either(
    device: Device,
) -> None:
    covariance = torch.cov(some_features()[0].T)
    covariance[2, 3] = torch.inf
    found = diagnostics.eigenvalues(covariance.to(device.name))
    assert found.isnan().all().item()


@pytest.mark.parametrize(
    ("measure", "looks"),
    [
        (diagnostics.class_means, 0),
        (diagnostics.cdnv, 0),
        (diagnostics.directional_cdnv, 0),
        (diagnostics.nc1, 1),  # the pseudo-inverse's own
        (lambda x, y: diagnostics.mahalanobis_score(x, y, x), 1),  # Cholesky's own
    ],
)
@pytest.mark.parametrize("beside", [False, True], ids=["labels on the host", "labels beside"])
def test_what_classes_say_is_the_same_on_the_device(
    measure: Callable[[Tensor, Tensor], Tensor], looks: int, beside: bool, device: Device
) -> None:
    features, labels = some_features()
    there = features.to(device.name)
    given = labels.to(device.name) if beside else labels
    device.forget()
    found = measure(there, given)
    assert len(device.waits) == looks + beside, device.places()
    assert torch.allclose(found.cpu(), measure(features, labels), rtol=1e-6)


def test_what_a_classifier_knows_is_the_same_on_the_device_and_nothing_waits(
    device: Device,
) -> None:
    features, labels = some_features()
    logits, there = features[:, :CLASSES], features[:, :CLASSES].contiguous().to(device.name)
    labels_there = labels.to(device.name)
    device.forget()
    error = diagnostics.expected_calibration_error(there, labels_there)
    known = diagnostics.max_softmax_score(there)
    area = diagnostics.auroc(known[:100], known[100:])
    assert not device.waits
    ours = diagnostics.max_softmax_score(logits)
    assert torch.allclose(error.cpu(), diagnostics.expected_calibration_error(logits, labels))
    assert torch.allclose(area.cpu(), diagnostics.auroc(ours[:100], ours[100:]))
