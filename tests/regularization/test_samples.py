"""What is a sample: locations, tokens, averages, and random subsets of them."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from vcr_core.errors import ConfigError, FeatureError
from vcr_core.regularization import VCRLayer, attach, covariance_penalty, variance_penalty
from vcr_core.regularization.options import PenaltyOptions, Tokens
from vcr_core.regularization.samples import draw, drawn_count, gather

ALPHA, BETA = 0.8, 1.5


def features(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    z = torch.randn(shape, generator=generator, dtype=torch.float64)
    return (z + 0.5 * z.roll(1, 1)).requires_grad_()


def plain_gradient(z: Tensor, rows: Tensor) -> Tensor:
    """Autograd's gradient of the plain penalty of ``rows``, which were made from ``z``."""
    penalty = ALPHA * variance_penalty(rows, target_std=1.4) + BETA * covariance_penalty(rows)
    return torch.autograd.grad(penalty, z)[0]


def our_gradient(z: Tensor, **options: object) -> Tensor:
    layer = VCRLayer(ALPHA, BETA, target_std=1.4, **options)  # type: ignore[arg-type]
    return torch.autograd.grad(layer(z).sum(), z)[0] - 1


@pytest.mark.parametrize(
    ("tokens", "chosen"),
    [("all", slice(None)), ("patches", slice(1, None)), ("class", slice(0, 1))],
)
def test_the_class_token_is_in_out_or_alone(tokens: Tokens, chosen: slice) -> None:
    z = features(9, 6, 5)
    expected = plain_gradient(z, z[:, chosen].reshape(-1, 5))
    torch.testing.assert_close(our_gradient(z, tokens=tokens), expected, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("shape", [(9, 6, 2, 4, 3), (9, 6, 4, 3), (9, 6, 5), (9, 6)])
def test_pooled_takes_one_sample_an_image(shape: tuple[int, ...]) -> None:
    z = features(*shape)
    rows = z if z.ndim == 2 else z.mean(dim=1) if z.ndim == 3 else z.flatten(2).mean(dim=2)
    torch.testing.assert_close(
        our_gradient(z, pooled=True), plain_gradient(z, rows), rtol=1e-6, atol=1e-9
    )


@pytest.mark.parametrize("memory", [torch.contiguous_format, torch.channels_last_3d])
def test_every_place_at_every_time_of_a_clip_is_a_sample(memory: torch.memory_format) -> None:
    z = features(5, 6, 3, 4, 2).detach().contiguous(memory_format=memory).requires_grad_()
    rows = z.permute(0, 2, 3, 4, 1).reshape(-1, 6)
    assert len(rows) == 5 * 3 * 4 * 2
    torch.testing.assert_close(our_gradient(z), plain_gradient(z, rows), rtol=1e-6, atol=1e-9)


def test_pooled_patches_leave_the_class_token_alone() -> None:
    z = features(9, 6, 5)
    actual = our_gradient(z, pooled=True, tokens="patches")
    torch.testing.assert_close(actual, plain_gradient(z, z[:, 1:].mean(1)), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("options", [{}, {"tokens": "patches"}, {"pooled": True}])
@pytest.mark.parametrize("shape", [(12, 6, 3, 5, 4), (12, 6, 5, 4), (12, 7, 6), (30, 6)])
def test_a_random_subset_has_the_gradient_of_its_samples(
    shape: tuple[int, ...], options: dict[str, object]
) -> None:
    z = features(*shape)
    if z.ndim == 4:
        z = z.detach().contiguous(memory_format=torch.channels_last).requires_grad_()
    layer = VCRLayer(ALPHA, BETA, target_std=1.4, max_samples=8, seed=3, **options)  # type: ignore[arg-type]
    actual = torch.autograd.grad(layer(z).sum(), z)[0] - 1
    chosen = layer.strength.options
    rows = gather(z, chosen, draw(z, chosen, torch.tensor(4)))
    assert rows.shape == (8, 6)
    torch.testing.assert_close(actual, plain_gradient(z, rows), rtol=1e-6, atol=1e-9)


@given(total=st.integers(2, 60), wanted=st.integers(2, 80), seed=st.integers(0, 2**40))
@settings(max_examples=40, deadline=None)
def test_samples_are_drawn_without_repetition(total: int, wanted: int, seed: int) -> None:
    z, options = torch.zeros(total, 3), PenaltyOptions(max_samples=wanted)
    index = draw(z, options, torch.tensor(seed))
    if index is None:
        assert total <= wanted
    else:
        assert len(set(index.tolist())) == len(index) == wanted == drawn_count(z, options)
        assert torch.equal(index, draw(z, options, torch.tensor(seed)))


def test_a_random_subset_keeps_the_covariance_unbiased() -> None:
    z = features(40, 4).detach()
    model = nn.Sequential(nn.Identity(), nn.Linear(4, 2)).double()
    handle = attach(
        model, variance_weight=1, covariance_weight=1, layers=["0"], max_samples=10, seed=5
    )
    handle.record = True
    total = torch.zeros(4, 4, dtype=torch.float64)
    for _ in range(3000):
        model(z.clone().requires_grad_())
        handle.discard()
        total += handle.moments()["0"].covariance
    torch.testing.assert_close(total / 3000, z.T.cov(), rtol=0.05, atol=0.03)


def test_the_covariance_term_of_a_subset_is_inflated_by_the_noise_floor_and_debiased() -> None:
    z = torch.randn(4000, 6, generator=torch.Generator().manual_seed(0))
    model = nn.Sequential(nn.Identity(), nn.Linear(6, 2))
    handle = attach(model, variance_weight=1, covariance_weight=1, layers=["0"], max_samples=50)
    raw, debiased, floors = [], [], []
    for _ in range(300):
        model(z.clone().requires_grad_())
        handle.discard()
        raw.append(handle.terms()["0"].covariance)
        debiased.append(handle.terms(debiased=True)["0"].covariance)
        floors.append(handle.noise_floors()["0"])
    floor = torch.stack(floors).mean().item()
    whole = covariance_penalty(z).item()
    assert torch.stack(raw).mean().item() == pytest.approx(whole + floor, rel=0.1)
    assert torch.stack(debiased).mean().item() == pytest.approx(whole, abs=0.1 * floor)


def test_drawing_samples_leaves_trainings_random_numbers_alone() -> None:
    z = features(40, 4)
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    VCRLayer(1, 1, max_samples=5)(z)
    assert torch.equal(torch.rand(3), expected)


def test_each_step_draws_other_samples() -> None:
    z, layer = features(40, 4), VCRLayer(1, 1, max_samples=5)
    first, second = (torch.autograd.grad(layer(z).sum(), z)[0] for _ in range(2))
    assert not torch.equal(first, second)


@pytest.mark.parametrize("bad", [1, 0, -3, 2.5])
def test_fewer_than_two_samples_are_refused(bad: object) -> None:
    with pytest.raises(ConfigError, match="max_samples: expected a whole number of at least 2"):
        VCRLayer(1, 1, max_samples=bad)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("z", "message"),
    [
        (torch.zeros(5), r"expected features of shape \(N, D\).*got \(5,\)"),
        (torch.zeros(1, 8), "at least 2 samples"),
        (torch.zeros(8, 1), "at least 2 features to compare"),
        (torch.zeros(1, 4, 1, 1), "at least 2 samples"),
        (torch.zeros(2, 2, 2, 2, 2, 2), r"expected features of shape \(N, D\)"),
    ],
)
def test_features_that_cannot_be_compared_are_refused(z: Tensor, message: str) -> None:
    with pytest.raises(FeatureError, match=message):
        VCRLayer(1, 1)(z.requires_grad_())


def test_the_class_token_of_a_single_image_is_refused() -> None:
    with pytest.raises(FeatureError, match="at least 2 samples"):
        VCRLayer(1, 1, tokens="class")(features(1, 6, 5))


def test_integer_features_are_refused_with_the_name_of_the_layer() -> None:
    model = nn.Sequential(nn.Identity(), nn.Linear(3, 2))
    handle = attach(model, variance_weight=1, covariance_weight=1, layers=["0"])
    handle.record = True
    with pytest.raises(FeatureError, match="layer '0': expected floating-point features"):
        model(torch.zeros(4, 3, dtype=torch.int64))
