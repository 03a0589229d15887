"""Features of very different widths, constant ones, very many samples, and numbers too large."""

from __future__ import annotations

import math
from itertools import permutations, product

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from vcr_core.diagnostics import cdnv, covariance_noise_floor
from vcr_core.errors import ConfigError, FeatureError
from vcr_core.regularization import (
    Regularization,
    VCRLayer,
    attach,
    covariance_penalty,
    variance_penalty,
)
from vcr_core.regularization.budgets import BUDGETS, resolve_budget
from vcr_core.regularization.conventions import hint_of_convention
from vcr_core.regularization.function import penalized_identity
from vcr_core.regularization.options import PenaltyOptions, checked_seed
from vcr_core.regularization.rivals import decov
from vcr_core.regularization.samples import draw_seed
from vcr_core.regularization.schedules import every, warm_up
from vcr_core.regularization.terms import mean_product

WIDE = 3
LAYOUTS = {
    "rows, centred at once": (64, 16),
    "rows as they lie": (1024, 64),
    "rows in chunks": (20000, 64),
    "tokens": (8, 16, 12),
    "many tokens": (32, 50, 64),
    "maps": (8, 16, 6, 6),
    "large maps": (16, 64, 36, 36),
    "channels last": (16, 32, 16, 16),
    "Gram": (32, 64),
    "Gram, wide": (100, 512),
}


def features(layout: str, *, width: float = 1.0, constant: float | None = None) -> Tensor:
    """Correlated features, one of them ``width`` times as wide as the others, or constant."""
    z = torch.randn(LAYOUTS[layout], generator=torch.Generator().manual_seed(0))
    axis = 1 if z.ndim > 3 else -1
    z = z + 0.3 * z.roll(1, axis)
    chosen = z.select(axis, WIDE)
    chosen.mul_(width) if constant is None else chosen.fill_(constant)
    if layout == "channels last":
        z = z.contiguous(memory_format=torch.channels_last)
    return z.requires_grad_()


def rows(z: Tensor) -> Tensor:
    return (z.movedim(1, -1) if z.ndim > 3 else z).flatten(0, -2)


@pytest.mark.parametrize("layout", list(LAYOUTS))
@pytest.mark.parametrize("threshold", [None, 0.5])
def test_one_wide_feature_costs_neither_value_nor_gradient(
    layout: str, threshold: float | None
) -> None:
    for width in (1, 10, 100, 1e3, 1e4):
        z = features(layout, width=width)
        value = penalized_identity(z, (0.0, 1.0), PenaltyOptions(threshold=threshold)).value
        exact = z.detach().double().requires_grad_()
        expected = covariance_penalty(rows(exact), threshold=threshold)
        assert value.item() == pytest.approx(expected.item(), rel=1e-5), width
        actual, wanted = torch.autograd.grad(value, z)[0], torch.autograd.grad(expected, exact)[0]
        assert (actual - wanted).norm() < 1e-5 * wanted.norm(), width


@pytest.mark.parametrize("shape", [(32, 64), (64, 16)])
@pytest.mark.parametrize("width", [1, 1e4])
def test_nor_in_compiled_code_where_nothing_can_be_looked_at(
    shape: tuple[int, int], width: float
) -> None:
    torch._dynamo.reset()
    model = nn.Sequential(nn.Identity(), nn.Identity())
    handle = attach(model, variance_weight=1, covariance_weight=1, layers=["0"])
    z = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    z[:, WIDE] *= width
    z[:, 0] = -7.3
    z.requires_grad_()
    torch.compile(model, backend="eager")(z)
    value, exact = handle.penalty(), z.detach().double().requires_grad_()
    expected = variance_penalty(exact) + covariance_penalty(exact)
    assert value.item() == pytest.approx(expected.item(), rel=1e-5)
    actual, wanted = torch.autograd.grad(value, z)[0], torch.autograd.grad(expected, exact)[0]
    assert (actual - wanted).norm() < 1e-5 * wanted.norm()
    assert actual[:, 0].abs().max() == 0


@pytest.mark.parametrize("width", [1.0, 1e4, 1e7])
def test_nor_what_is_compared_with_it(width: float) -> None:
    z = features("rows, centred at once").detach()
    z[:, WIDE] *= width
    wide = z.double()
    variances = wide.var(dim=0)
    pairs = torch.stack([a * b for a, b in permutations(variances.unbind(), 2)])
    assert mean_product(variances.float()).item() == pytest.approx(pairs.mean().item(), rel=1e-5)
    floor = pairs.mean().item() / (len(z) - 1)
    assert covariance_noise_floor(z.T.cov(), len(z)).item() == pytest.approx(floor, rel=1e-4)
    read = penalized_identity(z.requires_grad_(), (1.0, 1.0), PenaltyOptions()).readings
    assert read.noise_floor().item() == pytest.approx(floor, rel=1e-4)
    count, size = z.shape
    biased = (count - 1) / count
    expected = 0.5 * biased**2 * size * (size - 1) * covariance_penalty(wide).item()
    assert decov(z).item() == pytest.approx(expected, rel=1e-4)


