"""Which layers; their own weights; tuples; and how strong the penalty is beside the task."""

from __future__ import annotations

from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn

from vcr_core.errors import (
    ConfigError,
    FeatureError,
    LayerNotFoundError,
    LayerNotMeasuredError,
)
from vcr_core.regularization import attach, covariance_penalty, variance_penalty
from vcr_core.regularization.settings import Factor


def mlp() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 12), nn.ReLU(), nn.Linear(12, 3)
    )


def batch() -> Tensor:
    return torch.randn(32, 8, generator=torch.Generator().manual_seed(1))


def test_a_function_of_name_and_module_chooses_layers() -> None:
    handle = attach(
        mlp(),
        variance_weight=1,
        covariance_weight=1,
        layers=lambda name, module: isinstance(module, nn.Linear) and module.out_features > 12,
    )
    assert handle.layer_names == ("0",)


def test_a_function_that_takes_nothing_is_answered_with_the_layers_there_are() -> None:
    with pytest.raises(LayerNotFoundError, match="takes no module of Sequential: its layers are 0"):
        attach(mlp(), variance_weight=1, covariance_weight=1, layers=lambda *_: False)


def test_blocks_of_a_sequential_leave_dropout_and_the_head_out() -> None:
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Dropout(),
        nn.Conv2d(4, 5, 3),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(20, 2),
    )
    assert attach(model, variance_weight=1, covariance_weight=1).layer_names == ("2", "5")


def test_layer_factors_multiply_both_weights_of_matching_layers() -> None:
    model, x = mlp(), batch()
    handle = attach(
        model, variance_weight=0.5, covariance_weight=2.0, layer_factors={"*": 1.0, "3": 10.0}
    )
    for weight in (1.0, 3.0):
        handle.set_weights(weight, weight)
        model(x)
        first, second = handle.terms()["1"], handle.terms()["3"]
        expected = weight * (sum(first) + 10 * sum(second))
        torch.testing.assert_close(handle.penalty(), torch.as_tensor(expected))


def test_a_pair_of_factors_multiplies_the_variance_and_the_covariance_weight() -> None:
    model, x = mlp(), batch()
    factors: dict[str, Factor] = {"3": (0.0, 4.0)}
    handle = attach(model, variance_weight=1, covariance_weight=2, layer_factors=factors)
    model(x)
    first, second = handle.terms()["1"], handle.terms()["3"]
    expected = first.variance + 2 * first.covariance + 8 * second.covariance
    torch.testing.assert_close(handle.penalty(), expected)


def test_factors_set_live_replace_those_before_and_leave_the_weights() -> None:
    model, x = mlp(), batch()
    handle = attach(model, variance_weight=1, covariance_weight=1, layer_factors={"1": 5.0})
    handle.set_factors({"3": 2.0})
    model(x)
    first, second = handle.terms()["1"], handle.terms()["3"]
    torch.testing.assert_close(handle.penalty(), sum(first) + 2 * sum(second))
    handle.set_factors({"*": 0.0})
    model(x)
    assert not handle.penalty().requires_grad


@pytest.mark.parametrize("bad", [{"3": -1.0}, {"1": 2.0, "3": (1.0, float("inf"))}])
def test_bad_factors_set_live_are_refused_and_change_nothing(bad: dict[str, Factor]) -> None:
    model, x = mlp(), batch()
    handle = attach(model, variance_weight=1, covariance_weight=1)
    with pytest.raises(ConfigError, match="layer_factors: expected a finite number of at least 0"):
        handle.set_factors(bad)
    model(x)
    expected = sum(term for terms in handle.terms().values() for term in terms)
    torch.testing.assert_close(handle.penalty(), torch.as_tensor(expected))


def test_a_layer_factor_for_no_layer_is_refused() -> None:
    with pytest.raises(LayerNotFoundError, match="no attached layer is called 'x': attached are 1"):
        attach(mlp(), variance_weight=1, covariance_weight=1, layer_factors={"x": 2.0})


class Pair(NamedTuple):
    features: Tensor
    extra: int


class Tupled(nn.Module):
    def __init__(self, kind: type) -> None:
        super().__init__()
        self.linear = nn.Linear(8, 6)
        self.kind = kind

    def forward(self, x: Tensor) -> object:
        return Pair(self.linear(x), 7) if self.kind is Pair else self.kind((self.linear(x), 7))


