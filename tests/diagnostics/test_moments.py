"""Each measure of a covariance has a case where it must be high and one where it must be low."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from vcr_core.diagnostics import (
    active_hinge_share,
    correlation,
    covariance_noise_floor,
    dead_dimensions,
    max_correlation,
    rms_correlation,
    std,
    std_quantiles,
)
from vcr_core.errors import FeatureError
from vcr_core.regularization import covariance_penalty


def random_features(n: int, d: int) -> torch.Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(0))


def test_std_is_the_root_of_the_diagonal() -> None:
    assert std(torch.diag(torch.tensor([4.0, 0.25]))).tolist() == [2.0, 0.5]


def test_correlation_is_numpys() -> None:
    z = random_features(50, 6) @ random_features(6, 6)
    np.testing.assert_allclose(correlation(z.T.cov()), np.corrcoef(z.numpy().T), atol=1e-5)


def test_correlation_of_a_constant_feature_is_zero_not_nan() -> None:
    matrix = correlation(torch.diag(torch.tensor([1.0, 0.0])))
    assert matrix.tolist() == [[1.0, 0.0], [0.0, 0.0]]


def test_std_quantiles_run_from_the_narrowest_to_the_widest_feature() -> None:
    quantiles = std_quantiles(torch.diag(torch.tensor([1.0, 4.0, 9.0])), (0.0, 0.5, 1.0))
    assert quantiles.tolist() == [1.0, 2.0, 3.0]


def test_all_hinges_are_active_for_collapsed_and_none_for_wide_features() -> None:
    assert active_hinge_share(0.01 * torch.eye(5)).item() == 1.0
    assert active_hinge_share(4 * torch.eye(5)).item() == 0.0
    assert active_hinge_share(torch.diag(torch.tensor([4.0, 0.1]))).item() == 0.5


def test_dead_dimensions_counts_constant_features_only() -> None:
    assert dead_dimensions(torch.diag(torch.tensor([1.0, 0.0, 1e-6]))).item() == 2
    assert dead_dimensions(torch.eye(3)).item() == 0


def test_copies_have_correlation_one_and_independent_features_zero() -> None:
    copies, independent = torch.full((4, 4), 2.0), 3 * torch.eye(4)
    assert rms_correlation(copies).item() == pytest.approx(1.0)
    assert max_correlation(copies).item() == pytest.approx(1.0)
    assert rms_correlation(independent).item() == 0.0
    assert max_correlation(independent).item() == 0.0


def test_independent_features_lie_at_the_noise_floor_and_dependent_ones_far_above() -> None:
    z = 3 * random_features(200, 100)
    floor = covariance_noise_floor(z.T.cov(), 200).item()
    assert covariance_penalty(z).item() == pytest.approx(floor, rel=0.05)
    mixed = z[:, :5].repeat(1, 20)
    assert covariance_penalty(mixed).item() > 10 * covariance_noise_floor(mixed.T.cov(), 200).item()


def test_noise_floor_falls_with_the_number_of_samples() -> None:
    floors = [covariance_noise_floor(torch.eye(8), n).item() for n in (2, 101)]
    assert floors == pytest.approx([1.0, 0.01])


def test_what_is_no_covariance_is_refused() -> None:
    with pytest.raises(
        FeatureError, match=r"covariance of shape \(D, D\) with D >= 2, got \(3, 4\)"
    ):
        std(torch.zeros(3, 4))
    with pytest.raises(FeatureError, match="at least 2 samples, got count=1"):
        covariance_noise_floor(torch.eye(2), 1)
