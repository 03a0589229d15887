"""The hand-written gradient is autograd's, over shapes, layouts, types and options."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from vcr_core.regularization import VCRLayer, covariance_penalty, variance_penalty
from vcr_core.regularization.function import penalized_identity
from vcr_core.regularization.options import PenaltyOptions
from vcr_core.regularization.samples import from_rows, to_rows

SHAPES = [(16, 6), (4, 7, 5), (3, 6, 4, 5), (2, 4, 2, 3, 3), (2, 2), (3, 40)]


def make(shape: tuple[int, ...], seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    z = torch.randn(shape, generator=generator, dtype=torch.float64)
    return (1.2 * z + 0.5 * z.roll(1, 1) + 2).to(dtype).requires_grad_()


def plain(z: Tensor, alpha: float, beta: float, options: PenaltyOptions) -> Tensor:
    """The penalty of ``z`` by autograd through the plain formulas."""
    features = z.shape[1] if z.ndim > 3 else z.shape[-1]
    rows = (z.movedim(1, -1) if z.ndim > 3 else z).reshape(-1, features)
    return alpha * variance_penalty(
        rows, target_std=options.target_std, eps=options.eps
    ) + beta * covariance_penalty(rows, threshold=options.threshold)


def ours(z: Tensor, alpha: float, beta: float, options: PenaltyOptions) -> Tensor:
    return penalized_identity(z, torch.tensor([alpha, beta], dtype=torch.float64), options).value


def relative_error(actual: Tensor, expected: Tensor) -> float:
    scale = expected.double().norm().clamp(min=1e-30)
    return ((actual.double() - expected.double()).norm() / scale).item()


@pytest.mark.parametrize("threshold", [None, 0.3])
@pytest.mark.parametrize("target_std", [0.5, 1.4, 5.0])
@pytest.mark.parametrize("shape", SHAPES)
def test_gradient_equals_autograds(
    shape: tuple[int, ...], target_std: float, threshold: float | None
) -> None:
    options = PenaltyOptions(target_std, 1e-4, threshold)
    z = make(shape)
    expected = torch.autograd.grad(plain(z, 0.7, 2.5, options), z)[0]
    value = ours(z, 0.7, 2.5, options)
    assert relative_error(torch.autograd.grad(value, z)[0], expected) < 1e-9
    assert value.item() == pytest.approx(plain(z, 0.7, 2.5, options).item(), rel=1e-9)


@given(
    n=st.integers(2, 40),
    d=st.integers(2, 24),
    alpha=st.floats(0, 10),
    beta=st.floats(0, 10),
    target_std=st.floats(0.1, 4),
    threshold=st.none() | st.floats(0.01, 3),
    seed=st.integers(0, 10_000),
)
@settings(max_examples=60, deadline=None)
def test_gradient_equals_autograds_anywhere(  # noqa: PLR0917
    n: int,
    d: int,
    alpha: float,
    beta: float,
    target_std: float,
    threshold: float | None,
    seed: int,
) -> None:
    options = PenaltyOptions(target_std, 1e-4, threshold)
    z = make((n, d), seed)
    expected = torch.autograd.grad(plain(z, alpha, beta, options), z)[0]
    actual = torch.autograd.grad(ours(z, alpha, beta, options), z)[0]
    torch.testing.assert_close(actual, expected, rtol=1e-7, atol=1e-10)


@pytest.mark.parametrize(
    ("dtype", "tolerance"),
    [(torch.float32, 1e-5), (torch.bfloat16, 1e-2), (torch.float16, 1e-3)],
)
@pytest.mark.parametrize("shape", SHAPES[:4])
def test_gradient_in_lower_precision_is_autograds_rounded(
    shape: tuple[int, ...], dtype: torch.dtype, tolerance: float
) -> None:
    options = PenaltyOptions(1.4)
    z = make(shape, dtype=dtype)
    exact = z.detach().double().requires_grad_()
    expected = torch.autograd.grad(plain(exact, 50.0, 80.0, options), exact)[0]
    actual = torch.autograd.grad(ours(z, 50.0, 80.0, options), z)[0]
    assert actual.dtype == dtype
    assert relative_error(actual, expected) < tolerance


@pytest.mark.parametrize(
    "layout",
    [
        lambda z: z.contiguous(memory_format=torch.channels_last),
        lambda z: z.transpose(2, 3),
        lambda z: z[:, ::2],
        lambda z: z[::2, :, 1:],
        lambda z: z[:, :, :1].expand(-1, -1, 3, -1),
    ],
    ids=["channels_last", "transposed", "strided channels", "sliced", "expanded"],
)
def test_gradient_does_not_depend_on_memory_layout(layout: object) -> None:
    z = layout(make((4, 6, 5, 4)).detach()).requires_grad_()  # type: ignore[operator]
    options = PenaltyOptions(1.4)
    expected = torch.autograd.grad(plain(z, 1.0, 1.0, options), z)[0]
    assert relative_error(torch.autograd.grad(ours(z, 1.0, 1.0, options), z)[0], expected) < 1e-9


def test_gradient_adds_to_the_gradient_from_above() -> None:
    z = make((12, 5))
    options = PenaltyOptions(1.4)
    expected = torch.autograd.grad(z.sin().sum() + plain(z, 1.0, 1.0, options), z)[0]
    measured = penalized_identity(z, torch.ones(2), options)
    actual = torch.autograd.grad(measured.output.sin().sum() + measured.value, z)[0]
    assert relative_error(actual, expected) < 1e-7


def test_layer_alone_injects_the_gradient_at_scale_one() -> None:
    z = make((12, 5))
    expected = torch.autograd.grad(z.sin().sum() + plain(z, 0.5, 3.0, PenaltyOptions()), z)[0]
    actual = torch.autograd.grad(VCRLayer(0.5, 3.0)(z).sin().sum(), z)[0]
    assert relative_error(actual, expected) < 1e-7


def test_rows_come_back_where_they_came_from() -> None:
    for shape in SHAPES:
        z = make(shape).detach()
        assert torch.equal(from_rows(to_rows(z), z.shape), z)


def test_gradient_is_finite_at_exact_collapse() -> None:
    z = torch.full((8, 4), 3.0, requires_grad=True)
    value = ours(z, 1.0, 1.0, PenaltyOptions())
    assert torch.isfinite(torch.autograd.grad(value, z)[0]).all()
    assert value.item() == pytest.approx(0.99, abs=1e-6)


def test_gradient_survives_a_feature_mean_of_ten_thousand() -> None:
    offset = (make((256, 16)).detach() + 1e4).float().requires_grad_()
    exact = offset.detach().double().requires_grad_()
    options = PenaltyOptions(2.0)
    expected = torch.autograd.grad(plain(exact, 1.0, 1.0, options), exact)[0]
    actual = torch.autograd.grad(ours(offset, 1.0, 1.0, options), offset)[0]
    assert relative_error(actual, expected) < 1e-3


def test_double_backward_is_refused() -> None:
    z = make((8, 4))
    measured = penalized_identity(z, torch.ones(2), PenaltyOptions())
    loss = measured.output.square().sum() + measured.value
    gradient = torch.autograd.grad(loss, z, create_graph=True)[0]
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.sum().backward()
