"""The three conventions, against autograd, lightly's loss, and each other."""

from __future__ import annotations

import pytest
import torch
from lightly.loss import VICRegLoss
from torch import Tensor

from vcr_core.errors import ConfigError
from vcr_core.regularization import (
    VCRLayer,
    Weights,
    attach,
    covariance_penalty,
    equivalent_weights,
    variance_penalty,
)
from vcr_core.regularization.options import Scale

ALPHA, BETA = 0.8, 1.5


def features(shape: tuple[int, ...] = (20, 7)) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(shape, generator=generator, dtype=torch.float64)
    return (0.8 * z + 0.3 * z.roll(1, 1)).requires_grad_()


def penalty_gradient(z: Tensor, scale: Scale, weights: tuple[float, float]) -> Tensor:
    return torch.autograd.grad(VCRLayer(*weights, scale=scale)(z).sum(), z)[0] - 1


def test_published_covariance_gradient_is_n_minus_one_times_the_exact_one() -> None:
    z = features()
    expected = torch.autograd.grad(
        ALPHA * variance_penalty(z) + 19 * BETA * covariance_penalty(z), z
    )
    torch.testing.assert_close(
        penalty_gradient(z, "published", (ALPHA, BETA)), expected[0], rtol=1e-6, atol=1e-9
    )


def test_published_scale_counts_locations_as_samples() -> None:
    z = features((2, 7, 3, 5))
    ratio = penalty_gradient(z, "published", (0, 1)) / penalty_gradient(z, "exact", (0, 1))
    torch.testing.assert_close(ratio, torch.full_like(ratio, 2 * 3 * 5 - 1), rtol=1e-5, atol=0)


def test_vicreg_convention_is_lightlys_loss() -> None:
    branches = features(), (features() * 1.3).detach().requires_grad_()
    loss = VICRegLoss(lambda_param=0, mu_param=ALPHA, nu_param=BETA, eps=1e-4)
    expected = torch.autograd.grad(loss(*branches), branches)
    for z, gradient in zip(branches, expected, strict=True):
        actual = penalty_gradient(z, "vicreg", (ALPHA, BETA))
        torch.testing.assert_close(actual, gradient, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("source", ["exact", "published", "vicreg"])
@pytest.mark.parametrize("target", ["exact", "published", "vicreg"])
def test_equivalent_weights_have_the_same_gradient(source: Scale, target: Scale) -> None:
    z = features()
    weights = equivalent_weights(
        (ALPHA, BETA), source=source, target=target, features=7, samples=20
    )
    torch.testing.assert_close(
        penalty_gradient(z, target, weights),
        penalty_gradient(z, source, (ALPHA, BETA)),
        rtol=1e-5,
        atol=1e-9,
    )


def test_a_covariance_weight_of_vicreg_counts_511_times_at_512_features() -> None:
    exact = equivalent_weights((1, 1), source="vicreg", target="exact", features=512, samples=64)
    assert exact == Weights(0.5, 511)


def test_an_unknown_convention_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="scale: expected one of exact, published, vicreg"):
        VCRLayer(1, 1, scale="paper")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="scale: expected one of exact, published, vicreg"):
        equivalent_weights((1, 1), source="x", target="exact", features=2, samples=2)  # type: ignore[arg-type]


def test_terms_stay_unweighted_and_exact_in_every_convention() -> None:
    z = features().detach().float()
    found = []
    for scale in ("exact", "published", "vicreg"):
        model = torch.nn.Sequential(torch.nn.Identity(), torch.nn.Linear(7, 7))
        handle = attach(model, variance_weight=1, covariance_weight=1, layers=["0"], scale=scale)
        model(z.clone().requires_grad_())
        found.append(handle.terms()["0"])
    assert found[0] == found[1] == found[2]
