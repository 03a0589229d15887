"""Linear probes agree with scikit-learn and leave the model and all chance as they were."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from vcr_core.datasets import TransferTask
from vcr_core.errors import DataError, FeatureError
from vcr_core.models import Model, build
from vcr_core.transfer import (
    FrozenFeatures,
    extract_features,
    fit_probe,
    fit_probes,
    probe_all,
)

MOMENTS = torch.zeros(3), torch.ones(3)


@pytest.fixture(scope="module")
def digits() -> tuple[Tensor, Tensor]:
    """Pixels (1797, 64), three of them constant, and digits (1797,)."""
    found = load_digits()
    return torch.from_numpy(found.data), torch.from_numpy(found.target)


@pytest.mark.parametrize("l2", [1e-1, 1e-2, 1e-3])
def test_probe_is_scikit_learns_logistic_regression(
    digits: tuple[Tensor, Tensor], l2: float
) -> None:
    x, y = digits
    train, test = slice(0, 1000), slice(1000, None)
    probe = fit_probe(x[train], y[train], l2=l2)
    scaler = StandardScaler().fit(x[train])
    z = scaler.transform(x)
    oracle = LogisticRegression(C=1 / (l2 * 1000), tol=1e-8, solver="newton-cholesky").fit(
        z[train], y[train]
    )
    np.testing.assert_allclose(probe.weights.T.numpy(), oracle.coef_, atol=2e-3)
    probabilities = probe.logits(x[test]).softmax(dim=1).numpy()
    np.testing.assert_allclose(probabilities, oracle.predict_proba(z[test]), atol=2e-3)
    assert probe.accuracy(x[test], y[test]) == pytest.approx(
        oracle.score(z[test], y[test]), abs=2e-3
    )


def test_two_classes_give_the_same_probabilities_as_scikit_learn(
    digits: tuple[Tensor, Tensor],
) -> None:
    """Scikit-learn has one column for two classes, so half the penalty gives our two columns."""
    x, parity = digits[0], digits[1] % 2
    probe = fit_probe(x, parity, l2=1e-2)
    z = StandardScaler().fit_transform(x)
    oracle = LogisticRegression(
        C=2 / (1e-2 * len(z)), tol=1e-8, max_iter=5000, solver="newton-cholesky"
    ).fit(z, parity)
    probabilities = probe.logits(x).softmax(dim=1).numpy()
    np.testing.assert_allclose(probabilities, oracle.predict_proba(z), atol=2e-3)


def test_float32_probes_agree_with_scikit_learn_in_accuracy(digits: tuple[Tensor, Tensor]) -> None:
    x, y = digits[0].float(), digits[1]
    probe = fit_probe(x[:1000], y[:1000], l2=1e-2)
    assert probe.weights.dtype is torch.float32
    scaler = StandardScaler().fit(x[:1000])
    oracle = LogisticRegression(C=1 / (1e-2 * 1000), max_iter=1000)
    oracle.fit(scaler.transform(x[:1000]), y[:1000])
    assert probe.accuracy(x[1000:], y[1000:]) == pytest.approx(
        oracle.score(scaler.transform(x[1000:]), y[1000:]), abs=2.5e-3
    )


def test_probes_fitted_together_are_those_fitted_alone(digits: tuple[Tensor, Tensor]) -> None:
    """Targets with 2, 10 and 3 classes share the features, not each other's answers."""
    x, y = digits
    targets, classes = [y % 2, y, y % 3], [2, 10, 3]
    together = fit_probes(x, targets, num_classes=classes, l2=1e-2)
    for probe, labels, count in zip(together, targets, classes, strict=True):
        alone = fit_probe(x, labels, num_classes=count, l2=1e-2)
        assert probe.weights.shape == (64, count)
        assert probe.converged
        torch.testing.assert_close(probe.weights, alone.weights, atol=1e-4, rtol=0)


def test_labels_outside_the_classes_are_refused() -> None:
    with pytest.raises(DataError, match=r"expected probe labels from 0 to 1, .* got 2"):
        fit_probe(torch.randn(6, 3), torch.arange(6) % 3, num_classes=2)


def test_strongly_correlated_features_need_few_iterations() -> None:
    draws = torch.Generator().manual_seed(0)
    labels = torch.randint(4, (800,), generator=draws)
    mixing = torch.randn(32, 32, generator=draws) @ torch.diag(torch.logspace(0, -4, 32))
    features = torch.randn(800, 32, generator=draws) @ mixing.T
    features += torch.eye(4)[labels] @ torch.randn(4, 32, generator=draws)
    assert fit_probe(features, labels, l2=1e-3).iterations < 60


