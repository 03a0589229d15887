"""The plain formulas: known values, other people's code, and errors."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from lightly.loss.vicreg_loss import covariance_loss, variance_loss

from vcr_core.errors import FeatureError
from vcr_core.regularization import covariance_penalty, variance_penalty
from vcr_core.regularization.terms import covariance_matrix


def features(n: int, d: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.randn(d, d, generator=generator) / d**0.5
    return torch.randn(n, d, generator=generator) @ mixing + 3.0


def test_covariance_is_numpys_unbiased_covariance() -> None:
    z = features(50, 7)
    np.testing.assert_allclose(covariance_matrix(z), np.cov(z.numpy().T), rtol=1e-4, atol=1e-6)


def test_variance_penalty_is_the_mean_shortfall_of_the_standard_deviations() -> None:
    z = torch.tensor([[0.0, 0.0], [1.0, 0.0]])
    expected = (1 - 0.5**0.5 + 1) / 2
    assert variance_penalty(z, eps=1e-12).item() == pytest.approx(expected, abs=1e-5)


def test_variance_penalty_is_zero_for_features_wider_than_the_target() -> None:
    assert variance_penalty(10 * features(100, 5)).item() == 0.0


def test_covariance_penalty_of_two_copies_is_the_squared_variance() -> None:
    z = features(40, 2)[:, :1].repeat(1, 2)
    assert covariance_penalty(z).item() == pytest.approx(z[:, 0].var().item() ** 2, rel=1e-5)


def test_covariance_penalty_is_zero_for_orthogonal_features() -> None:
    z = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
    assert covariance_penalty(z).item() == 0.0


def test_terms_agree_with_lightlys_vicreg_loss_up_to_its_convention() -> None:
    z = features(64, 12)
    halved = variance_loss(z, eps=1e-4)
    assert variance_penalty(z).item() == pytest.approx(halved.item(), rel=1e-5)
    divided_by_d = covariance_loss(z)
    assert covariance_penalty(z).item() == pytest.approx(divided_by_d.item() / 11, rel=1e-4)


def test_threshold_makes_large_covariances_count_linearly() -> None:
    z = 100 * features(40, 2)[:, :1].repeat(1, 2)
    c = z[:, 0].var().item()
    assert covariance_penalty(z, threshold=0.5).item() == pytest.approx(c - 0.25, rel=1e-5)


def test_a_threshold_above_all_covariances_changes_nothing() -> None:
    z = features(40, 6)
    assert torch.equal(covariance_penalty(z, threshold=1e6), covariance_penalty(z)) or (
        covariance_penalty(z, threshold=1e6).item()
        == pytest.approx(covariance_penalty(z).item(), rel=1e-6)
    )


def test_half_precision_features_have_float32_terms() -> None:
    z = features(32, 4).to(torch.bfloat16)
    assert variance_penalty(z).dtype == torch.float32
    assert covariance_penalty(z).item() == pytest.approx(
        covariance_penalty(z.float()).item(), rel=1e-6
    )


@pytest.mark.parametrize("shape", [(5,), (1, 128), (4, 1), (2, 3, 4)])
def test_features_of_another_shape_are_refused_with_what_to_do(shape: tuple[int, ...]) -> None:
    with pytest.raises(FeatureError, match=r"expected features of shape \(N, D\) with N >= 2"):
        variance_penalty(torch.zeros(shape))


def test_integer_features_are_refused() -> None:
    with pytest.raises(FeatureError, match=r"floating-point features, got torch.int64"):
        covariance_penalty(torch.zeros(4, 4, dtype=torch.int64))