def test_tight_classes_far_apart_keep_the_digits_of_their_cdnv() -> None:
    centres = 1e9 * torch.eye(3).double()
    x = (centres[:, None] + torch.randn(3, 50, 3).double()).flatten(0, 1)
    spread = [x[50 * c : 50 * c + 50].var(dim=0, correction=0).sum() for c in range(3)]
    pairs = [
        (spread[a] + spread[b])
        / (2 * (x[50 * a : 50 * a + 50].mean(0) - x[50 * b :][:50].mean(0)).square().sum())
        for a, b in ((0, 1), (0, 2), (1, 2))
    ]
    found = cdnv(x, torch.arange(3).repeat_interleave(50))
    assert found.item() == pytest.approx(torch.stack(pairs).mean().item(), rel=1e-9)


@pytest.mark.parametrize("layout", list(LAYOUTS))
def test_a_constant_feature_has_no_variance_and_no_gradient(layout: str) -> None:
    for constant, weights in product((-7.3, 0.1, 10000.123), ((1.0, 0.0), (0.0, 1.0))):
        z = features(layout, constant=constant)
        measured = penalized_identity(z, weights, PenaltyOptions(target_std=2.0))
        gradient = torch.autograd.grad(measured.value, z)[0]
        assert measured.readings.variances[WIDE] == 0
        assert gradient.select(1 if z.ndim > 3 else -1, WIDE).abs().max() == 0
        assert gradient.abs().max() > 0


@pytest.mark.parametrize(
    ("shape", "mean"),
    [
        ((2_000_000, 4), 0.0),
        ((2_000_000, 4), 5.0),
        ((40_000, 4, 7, 7), 5.0),
        ((2, 4, 1000, 1000), 0.0),
    ],
)
def test_millions_of_samples_have_the_variances_of_torch(
    shape: tuple[int, ...], mean: float
) -> None:
    z = torch.randn(shape, generator=torch.Generator().manual_seed(1)).add_(mean)
    for layout in [z, z.contiguous(memory_format=torch.channels_last)] if z.ndim == 4 else [z]:
        read = penalized_identity(layout.requires_grad_(), (1.0, 1.0), PenaltyOptions()).readings
        expected = rows(layout.detach()).double().var(dim=0)
        torch.testing.assert_close(read.variances.double(), expected, rtol=2e-6, atol=0)
        layout.requires_grad_(False)


def attached(**options: object) -> tuple[nn.Sequential, Regularization]:
    model = nn.Sequential(nn.Identity(), nn.Identity())
    weights = {"variance_weight": 1.0, "covariance_weight": 1.0, "layers": ["0"]}
    return model, attach(model, **(weights | options))  # type: ignore[arg-type]


@pytest.mark.parametrize("shape", [(64, 16), (1024, 64), (16, 8, 6, 6), (32, 128)])
@pytest.mark.parametrize("std", [1e12, 1e20, 1e30])
def test_skipping_leaves_the_tasks_gradient_where_the_penalty_overflows(
    shape: tuple[int, ...], std: float
) -> None:
    z = (std * torch.randn(shape, generator=torch.Generator().manual_seed(0))).requires_grad_()
    model, handle = attached(nonfinite="skip")
    out, penalty = model(z), handle.penalty()
    assert penalty.item() == 0
    (out.sum() + penalty).backward()
    assert torch.equal(z.grad, torch.ones_like(z))  # type: ignore[arg-type]


def test_and_where_only_the_gradient_does() -> None:
    z = (3e4 * torch.randn(4, 2, generator=torch.Generator().manual_seed(0))).half()
    z.requires_grad_()
    model, handle = attached(nonfinite="skip")
    out, penalty = model(z), handle.penalty()
    assert math.isfinite(penalty.item())
    (out.sum() + penalty).backward()
    assert torch.equal(z.grad, torch.ones_like(z))  # type: ignore[arg-type]


@pytest.mark.parametrize("shape", [(64, 16), (1024, 64), (32, 128)])
@pytest.mark.parametrize(("std", "said"), [(1e12, r"of 1\.\d+e\+12"), (1e30, "too large")])
def test_an_overflow_is_not_called_nan(shape: tuple[int, int], std: float, said: str) -> None:
    z = (std * torch.randn(shape, generator=torch.Generator().manual_seed(0))).requires_grad_()
    model, handle = attached()
    model(z)
    with pytest.raises(FeatureError, match=f"overflow at training step 1 in layer '0'.*{said}"):
        handle.penalty()


def test_a_term_without_weight_may_overflow() -> None:
    z = (1e12 * torch.randn(64, 16)).requires_grad_()
    model, handle = attached(covariance_weight=0, target_std=1e13)
    model(z)
    assert handle.penalty().isfinite()


