"""Whatever the axes of a layer's output are, value and gradient are those of its rows (n, D)."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from vcr_core.regularization import VCRLayer, attach, covariance_penalty, variance_penalty


class Moved(nn.Module):
    """A convolution's map with its axes in another order."""

    def __init__(self, order: tuple[int, ...]) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.convolution = nn.Conv2d(3, 7, 3)
        self.order = order

    def forward(self, x: Tensor) -> Tensor:
        return self.convolution(x).permute(self.order)


def images() -> Tensor:
    return torch.randn(5, 3, 8, 6, generator=torch.Generator().manual_seed(1))


def rows_of(z: Tensor, axis: int) -> Tensor:
    return z.movedim(axis, -1).flatten(0, -2)


def penalty_of(rows: Tensor) -> Tensor:
    return 0.7 * variance_penalty(rows) + 2.5 * covariance_penalty(rows)


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (0, 2, 3, 1), (0, 2, 1, 3)])
@pytest.mark.parametrize("max_samples", [None, 10_000])
def test_maps_with_features_at_any_axis(order: tuple[int, ...], max_samples: int | None) -> None:
    axis = order.index(1)
    ours = nn.Sequential(Moved(order), nn.Flatten(), nn.Linear(7 * 6 * 4, 2))
    plain = copy.deepcopy(ours)
    handle = attach(
        ours,
        variance_weight=0.7,
        covariance_weight=2.5,
        layers=["0"],
        feature_axis=axis,
        max_samples=max_samples,
    )
    (ours(images()).square().mean() + handle.penalty()).backward()
    z = plain[0](images())
    (plain[1:](z).square().mean() + penalty_of(rows_of(z, axis))).backward()
    torch.testing.assert_close(ours[0].convolution.weight.grad, plain[0].convolution.weight.grad)


@pytest.mark.parametrize("axis", [3, -1])
def test_a_layer_of_ones_own_is_told_where_the_features_are(axis: int) -> None:
    z = torch.randn(5, 4, 6, 7, generator=torch.Generator().manual_seed(0), requires_grad=True)
    plain = z.detach().clone().requires_grad_()
    out = VCRLayer(0.7, 2.5, feature_axis=axis)(z)
    assert torch.equal(out, z)
    assert out.stride() == z.stride()
    out.sum().backward()
    (plain.sum() + penalty_of(rows_of(plain, 3))).backward()
    torch.testing.assert_close(z.grad, plain.grad)


def test_sequences_whose_features_come_second() -> None:
    z = torch.randn(6, 5, 9, generator=torch.Generator().manual_seed(0), requires_grad=True)
    plain = z.detach().clone().requires_grad_()
    VCRLayer(0.7, 2.5, feature_axis=1)(z).sum().backward()
    (plain.sum() + penalty_of(rows_of(plain, 1))).backward()
    torch.testing.assert_close(z.grad, plain.grad)


@pytest.mark.parametrize("choice", ["class", "patches", "pooled"])
def test_tokens_that_come_before_the_images(choice: str) -> None:
    z = torch.randn(9, 6, 5, generator=torch.Generator().manual_seed(0), requires_grad=True)
    plain = z.detach().clone().requires_grad_()
    options = {"pooled": True} if choice == "pooled" else {"tokens": choice}
    VCRLayer(0.7, 2.5, batch_first=False, **options)(z).sum().backward()
    chosen = {"class": plain[0], "patches": plain[1:].flatten(0, 1), "pooled": plain.mean(0)}
    (plain.sum() + penalty_of(chosen[choice])).backward()
    torch.testing.assert_close(z.grad, plain.grad)


def test_an_in_place_operation_on_moved_features_is_an_error_that_names_the_layer() -> None:
    model = nn.Sequential(Moved((0, 2, 3, 1)), nn.ReLU(inplace=True), nn.Flatten())
    handle = attach(model, variance_weight=1, covariance_weight=1, layers=["0"], feature_axis=-1)
    with pytest.raises(RuntimeError, match=r"output of layer '0' was overwritten"):
        (model(images()).sum() + handle.penalty()).backward()


def test_moments_and_ratios_are_those_of_the_moved_features() -> None:
    model = nn.Sequential(Moved((0, 2, 3, 1)), nn.Flatten())
    handle = attach(model, variance_weight=1, covariance_weight=1, layers=["0"], feature_axis=-1)
    handle.record = True
    task = model(images()).square().mean()
    z = model[0].convolution(images()).detach()
    torch.testing.assert_close(
        handle.moments()["0"].covariance, rows_of(z, 1).T.cov(), rtol=1e-4, atol=1e-6
    )
    handle.penalty()
    leaf = z.clone().requires_grad_()
    rows = rows_of(leaf, 1)
    own = variance_penalty(rows) + covariance_penalty(rows)
    expected = torch.autograd.grad(own, leaf)[0].norm() / (2 * z / z.numel()).norm()
    torch.testing.assert_close(handle.gradient_ratios(task)["0"], expected, rtol=1e-4, atol=0)