@pytest.mark.parametrize("kind", [tuple, list, Pair])
def test_of_a_module_that_returns_a_tuple_the_first_element_is_regularised(kind: type) -> None:
    model = nn.ModuleDict({"block": Tupled(kind)})
    handle = attach(model, variance_weight=1, covariance_weight=1, layers=["block"])
    out = model["block"](batch())
    assert type(out) is kind
    assert out[1] == 7
    (out[0].sum() + handle.penalty()).backward()
    actual = model["block"].linear.weight.grad.clone()
    model.zero_grad()
    z = model["block"].linear(batch())
    (z.sum() + variance_penalty(z) + covariance_penalty(z)).backward()
    torch.testing.assert_close(actual, model["block"].linear.weight.grad, rtol=1e-4, atol=1e-6)


def test_a_module_that_returns_no_tensor_is_refused_by_name() -> None:
    class Named(nn.Module):
        def forward(self, x: Tensor) -> dict[str, Tensor]:
            return {"out": x}

    model = nn.ModuleDict({"block": Named()})
    attach(model, variance_weight=1, covariance_weight=1, layers=["block"])
    with pytest.raises(FeatureError, match=r"layer 'block': expected a tensor.*got dict"):
        model["block"](batch())


def test_an_attached_layer_that_never_runs_is_an_error() -> None:
    model = nn.ModuleDict({"used": mlp(), "idle": nn.Linear(4, 4)})
    handle = attach(model, variance_weight=1, covariance_weight=1, layers=["used.1", "idle"])
    model["used"](batch())
    with pytest.raises(LayerNotMeasuredError, match=r"layer 'idle' was not called .*layers=\["):
        handle.penalty()


def test_gradient_ratio_compares_the_layers_own_penalty_with_the_task_alone() -> None:
    model, x = mlp(), batch()
    handle = attach(model, variance_weight=0.5, covariance_weight=2.0)
    handle.record = True
    task = model(x).square().mean()
    penalty = handle.penalty()
    ratios = handle.gradient_ratios(task)
    (task + penalty).backward()
    first = model[1](model[0](x)).detach().requires_grad_()
    own = 0.5 * variance_penalty(first) + 2.0 * covariance_penalty(first)
    own_gradient = torch.autograd.grad(own, first)[0]
    handle.remove()
    task_gradient = torch.autograd.grad(model[4](model[3](model[2](first))).square().mean(), first)[
        0
    ]
    expected = own_gradient.norm() / task_gradient.norm()
    assert set(ratios) == {"1", "3"}
    torch.testing.assert_close(ratios["1"], expected, rtol=1e-4, atol=0)


def test_gradient_ratio_is_high_for_a_strong_and_low_for_an_idle_regulariser() -> None:
    found = []
    for weight in (1e-4, 1e4):
        model = mlp()
        handle = attach(model, variance_weight=weight, covariance_weight=weight)
        handle.record = True
        found.append(handle.gradient_ratios(model(batch()).square().mean())["3"].item())
    assert found[0] < 0.1
    assert found[1] > 10


def test_gradient_ratio_without_a_recorded_forward_says_what_to_do() -> None:
    handle = attach(mlp(), variance_weight=1, covariance_weight=1)
    with pytest.raises(FeatureError, match=r"set handle.record = True before the forward"):
        handle.gradient_ratios(torch.zeros((), requires_grad=True))


def test_gradient_ratio_after_the_backward_says_what_to_do() -> None:
    model = mlp()
    handle = attach(model, variance_weight=1, covariance_weight=1)
    handle.record = True
    task = model(batch()).square().mean()
    (task + handle.penalty()).backward()
    with pytest.raises(FeatureError, match=r"call gradient_ratios\(\) before loss.backward"):
        handle.gradient_ratios(task)


def test_active_hinges_are_all_active_for_tiny_and_none_for_huge_features() -> None:
    for size, share in ((1e-3, 1.0), (1e3, 0.0)):
        model = nn.Sequential(nn.Linear(8, 6), nn.Linear(6, 2))
        handle = attach(model, variance_weight=1, covariance_weight=1, layers=["0"])
        model(size * batch())
        assert handle.active_hinge_shares()["0"].item() == share