def test_separable_features_are_read_perfectly_and_noise_at_chance() -> None:
    draws = torch.Generator().manual_seed(0)
    labels = torch.arange(400) % 4
    noise = torch.randn(400, 8, generator=draws)
    clear = torch.cat([noise, torch.eye(4)[labels] * 10], dim=1)
    train, test = slice(0, 200), slice(200, None)
    assert fit_probe(clear[train], labels[train]).accuracy(clear[test], labels[test]) == 1.0
    chance = fit_probe(noise[train], labels[train]).accuracy(noise[test], labels[test])
    assert chance == pytest.approx(0.25, abs=0.1)


def test_constant_features_give_finite_weights() -> None:
    features = torch.cat([torch.full((60, 3), 1e4), torch.randn(60, 2)], dim=1)
    probe = fit_probe(features, torch.arange(60) % 3)
    assert torch.isfinite(probe.weights).all()
    torch.testing.assert_close(probe.weights[:3], torch.zeros(3, 3))


def test_features_that_are_all_constant_are_read_at_the_commonest_class() -> None:
    labels = torch.tensor([0] * 30 + [1] * 10)
    probe = fit_probe(torch.ones(40, 5), labels)
    assert probe.accuracy(torch.ones(40, 5), labels) == 0.75


def test_more_features_than_samples_are_no_trouble() -> None:
    features = torch.randn(20, 50)
    assert torch.isfinite(fit_probe(features, torch.arange(20) % 2).weights).all()


def test_equal_features_give_equal_probes_whatever_the_random_state() -> None:
    features, labels = torch.randn(100, 10), torch.arange(100) % 5
    torch.manual_seed(1)
    first = fit_probe(features, labels)
    torch.manual_seed(2)
    before = torch.get_rng_state()
    assert torch.equal(first.weights, fit_probe(features, labels).weights)
    assert torch.equal(before, torch.get_rng_state())


def test_one_class_only_is_refused() -> None:
    with pytest.raises(DataError, match="at least two classes among the 10 probe labels, got one"):
        fit_probe(torch.randn(10, 3), torch.zeros(10, dtype=torch.long))


def test_labels_that_do_not_match_the_features_are_refused() -> None:
    with pytest.raises(FeatureError, match=r"features \(N, D\) and labels \(N,\), got \(10, 3\)"):
        fit_probe(torch.randn(10, 3), torch.arange(9))


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_features_that_are_not_finite_are_refused(bad: float) -> None:
    features = torch.randn(10, 3)
    features[4, 1] = bad
    with pytest.raises(FeatureError, match="expected finite features, got NaN or infinity"):
        fit_probe(features, torch.arange(10) % 2)


@pytest.fixture
def network() -> Model:
    return build("small-resnet", in_shape=(3, 16, 16), num_classes=3, width=4, seed=0, dropout=0.5)


def test_extraction_leaves_statistics_modes_and_chance_alone(network: Model) -> None:
    network.train()
    network.blocks[0].eval()
    state = {name: value.clone() for name, value in network.state_dict().items()}
    modes = [module.training for module in network.modules()]
    before = torch.get_rng_state()
    features = extract_features(network, torch.randn(30, 3, 16, 16, generator=torch.Generator()))
    assert features.shape == (30, 16)
    assert not features.requires_grad
    assert modes == [module.training for module in network.modules()]
    assert all(torch.equal(value, state[name]) for name, value in network.state_dict().items())
    assert torch.equal(before, torch.get_rng_state())


def test_features_do_not_depend_on_the_batch_size(network: Model) -> None:
    images = torch.randn(30, 3, 16, 16)
    torch.testing.assert_close(
        extract_features(network, images, batch_size=30),
        extract_features(network, images, batch_size=7),
    )


def test_probe_all_passes_shared_images_through_the_network_once(network: Model) -> None:
    images = torch.randn(60, 3, 16, 16)
    passed = []
    network.stem.register_forward_hook(lambda _, inputs, __: passed.append(len(inputs[0])))
    tasks = [
        TransferTask(name, images, labels, images, labels, ("a", "b"), *MOMENTS)
        for name, labels in (("first", torch.arange(60) % 2), ("second", torch.arange(60) // 30))
    ]
    accuracies = probe_all(FrozenFeatures(network), tasks)
    assert list(accuracies) == ["first", "second"]
    assert all(0 <= value <= 1 for value in accuracies.values())
    assert sum(passed) == 60