@pytest.mark.parametrize(
    "options", [{"pooled": True}, {"max_samples": 300}, {"pooled": True, "max_samples": 40}]
)
def test_half_precision_is_rounded_once(options: dict[str, object]) -> None:
    z = torch.randn(64, 50, 24, generator=torch.Generator().manual_seed(0))
    z = (z * 0.5 + 4 * torch.randn(24)).bfloat16()
    found = []
    for kind in (torch.bfloat16, torch.float64):
        leaf = z.to(kind).requires_grad_()
        value = penalized_identity(leaf, (1.0, 1.0), PenaltyOptions(**options)).value  # type: ignore[arg-type]
        found.append(torch.autograd.grad(value, leaf)[0].double())
    assert (found[0] - found[1]).norm() < 3e-3 * found[1].norm()


def test_draws_of_small_seeds_stay_and_others_fit_and_differ() -> None:
    assert [draw_seed(seed, step) for seed, step in ((0, 0), (0, 7), (3, 5))] == [
        0,
        7,
        3 * 2**32 + 5,
    ]
    seeds = [0, 1, 2**31 - 1, 2**31, 2**32, 2**32 + 1, 2**63, 2**64 - 1, 40 * 2**64]
    found = [draw_seed(seed, step) for seed in seeds for step in (0, 1, 2, 2**32, 2**40)]
    assert len(set(found)) == len(found)
    assert all(-(2**63) <= number < 2**63 for number in found)


@pytest.mark.parametrize("seed", [0, 2**64 - 1, np.int64(5), np.uint64(2**64 - 1)])
def test_seeds_go_up_to_64_bits(seed: int) -> None:
    assert checked_seed(seed) == int(seed)
    assert type(checked_seed(seed)) is int


@pytest.mark.parametrize("seed", [-1, 2**64, 1.5, True, "7", np.float32(1)])
def test_others_are_refused(seed: object) -> None:
    with pytest.raises(ConfigError, match=r"seed: expected a whole number from 0 to 2\*\*64 - 1"):
        checked_seed(seed)  # type: ignore[arg-type]


def test_numbers_of_numpy_are_numbers() -> None:
    options = {"eps": np.float32(1e-3), "target_std": np.float64(2), "threshold": np.float16(0.5)}
    counts = {"max_samples": np.int32(8), "every": np.int64(2)}
    _, handle = attached(
        variance_weight=np.float32(0.5),
        covariance_weight=np.int64(1),
        layer_factors={"0": np.float32(2)},
        **options,
        **counts,
    )
    kept = handle.options["0"]
    assert [type(each) for each in (kept.eps, kept.threshold)] == [float, float]
    assert [type(each) for each in (kept.max_samples, kept.every)] == [int, int]
    assert warm_up(np.float32(1), steps=np.int64(4))(2) == 0.5  # type: ignore[arg-type]
    assert every(np.int64(2), warm_up(1.0, steps=1))(1) == 0.0  # type: ignore[arg-type]


@pytest.mark.parametrize("bad", [np.array(0.5), torch.tensor(0.5), True, np.bool_(True), 10**400])
def test_what_only_looks_like_a_number_is_refused(bad: object) -> None:
    with pytest.raises(ConfigError, match="variance_weight: expected a number"):
        VCRLayer(bad, 1.0)  # type: ignore[arg-type]


@pytest.mark.parametrize("bad", [2.0, True, np.float64(8), np.array(8)])
@pytest.mark.parametrize("field", ["max_samples", "every"])
def test_so_is_what_is_no_whole_number(bad: object, field: str) -> None:
    with pytest.raises(ConfigError, match=f"{field}: expected a whole number"):
        attached(**{field: bad})


def test_a_budget_stands_alone() -> None:
    assert resolve_budget("light", None, None) == BUDGETS["light"]
    assert resolve_budget(None, None, None) == (None, 1)
    assert resolve_budget(None, 100, 3) == (100, 3)
    with pytest.raises(ConfigError, match="budget='light' alone, got it beside max_samples=9"):
        resolve_budget("light", 9, None)
    with pytest.raises(ConfigError, match="max_samples=9 and every=1"):
        resolve_budget("full", 9, 1)
    with pytest.raises(ConfigError, match="full, light"):
        resolve_budget("cheap", None, None)


def test_gradient_ratios_leave_frozen_layers_out() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 6), nn.Tanh(), nn.Linear(6, 2))
    model[0].requires_grad_(False)
    handle = attach(model, variance_weight=1, covariance_weight=1)
    handle.record = True
    x = torch.randn(16, 4)
    task = model(x).square().mean()
    handle.penalty()
    assert list(handle.gradient_ratios(task)) == ["3"]
    model.requires_grad_(False)
    task = model(x).square().mean()
    with pytest.raises(FeatureError, match="unfreeze"):
        handle.gradient_ratios(task)


def test_vicregs_weights_under_the_exact_scale_get_a_hint() -> None:
    assert "scale='vicreg'" in str(hint_of_convention(25, 1, "exact"))
    assert "scale='vicreg'" in str(hint_of_convention(25.0, np.float32(1), "exact"))  # type: ignore[arg-type]
    assert hint_of_convention(25, 1, "vicreg") is None
    assert hint_of_convention(1, 1, "exact") is None
