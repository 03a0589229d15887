"""Every rival behind the one selector, against values known otherwise."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from vcr_core.errors import ConfigError
from vcr_core.regularization.rivals import (
    RIVALS,
    attach_rival,
    decov,
    spectral_decoupling,
    vicreg_terms,
    weak_sigreg,
)


def mlp() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 3))


def features(n: int = 40, d: int = 6) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(n, d, generator=generator) @ torch.randn(d, d, generator=generator)


@pytest.mark.parametrize("name", list(RIVALS))
def test_every_rival_trains_at_weight_zero_like_none_and_otherwise_changes_something(
    name: str,
) -> None:
    x = features(40, 8)
    found = []
    for strength in (0.0, 0.5):
        torch.manual_seed(1)
        model = mlp()
        with attach_rival(name, model, strength=strength) as rival:
            (model(x).square().mean() + rival.penalty()).backward()
        assert all(not module._forward_hooks for module in model.modules())
        found.append(
            torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])
        )
    bare = mlp()
    bare(x).square().mean().backward()
    plain = torch.cat([p.grad.flatten() for p in bare.parameters() if p.grad is not None])
    assert torch.equal(found[0], plain)
    assert torch.equal(found[1], plain) == (name == "none")


@pytest.mark.parametrize("name", list(RIVALS))
def test_no_rival_acts_in_eval(name: str) -> None:
    model, x = mlp().eval(), features(40, 8)
    expected = model(x)
    attach_rival(name, model, strength=0.5)
    assert torch.equal(model(x), expected)


def test_decov_is_half_the_squared_off_diagonal_of_numpys_covariance() -> None:
    z = features()
    covariance = np.cov(z.numpy().T, bias=True)
    expected = 0.5 * ((covariance**2).sum() - (np.diag(covariance) ** 2).sum())
    assert decov(z).item() == pytest.approx(expected, rel=1e-4)


def test_spectral_decoupling_is_half_the_mean_squared_norm() -> None:
    assert spectral_decoupling(torch.tensor([[3.0, 4.0], [0.0, 1.0]])).item() == 6.5


def test_weak_sigreg_is_low_for_white_and_high_for_collapsed_features() -> None:
    white = torch.randn(5000, 8, generator=torch.Generator().manual_seed(0))
    directions = torch.eye(8)[:, :5]
    assert weak_sigreg(white, directions).item() < 0.01
    assert weak_sigreg(torch.ones(50, 8), directions).item() == pytest.approx(1 / 5)


def test_vicreg_terms_are_those_of_lightly_in_vicregs_proportion() -> None:
    from lightly.loss.vicreg_loss import covariance_loss, variance_loss

    z = features()
    expected = (25 * 0.5 * variance_loss(z, eps=1e-4) + covariance_loss(z)) / 25
    assert vicreg_terms(z).item() == pytest.approx(expected.item(), rel=1e-4)


def test_weight_decay_has_the_gradient_of_the_optimizers() -> None:
    model = mlp()
    attach_rival("weight-decay", model, strength=0.1).penalty().backward()
    torch.testing.assert_close(model[0].weight.grad, 0.1 * model[0].weight.detach())
    assert model[0].bias.grad is None


def test_an_unknown_rival_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="expected one of none, weight-decay, dropout"):
        attach_rival("magic", mlp(), strength=1)


def test_bad_strengths_are_refused() -> None:
    with pytest.raises(ConfigError, match="strength: expected a finite number of at least 0"):
        attach_rival("decov", mlp(), strength=-1)
    with pytest.raises(ConfigError, match="strength: expected a share"):
        attach_rival("dropout", mlp(), strength=1)
