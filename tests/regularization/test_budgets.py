"""A penalty at every k-th step only: as strong on average, free in between, same when resumed."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from vcr_core.errors import ConfigError, LayerNotFoundError
from vcr_core.regularization import Regularization, attach, covariance_penalty, variance_penalty
from vcr_core.regularization.budgets import BUDGETS

ALPHA, BETA = 0.7, 2.5


class Network(nn.Module):
    block_names = ("first",)

    def __init__(self, *, recompute: bool = False) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Sequential(nn.Linear(6, 10), nn.Tanh())
        self.head = nn.Linear(10, 3)
        self.recompute = recompute

    def forward(self, x: Tensor) -> Tensor:
        z = checkpoint(self.first, x, use_reentrant=False) if self.recompute else self.first(x)
        return self.head(z)


def batch(seed: int) -> Tensor:
    return torch.randn(16, 6, generator=torch.Generator().manual_seed(seed))


def attached(model: nn.Module, **options: object) -> Regularization:
    return attach(model, variance_weight=ALPHA, covariance_weight=BETA, **options)  # type: ignore[arg-type]


def penalty_of(model: Network, x: Tensor) -> Tensor:
    z = model.first(x)
    return ALPHA * variance_penalty(z) + BETA * covariance_penalty(z)


def step_gradient(model: Network, handle: Regularization, seed: int) -> Tensor:
    model.zero_grad()
    (model(batch(seed)).square().mean() + handle.penalty()).backward()
    return model.first[0].weight.grad.clone()


@given(every=st.integers(1, 5))
@settings(max_examples=5, deadline=None)
def test_every_kth_step_has_k_times_the_penalty_and_the_others_none(every: int) -> None:
    model, plain = Network(), Network()
    handle = attached(model, every=every)
    for step in range(2 * every + 1):
        x = batch(step)
        model(x)
        expected = every * penalty_of(plain, x) if step % every == 0 else torch.zeros(())
        for _ in "asked", "again":
            torch.testing.assert_close(handle.penalty(), expected, rtol=1e-5, atol=1e-7)


class Deep(nn.Module):
    """Four blocks and a head."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.blocks = nn.Sequential(*(nn.Sequential(nn.Linear(6, 6), nn.Tanh()) for _ in range(4)))
        self.block_names = tuple(f"blocks.{place}" for place in range(4))
        self.head = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.blocks(x))


@pytest.mark.parametrize("every", [1, 2, 3, 4, 8])
def test_all_layers_have_k_times_their_penalty_at_the_same_step(every: int) -> None:
    model = Deep()
    handle = attached(model, every=every)
    x, taken = batch(0), []
    for _ in range(every):
        model(x)
        taken.append(handle.penalty().item())
    each, z = [], x
    for block in model.blocks:
        z = block(z)
        each.append((ALPHA * variance_penalty(z) + BETA * covariance_penalty(z)).item())
    assert taken == pytest.approx([every * sum(each)] + [0] * (every - 1), rel=1e-5)


def test_a_step_without_penalty_is_the_plain_step_bit_for_bit() -> None:
    plain, ours = Network(), Network()
    none = attach(plain, variance_weight=0, covariance_weight=0)
    handle = attached(ours, every=3)
    same = [
        torch.equal(step_gradient(plain, none, seed), step_gradient(ours, handle, seed))
        for seed in range(6)
    ]
    assert same == [False, True, True, False, True, True]


@pytest.mark.parametrize("options", [{"every": 2}, {"every": 2, "max_samples": 5}])
def test_a_checkpoints_recomputation_rests_when_its_forward_did(options: dict[str, int]) -> None:
    plain, again = Network(), Network(recompute=True)
    one, other = attached(plain, **options), attached(again, **options)
    for seed in range(4):
        first, second = step_gradient(plain, one, seed), step_gradient(again, other, seed)
        torch.testing.assert_close(first, second)


def test_the_mean_penalty_is_what_the_full_budget_adds_at_every_step() -> None:
    full, light = Network(), Network()
    one, other = attached(full), attached(light, every=4)
    other.record = True
    for seed in range(5):
        full(batch(seed)), light(batch(seed))
        expected = one.penalty().detach()
        other.penalty()
        torch.testing.assert_close(other.mean_penalty(), expected)
        torch.testing.assert_close(one.mean_penalty(), expected)


def test_terms_are_read_at_a_step_without_penalty_under_record() -> None:
    model = Network()
    handle = attached(model, every=10)
    for seed in range(3):
        handle.record = seed == 2
        model(batch(seed))
        handle.penalty()
    expected = covariance_penalty(model.first(batch(2)))
    torch.testing.assert_close(handle.terms()["first"].covariance, expected, rtol=1e-5, atol=1e-8)


def test_training_goes_on_from_a_saved_state_as_if_never_interrupted() -> None:
    def penalties(handle: Regularization, model: Network, seeds: range) -> list[float]:
        values = []
        for seed in seeds:
            model(batch(seed))
            values.append(handle.penalty().item())
        return values

    options = {"every": 3, "max_samples": 7}
    whole = penalties(attached(model := Network(), **options), model, range(8))
    first = attached(model := Network(), **options)
    start = penalties(first, model, range(4))
    second = attached(model := Network(), **options)
    second.load_state_dict(first.state_dict())
    assert start + penalties(second, model, range(4, 8)) == whole


def test_the_state_of_other_layers_is_refused() -> None:
    with pytest.raises(LayerNotFoundError, match="second"):
        attached(Network()).load_state_dict({"second": 3})


@pytest.mark.parametrize("budget", list(BUDGETS))
def test_a_budget_is_its_samples_and_steps(budget: str) -> None:
    options = attached(Network(), budget=budget).options["first"]
    assert (options.max_samples, options.every) == BUDGETS[budget]


def test_compiled_code_rests_too() -> None:
    model = Network()
    handle = attached(model, every=2)
    compiled = torch.compile(model, backend="eager", fullgraph=True)
    found = []
    for seed in range(4):
        compiled(batch(seed))
        found.append(bool(handle.penalty() > 0))
    assert found == [True, False, True, False]


@pytest.mark.parametrize("bad", [0, -1, 1.5, True, "often"])
def test_a_bad_interval_is_refused(bad: object) -> None:
    with pytest.raises(ConfigError, match="whole number"):
        attached(Network(), every=bad)


def test_an_unknown_budget_is_refused() -> None:
    with pytest.raises(ConfigError, match="full, light"):
        attached(Network(), budget="cheap")
