"""Float32 statistics, chunks, the Gram form, and features that are not numbers."""

from __future__ import annotations

import gc
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from vcr_core.errors import FeatureError
from vcr_core.regularization import (
    Regularization,
    VCRLayer,
    attach,
    covariance_penalty,
    function,
    products,
    statistics,
    variance_penalty,
)
from vcr_core.regularization.function import Passage, penalized_identity
from vcr_core.regularization.options import PenaltyOptions

OPTIONS = PenaltyOptions(target_std=1.4)
WEIGHTS = torch.tensor([0.5, 2.0])


def features(*shape: int, seed: int = 0, mean: float = 0.0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    z = torch.randn(shape, generator=generator, dtype=torch.float64)
    return z + 0.5 * z.roll(1, 1) + mean


def plain(z: Tensor) -> Tensor:
    rows = z.movedim(1, -1).reshape(-1, z.shape[1]) if z.ndim > 3 else z.reshape(-1, z.shape[-1])
    return 0.5 * variance_penalty(rows, target_std=1.4) + 2.0 * covariance_penalty(rows)


def relative_error(z: Tensor, loss_scale: float = 1000.0) -> float:
    """Of our gradient at ``z`` from that of float64 autograd at the same numbers."""
    ours, exact = z.clone().requires_grad_(), z.double().requires_grad_()
    value = penalized_identity(ours, WEIGHTS, OPTIONS).value
    actual = torch.autograd.grad(loss_scale * value, ours)[0].double()
    expected = torch.autograd.grad(loss_scale * plain(exact), exact)[0]
    return ((actual - expected).norm() / expected.norm()).item()


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("mean", [0.0, 1.5, 5.0, 1e4])
def test_a_large_feature_mean_costs_no_precision(
    mean: float, memory_format: torch.memory_format
) -> None:
    z = features(16, 6, 9, 8, mean=mean).float().contiguous(memory_format=memory_format)
    assert relative_error(z) < 1e-5


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("mean", [0.0, 1.5, 5.0, 1e4])
@pytest.mark.parametrize("medium", [0, 2**20])
def test_nor_does_it_in_layers_that_are_too_large_to_be_centred_first(
    mean: float, memory_format: torch.memory_format, medium: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statistics, "SMALL_NUMEL", 0)
    monkeypatch.setattr(statistics, "MEDIUM_NUMEL", medium)
    z = features(16, 6, 9, 8, mean=mean).float().contiguous(memory_format=memory_format)
    assert relative_error(z) < 1e-5


@pytest.mark.parametrize("shape", [(40, 6), (9, 7, 6), (7, 6, 5, 5), (3, 4, 2, 3, 3)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_working_in_chunks_changes_nothing(
    shape: tuple[int, ...], dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    z = features(*shape, mean=50.0).to(dtype)
    whole = relative_error(z)
    monkeypatch.setattr(products, "ROWS_CHUNK_BYTES", 512)
    monkeypatch.setattr(products, "MAPS_CHUNK_BYTES", 512)
    monkeypatch.setattr(statistics, "SMALL_NUMEL", 0)
    assert len(list(products._chunks(z, products.choose_shift(z, host=True)))) >= 2
    assert relative_error(z) < max(2 * whole, 1e-5)


@pytest.mark.parametrize("mean", [0.0, 1.5, 50.0, 1e4])
@pytest.mark.parametrize("shape", [(40, 6), (12, 40), (3, 4, 30)])
def test_nor_does_it_in_small_layers_and_in_the_gram_form(
    shape: tuple[int, ...], mean: float
) -> None:
    assert relative_error(features(*shape, mean=mean).float()) < 1e-5


@given(
    n=st.integers(2, 12), extra=st.integers(1, 30), seed=st.integers(0, 999), mean=st.floats(-9, 9)
)
@settings(max_examples=40, deadline=None)
def test_the_gram_form_has_value_and_gradient_of_the_covariance_form(
    n: int, extra: int, seed: int, mean: float
) -> None:
    z = features(n, n + extra, seed=seed, mean=mean)
    found = []
    for moments in (False, True):
        leaf = z.clone().requires_grad_()
        measured = penalized_identity(leaf, WEIGHTS, OPTIONS, Passage(moments=moments))
        assert (measured.covariance is not None) == moments
        found.append((measured.value, torch.autograd.grad(measured.value, leaf)[0]))
    torch.testing.assert_close(found[0], found[1], rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("shape", [(8, 40), (2, 3, 40), (2, 40, 2, 3)])
def test_the_gram_form_adds_to_the_gradient_from_above(shape: tuple[int, ...]) -> None:
    z = features(*shape).requires_grad_()
    measured = penalized_identity(z, WEIGHTS, OPTIONS)
    actual = torch.autograd.grad(measured.output.sin().sum() + measured.value, z)[0]
    expected = torch.autograd.grad(z.sin().sum() + plain(z), z)[0]
    torch.testing.assert_close(actual, expected, rtol=1e-6, atol=1e-9)


def test_a_covariance_whose_square_overflows_float16_stays_finite() -> None:
    z = (30 * features(64, 4)).half()
    assert z.float().T.cov().abs().max() > 256
    assert relative_error(z, loss_scale=0.01) < 2e-3


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("constant", [0.0, 1.5, 5.0, 1e4])
def test_constant_features_have_a_finite_gradient_and_the_full_variance_term(
    dtype: torch.dtype, constant: float
) -> None:
    z = torch.full((8, 4), constant, dtype=dtype, requires_grad=True)
    measured = penalized_identity(z, WEIGHTS, PenaltyOptions())
    assert measured.value.item() == pytest.approx(0.5 * 0.99, abs=1e-5)
    assert torch.autograd.grad(measured.value, z)[0].abs().max().item() < 1e-2


def test_two_samples_are_enough() -> None:
    assert relative_error(features(2, 5).float()) < 1e-5
    assert relative_error(features(2, 2).float()) < 1e-5


def test_one_outlying_image_costs_no_precision() -> None:
    z = features(512, 6).float()
    z[0] = 1e4
    assert relative_error(z) < 1e-4


def attached(**options: object) -> tuple[nn.Sequential, Regularization]:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 6), nn.Tanh(), nn.Linear(6, 2))
    handle = attach(model, variance_weight=1, covariance_weight=1, **options)  # type: ignore[arg-type]
    return model, handle


@pytest.mark.parametrize("poison", [float("nan"), float("inf")])
def test_features_that_are_not_finite_stop_training_with_layer_and_step(poison: float) -> None:
    model, handle = attached(layers=["2", "3"])
    x = torch.randn(8, 4)
    (model(x).sum() + handle.penalty()).backward()
    with torch.no_grad():
        model[2].bias[0] = poison
    model(x)
    with pytest.raises(FeatureError, match=r"NaN or Inf at training step 2 in layer '2'.*skip"):
        handle.penalty()


@pytest.mark.parametrize("poison", [float("nan"), float("inf")])
def test_or_that_layers_penalty_is_skipped_and_training_goes_on(poison: float) -> None:
    model, handle = attached(layers=["0"], nonfinite="skip")
    x = torch.randn(8, 4)
    x[0, 0] = poison
    out = model(x)
    penalty = handle.penalty()
    assert penalty.item() == 0.0
    (out[1:].square().mean() + penalty).backward()
    z = torch.full((4, 3), poison, requires_grad=True)
    VCRLayer(1, 1, nonfinite="skip")(z)[1:].sum().backward()
    assert z.grad is not None
    assert torch.equal(z.grad, torch.tensor([0.0, 1, 1, 1])[:, None].expand(4, 3))


def test_a_layer_alone_refuses_features_that_are_not_finite() -> None:
    with pytest.raises(FeatureError, match="NaN or Inf in the input of a VCRLayer"):
        VCRLayer(1, 1)(torch.full((4, 3), float("nan"), requires_grad=True))


def test_skipping_changes_nothing_for_finite_features() -> None:
    z = features(12, 5).requires_grad_()
    plain_layer, skipping = VCRLayer(1, 1), VCRLayer(1, 1, nonfinite="skip")
    found = [torch.autograd.grad(layer(z).sin().sum(), z)[0] for layer in (plain_layer, skipping)]
    assert torch.equal(found[0], found[1])


def alive() -> dict[int, Tensor]:
    """A tensor for every piece of memory that is in use, by where it lies."""
    gc.collect()
    found = [each for each in gc.get_objects() if type(each) is Tensor]
    real = [each for each in found if each.is_cpu and not torch._is_functional_tensor(each)]
    return {each.untyped_storage().data_ptr(): each for each in real}


def size_of_new(before: dict[int, Tensor]) -> int:
    """Bytes of what is in use and was not ``before``, which is kept alive by it."""
    now = [tensor for place, tensor in alive().items() if place not in before]
    return sum(tensor.untyped_storage().nbytes() for tensor in now)


@pytest.mark.parametrize("shape", [(64, 16, 8, 8), (12, 40)])
@pytest.mark.parametrize("later", [True, False])
def test_a_forward_keeps_no_copy_of_the_features_and_a_backward_keeps_nothing(
    shape: tuple[int, ...], later: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not later:
        monkeypatch.setattr(function, "MEDIUM_NUMEL", 0)
    side, size = min(math.prod(shape) // shape[1], shape[1]), shape[1]
    layer = nn.Sequential(nn.Identity())
    handle = attach(layer, variance_weight=1, covariance_weight=1, layers=["0"])
    z = torch.randn(shape, requires_grad=True)
    z.grad = torch.zeros_like(z)
    before = alive()
    loss = layer(z).mean() + handle.penalty()
    assert 4 * side * side <= size_of_new(before) <= 4 * (side * side + 5 * size + 16)
    loss.backward()
    assert size_of_new(before) <= 4 * (size + 16)  # the variances, for whoever asks
