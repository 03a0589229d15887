"""Measures of collapse, of similarity and of trust: a high case, a low case, an outside oracle."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.covariance import EmpiricalCovariance
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import NearestCentroid
from torch import Tensor
from torchmetrics.functional.classification import multiclass_calibration_error

from vcr_core import diagnostics
from vcr_core.errors import FeatureError

CLASSES, PER_CLASS, DIMENSIONS = 5, 200, 12


def clusters(spread: float, *, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Round classes (N, D) of a standard deviation around means at distance √2 from each other."""
    draws = torch.Generator().manual_seed(seed)
    labels = torch.arange(CLASSES).repeat(PER_CLASS)
    noise = torch.randn(len(labels), DIMENSIONS, generator=draws)
    return torch.eye(CLASSES, DIMENSIONS)[labels] + spread * noise, labels


# ---------------------------------------------------------------------- collapse


def test_classes_that_are_points_have_collapsed_by_every_measure() -> None:
    x, y = clusters(0.0)
    for measure in (diagnostics.cdnv, diagnostics.directional_cdnv, diagnostics.nc1):
        assert float(measure(x, y)) == pytest.approx(0.0, abs=1e-12)
    assert float(diagnostics.ncc_accuracy(x, y, x, y)) == 1.0
    assert float(diagnostics.ncc_mismatch(x, y, x, y)) == 0.0


def test_cdnv_of_round_classes_is_their_variance_over_the_squared_distance() -> None:
    """v = D σ² and ‖μ_i − μ_j‖² = 2, so CDNV is D σ² / 2, and σ² / 2 in the direction between."""
    x, y = clusters(0.5)
    assert float(diagnostics.cdnv(x, y)) == pytest.approx(DIMENSIONS * 0.25 / 2, rel=0.05)
    assert float(diagnostics.directional_cdnv(x, y)) == pytest.approx(0.25 / 2, rel=0.1)


def test_spread_across_the_means_counts_in_cdnv_alone() -> None:
    x, y = clusters(0.0)
    x[:, -1] = torch.randn(len(x), generator=torch.Generator().manual_seed(0))
    assert float(diagnostics.cdnv(x, y)) > 0.4
    assert float(diagnostics.directional_cdnv(x, y)) < 0.01


def test_nc1_is_the_trace_that_numpy_gives() -> None:
    x, y = (part.numpy() for part in clusters(0.3))
    means = np.stack([x[y == c].mean(axis=0) for c in range(CLASSES)]).astype(float)
    within = np.cov((x - means[y]).T, bias=True)
    between = np.cov(means.T, bias=True)
    expected = np.trace(within @ np.linalg.pinv(between, rcond=1e-10)) / CLASSES
    found = diagnostics.nc1(torch.from_numpy(x), torch.from_numpy(y))
    assert float(found) == pytest.approx(expected, rel=1e-6)
    assert float(diagnostics.nc1(*clusters(1.0))) > float(found)


def test_the_nearest_class_mean_is_scikit_learns() -> None:
    x, y = clusters(0.6)
    new, labels = clusters(0.6, seed=1)
    oracle = NearestCentroid().fit(x, y)
    assert float(diagnostics.ncc_accuracy(x, y, new, labels)) == pytest.approx(
        oracle.score(new, labels)
    )
    predicted = torch.from_numpy(oracle.predict(new))
    assert float(diagnostics.ncc_mismatch(x, y, new, predicted)) == 0.0
    assert float(diagnostics.ncc_mismatch(x, y, new, (predicted + 1) % CLASSES)) == 1.0


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (torch.zeros(6, dtype=torch.long), "two at least, got one class"),
        (torch.tensor([0, 0, 2, 2, 2, 2]), "got none of class 1"),
        (torch.tensor([0, 1, -1, 0, 1, 1]), "labels of 0 or more, got -1"),
        (torch.arange(5), r"expected features \(N, D\) and labels \(N,\)"),
    ],
)
def test_classes_that_cannot_be_compared_are_refused(labels: Tensor, said: str) -> None:
    with pytest.raises(FeatureError, match=said):
        diagnostics.cdnv(torch.randn(6, 3), labels)


# ---------------------------------------------------------------------- spectrum


