"""Products by oneDNN are those of plain float64 in every layout, and are taken where they pay."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from vcr_core.regularization import onednn
from vcr_core.regularization.function import penalized_identity
from vcr_core.regularization.options import PenaltyOptions

ROWS = [(64, 8), (70, 8), (33, 16), (40, 48), (20, 64)]  # more samples than features, and fewer


@pytest.fixture(params=[0, 2**60], ids=["onednn", "plain"])
def _either_way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onednn, "LINEAR_PAYS", request.param)
    monkeypatch.setattr(onednn, "CONVOLUTION_PAYS", request.param)


def layouts(x: Tensor) -> list[Tensor]:
    """The same numbers, dense, in columns, and with gaps."""
    gaps = torch.zeros(*x.shape[:-1], 2 * x.shape[-1])
    gaps[..., ::2] = x
    return [x, x.mT.contiguous().mT, gaps[..., ::2]]


def close(actual: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(actual, expected.float(), rtol=1e-5, atol=1e-5)


@pytest.mark.usefixtures("_either_way")
@pytest.mark.parametrize("shape", ROWS)
def test_rows(shape: tuple[int, int]) -> None:
    size = shape[1]
    dense, above = torch.randn(2, *shape)
    matrix, bias = torch.randn(size, size), torch.randn(size)
    matrix = matrix + matrix.T
    for x in layouts(dense):
        square = x.double().T @ x.double()
        close(onednn.plus_square_of_rows(None, x), square)
        close(onednn.plus_square_of_rows(torch.ones(size, size), x), 1 + square)
        product = x.double() @ matrix.double()
        for shift, expected in ((bias, product + bias), (None, product)):
            close(onednn.times_matrix(None, x, matrix, shift), expected)
            for start in layouts(above):
                close(onednn.times_matrix(start, x, matrix, shift), expected + start)
        close(onednn.product(x, x.T), x.double() @ x.double().T)
        product = x.double() @ matrix.double()
        close(onednn.plus_product(None, x, matrix), product)
        close(onednn.plus_product(above, x, matrix), above + product)


@pytest.mark.usefixtures("_either_way")
@pytest.mark.parametrize("shape", [(5, 8, 9), (32, 4, 6), (3, 20, 7)])
def test_maps(shape: tuple[int, int, int]) -> None:
    size = shape[1]
    dense, above = torch.randn(2, *shape)
    matrix, bias = torch.randn(size, size), torch.randn(size)
    matrix = matrix + matrix.T
    for x in layouts(dense):
        square = (x.double() @ x.double().mT).sum(dim=0)
        close(onednn.plus_square_of_maps(None, x), square)
        close(onednn.plus_square_of_maps(torch.ones(size, size), x), 1 + square)
        product = matrix.double() @ x.double()
        out = torch.empty(shape)
        for shift, expected in ((bias, product + bias[:, None]), (None, product)):
            onednn.matrix_times(None, x, matrix, shift, out=out)
            close(out, expected)
            for start in layouts(above):
                onednn.matrix_times(start, x, matrix, shift, out=out)
                close(out, expected + start)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_a_large_layer_takes_onednn_and_its_gradient_is_the_same_without(
    layout: torch.memory_format, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not onednn._is_at_hand():
        pytest.skip("this torch was built without oneDNN")
    z = torch.randn(64, 64, 16, 16).contiguous(memory_format=layout).requires_grad_()
    found, used = [], []
    for _ in range(2):
        with profile(activities=[ProfilerActivity.CPU], acc_events=True) as record:
            measured = penalized_identity(z, (1.0, 1.0), PenaltyOptions())
            found.append((measured.value, torch.autograd.grad(measured.value, z)[0]))
        names = {event.key for event in record.key_averages()}
        used.append(any("convolution" in name or "_linear_pointwise" in name for name in names))
        monkeypatch.setattr(onednn, "_is_at_hand", lambda: False)
    assert used == [True, False]
    torch.testing.assert_close(*found, rtol=1e-5, atol=1e-10)
