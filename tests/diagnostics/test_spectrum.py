"""Ranks: one for features on a line, D for equal spread, none for a point."""

from __future__ import annotations

import pytest
import torch

from vcr_core.diagnostics import effective_rank, eigenvalues, participation_ratio
from vcr_core.errors import FeatureError


def covariance_of_rank(rank: int, d: int = 64, n: int = 500) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(n, rank, generator=generator) @ torch.randn(rank, d, generator=generator)
    return z.T.cov()


@pytest.mark.parametrize("measure", [effective_rank, participation_ratio])
def test_rank_one_features_have_rank_one(measure: object) -> None:
    assert measure(covariance_of_rank(1)).item() == pytest.approx(1.0, abs=1e-3)  # type: ignore[operator]


@pytest.mark.parametrize("measure", [effective_rank, participation_ratio])
def test_equal_spread_in_all_directions_has_full_rank(measure: object) -> None:
    assert measure(2 * torch.eye(32)).item() == pytest.approx(32.0, rel=1e-5)  # type: ignore[operator]


@pytest.mark.parametrize("measure", [effective_rank, participation_ratio])
def test_constant_features_have_rank_zero(measure: object) -> None:
    assert measure(torch.zeros(8, 8)).item() == 0.0  # type: ignore[operator]


def test_effective_rank_of_singular_values_is_the_exponential_of_their_entropy() -> None:
    # two equal and two absent directions
    assert effective_rank(torch.tensor([3.0, 3.0, 0.0, 0.0])).item() == pytest.approx(2.0)
    # p = (1/2, 1/4, 1/4): entropy 1.5 ln 2
    assert effective_rank(torch.tensor([2.0, 1.0, 1.0])).item() == pytest.approx(2**1.5)


def test_effective_rank_does_not_depend_on_scale() -> None:
    covariance = covariance_of_rank(10)
    assert effective_rank(1e6 * covariance).item() == pytest.approx(
        effective_rank(covariance).item(), rel=1e-4
    )


def test_eigenvalues_are_sorted_and_as_many_as_the_rank() -> None:
    values = eigenvalues(covariance_of_rank(10))
    assert int((values > 0).sum()) == 10
    assert torch.equal(values, values.sort(descending=True).values)


def test_eigenvalues_are_the_squared_singular_values_of_the_centred_features() -> None:
    z = torch.randn(40, 6, generator=torch.Generator().manual_seed(1))
    singular = torch.linalg.svdvals(z - z.mean(0))
    torch.testing.assert_close(eigenvalues(z.T.cov()), singular.square() / 39)


def test_what_has_no_spectrum_is_refused() -> None:
    with pytest.raises(FeatureError, match=r"singular values of shape \(K,\)"):
        effective_rank(torch.zeros(2, 3, 4))


def test_a_covariance_that_is_not_finite_has_no_spectrum_and_no_rank() -> None:
    covariance = torch.eye(3)
    covariance[0, 1] = covariance[1, 0] = torch.inf
    assert eigenvalues(covariance).isnan().all()
    assert effective_rank(covariance).isnan()