def test_alpha_req_is_the_exponent_of_the_spectrum() -> None:
    rotation = torch.linalg.qr(torch.randn(30, 30, dtype=torch.float64)).Q
    for exponent in (0.0, 0.5, 1.5):
        values = torch.arange(1, 31, dtype=torch.float64) ** -exponent
        covariance = rotation @ torch.diag(values) @ rotation.T
        assert float(diagnostics.alpha_req(covariance)) == pytest.approx(exponent, abs=1e-6)


def test_alpha_req_is_numpys_slope_and_nothing_on_a_line() -> None:
    covariance = torch.cov(torch.randn(12, 200).double() * torch.arange(1, 13)[:, None])
    values = np.linalg.eigvalsh(covariance.numpy())[::-1]
    slope = np.polyfit(np.log(np.arange(1, 13)), np.log(values), 1)[0]
    assert float(diagnostics.alpha_req(covariance)) == pytest.approx(-slope, rel=1e-6)
    assert torch.isnan(diagnostics.alpha_req(torch.ones(4, 4)))


# ------------------------------------------------------------------------- trust


def test_calibration_error_is_torchmetrics() -> None:
    draws = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(4000, 5, generator=draws)
    labels = torch.randint(5, (4000,), generator=draws)
    expected = multiclass_calibration_error(logits.softmax(1), labels, num_classes=5, n_bins=15)
    found = diagnostics.expected_calibration_error(logits, labels)
    assert float(found) == pytest.approx(float(expected), abs=1e-4)


def test_calibration_error_is_small_for_honest_shares_and_one_for_sure_errors() -> None:
    draws = torch.Generator().manual_seed(0)
    logits = torch.randn(20_000, 4, generator=draws)
    honest = torch.multinomial(logits.softmax(1), 1, generator=draws).view(-1)
    assert float(diagnostics.expected_calibration_error(logits, honest)) < 0.02
    wrong = torch.eye(4)[torch.arange(100) % 4] * 100
    error = diagnostics.expected_calibration_error(wrong, (torch.arange(100) + 1) % 4)
    assert float(error) == pytest.approx(1.0, abs=1e-4)


def test_auroc_is_scikit_learns_with_ties() -> None:
    draws = torch.Generator().manual_seed(0)
    known = torch.randint(4, (300,), generator=draws).float() + 1
    other = torch.randint(4, (200,), generator=draws).float()
    expected = roc_auc_score([1] * 300 + [0] * 200, torch.cat([known, other]))
    assert float(diagnostics.auroc(known, other)) == pytest.approx(expected, abs=1e-6)
    assert float(diagnostics.auroc(known + 9, other)) == 1.0
    assert float(diagnostics.auroc(known, known)) == pytest.approx(0.5)
    with pytest.raises(FeatureError, match="one at least"):
        diagnostics.auroc(known, other[:0])


def test_mahalanobis_scores_are_scikit_learns_distances() -> None:
    x, y = clusters(0.4)
    queries = torch.randn(50, DIMENSIONS)
    means = diagnostics.class_means(x, y)
    within = EmpiricalCovariance(assume_centered=True).fit((x.double() - means[y]).numpy())
    to_each = [within.mahalanobis((queries.double() - mean).numpy()) for mean in means]
    found = diagnostics.mahalanobis_score(x, y, queries)
    np.testing.assert_allclose(-found.numpy(), np.min(to_each, axis=0), rtol=1e-4)


def test_other_images_are_told_apart_where_they_lie_elsewhere() -> None:
    x, y = clusters(0.2)
    new, _ = clusters(0.2, seed=1)
    elsewhere = new + 2
    scores = [diagnostics.mahalanobis_score(x, y, images) for images in (new, elsewhere)]
    assert float(diagnostics.auroc(*scores)) == 1.0
    alike = diagnostics.mahalanobis_score(x, y, clusters(0.2, seed=2)[0])
    assert float(diagnostics.auroc(scores[0], alike)) == pytest.approx(0.5, abs=0.05)
    sure, unsure = torch.eye(4) * 10, torch.eye(4)
    shares = [diagnostics.max_softmax_score(logits) for logits in (sure, unsure)]
    assert float(diagnostics.auroc(*shares)) == 1.0


def test_collapsed_features_still_have_mahalanobis_scores() -> None:
    x, y = clusters(0.0)
    assert torch.isfinite(diagnostics.mahalanobis_score(x, y, x)).all()
