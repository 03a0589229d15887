"""Whatever rescales, splits or repeats a loss: the gradient stays autograd's.

Every test compares training through ``attach`` and ``handle.penalty()`` with plain autograd on the
formulas of ``terms.py``, on the same little network in float64 (unless the claim is about a type).
All of it twice: with layers that are measured when the penalty is asked for, and with layers that
are measured in the forward, because they are large.
"""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from vcr_core.errors import LayerNotMeasuredError
from vcr_core.regularization import (
    PenaltyNotAddedError,
    Regularization,
    VCRLayer,
    attach,
    covariance_penalty,
    function,
    variance_penalty,
)

ALPHA, BETA = 0.7, 2.5


@pytest.fixture(autouse=True, params=["measured together", "measured in the forward"])
def _when_measured(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "measured in the forward":
        monkeypatch.setattr(function, "MEDIUM_NUMEL", 0)


class Network(nn.Module):
    """Three layers; the first two outputs are regularised."""

    block_names = ("first", "second")

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Sequential(nn.Linear(6, 10), nn.Tanh())
        self.second = nn.Sequential(nn.Linear(10, 8), nn.Tanh())
        self.head = nn.Linear(8, 3)

    def features(self, x: Tensor) -> list[Tensor]:
        first = self.first(x)
        return [first, self.second(first)]

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x)[-1])


class Checkpointed(Network):
    """The same, with its blocks recomputed in the backward."""

    def __init__(self, *, reentrant: bool) -> None:
        super().__init__()
        self.reentrant = reentrant

    def features(self, x: Tensor) -> list[Tensor]:
        first = checkpoint(self.first, x, use_reentrant=self.reentrant)
        return [first, checkpoint(self.second, first, use_reentrant=self.reentrant)]


def batch(seed: int = 1, n: int = 24) -> Tensor:
    return torch.randn(n, 6, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def network(build: Callable[[], Network] = Network) -> Network:
    return build().double()


def plain_penalty(features: list[Tensor]) -> Tensor:
    terms = [ALPHA * variance_penalty(z) + BETA * covariance_penalty(z) for z in features]
    return torch.stack(terms).sum()


def attached(model: nn.Module, max_samples: int | None = None) -> Regularization:
    return attach(model, variance_weight=ALPHA, covariance_weight=BETA, max_samples=max_samples)


def task(model: Network, x: Tensor) -> Tensor:
    return model(x).square().mean()


def whole(model: Network, x: Tensor) -> Tensor:
    """The loss by plain autograd."""
    features = model.features(x)
    return model.head(features[-1]).square().mean() + plain_penalty(features)


def gradients(model: nn.Module) -> list[Tensor]:
    return [p.grad if p.grad is not None else torch.zeros_like(p) for p in model.parameters()]


def assert_same_gradients(actual: nn.Module, expected: nn.Module, tolerance: float = 1e-6) -> None:
    for one, other in zip(gradients(actual), gradients(expected), strict=True):
        error = (one.double() - other.double()).norm() / other.double().norm().clamp(min=1e-12)
        assert error.item() < tolerance


def test_a_loss_times_a_constant() -> None:
    ours, plain, x = network(), network(), batch()
    handle = attached(ours)
    (1e3 * (task(ours, x) + handle.penalty())).backward()
    (1e3 * whole(plain, x)).backward()
    assert_same_gradients(ours, plain)


def test_gradient_accumulation() -> None:
    ours, plain = network(), network()
    handle = attached(ours)
    for seed in (1, 2, 3):
        ((task(ours, batch(seed)) + handle.penalty()) / 3).backward()
        (whole(plain, batch(seed)) / 3).backward()
    assert_same_gradients(ours, plain)


def test_a_loss_on_a_part_of_the_batch() -> None:
    ours, plain, x = network(), network(), batch()
    handle = attached(ours)
    (ours(x)[:5].square().mean() + handle.penalty()).backward()
    features = plain.features(x)
    (plain.head(features[-1])[:5].square().mean() + plain_penalty(features)).backward()
    assert_same_gradients(ours, plain)


def test_two_forwards_before_one_backward() -> None:
    ours, plain = network(), network()
    handle = attached(ours)
    loss = task(ours, batch(1)) + task(ours, batch(2))
    (loss + handle.penalty()).backward()
    (whole(plain, batch(1)) + whole(plain, batch(2))).backward()
    assert_same_gradients(ours, plain)


def test_two_losses_on_one_graph() -> None:
    ours, plain, x = network(), network(), batch()
    handle = attached(ours)
    out = ours(x)
    out.square().mean().backward(retain_graph=True)
    (out.abs().sum() + 0.5 * handle.penalty()).backward()
    features = plain.features(x)
    out = plain.head(features[-1])
    (out.square().mean() + out.abs().sum() + 0.5 * plain_penalty(features)).backward()
    assert_same_gradients(ours, plain)


def test_retain_graph_and_a_second_backward() -> None:
    ours, plain, x = network(), network(), batch()
    handle = attached(ours)
    loss = task(ours, x) + handle.penalty()
    loss.backward(retain_graph=True)
    loss.backward()
    (2 * whole(plain, x)).backward()
    assert_same_gradients(ours, plain)


def test_autograd_grad() -> None:
    ours, plain, x = network(), network(), batch().requires_grad_()
    handle = attached(ours)
    actual = torch.autograd.grad(task(ours, x) + handle.penalty(), x)[0]
    torch.testing.assert_close(actual, torch.autograd.grad(whole(plain, x), x)[0])


def test_a_loss_on_an_intermediate_output() -> None:
    ours, plain, x = network(), network(), batch()
    handle = attached(ours)
    (ours.features(x)[0].sin().sum() + handle.penalty()).backward()
    features = plain.features(x)
    (features[0].sin().sum() + plain_penalty(features)).backward()
    assert_same_gradients(ours, plain)


def test_a_backward_without_the_penalty_is_the_tasks_alone() -> None:
    ours, plain, x = network(), network(), batch()
    attached(ours)
    task(ours, x).backward()
    task(plain, x).backward()
    assert_same_gradients(ours, plain)


def test_the_penalty_alone() -> None:
    ours, plain, x = network(), network(), batch()
    handle = attached(ours)
    ours(x)
    handle.penalty().backward()
    plain_penalty(plain.features(x)).backward()
    assert_same_gradients(ours, plain)


def test_one_module_used_twice() -> None:
    shared = nn.Sequential(nn.Linear(6, 6), nn.Tanh()).double()
    plain, x = copy.deepcopy(shared), batch()
    handle = attach(shared, variance_weight=ALPHA, covariance_weight=BETA, layers=["1"])
    (shared(shared(x)).square().mean() + handle.penalty()).backward()
    once = plain(x)
    twice = plain(once)
    (twice.square().mean() + plain_penalty([once, twice])).backward()
    assert_same_gradients(shared, plain)


def test_frozen_layers() -> None:
    ours, plain, x = network(), network(), batch()
    for model in (ours, plain):
        model.first.requires_grad_(False)
    handle = attached(ours)
    (task(ours, x) + handle.penalty()).backward()
    features = plain.features(x)
    (plain.head(features[-1]).square().mean() + plain_penalty(features[1:])).backward()
    assert ours.first[0].weight.grad is None
    assert_same_gradients(ours, plain)


def test_eval_in_the_middle_of_training_adds_nothing() -> None:
    ours, plain, x = network(), network(), batch()
    handle = attached(ours)
    loss = task(ours, x)
    ours.eval()
    ours(batch(5))
    ours.train()
    with torch.no_grad():
        ours(batch(6))
    (loss + handle.penalty()).backward()
    whole(plain, x).backward()
    assert_same_gradients(ours, plain)


def test_non_reentrant_checkpointing() -> None:
    ours, plain, x = network(lambda: Checkpointed(reentrant=False)), network(), batch()
    handle = attached(ours)
    for _ in range(2):
        (task(ours, x) + handle.penalty()).backward()
        whole(plain, x).backward()
    assert_same_gradients(ours, plain)


def test_checkpointing_draws_the_same_samples_again() -> None:
    kept, recomputed = network(), network(lambda: Checkpointed(reentrant=False))
    for model in (kept, recomputed):
        handle = attach(model, variance_weight=ALPHA, covariance_weight=BETA, max_samples=9)
        for seed in (1, 2):
            (task(model, batch(seed)) + handle.penalty()).backward()
    assert_same_gradients(recomputed, kept)


def test_reentrant_checkpointing_is_an_error_that_names_the_layer() -> None:
    model, x = network(lambda: Checkpointed(reentrant=True)), batch().requires_grad_()
    handle = attached(model)
    with pytest.raises(LayerNotMeasuredError, match=r"'second' ran under .*use_reentrant=True"):
        task(model, x).backward()
    with pytest.raises(LayerNotMeasuredError, match=r"'first', 'second'.*use_reentrant=True"):
        (task(model, x) + handle.penalty()).backward()


def test_a_layer_checkpointed_reentrantly_beside_a_plain_pass_is_an_error_too() -> None:
    hidden, x = network(lambda: Checkpointed(reentrant=True)), batch().requires_grad_()
    handle = attached(hidden)
    loss = task(hidden, x)
    hidden.reentrant = False
    with pytest.raises(LayerNotMeasuredError, match="use_reentrant=True"):
        (loss + task(hidden, x) + handle.penalty()).backward()


def test_a_pass_without_gradients_beside_a_checkpointed_one_is_none() -> None:
    """As where a network labels the images that it then learns from."""
    ours, plain, x = network(lambda: Checkpointed(reentrant=False)), network(), batch()
    handle = attached(ours)
    loss = task(ours, x)
    with torch.no_grad():
        ours(batch(5))
    (loss + handle.penalty()).backward()
    whole(plain, x).backward()
    assert_same_gradients(ours, plain)


@pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:`torch._prims_common.check` is deprecated:FutureWarning")
@pytest.mark.parametrize("backend", ["aot_eager", "inductor"])
def test_compile_with_fullgraph_and_changing_weights(backend: str) -> None:
    ours, plain, x = network(), network(), batch()
    handle = attach(ours, variance_weight=1.0, covariance_weight=1.0)
    compiled = torch.compile(ours, fullgraph=True, backend=backend)
    torch._dynamo.utils.counters.clear()
    for step in range(12):
        handle.set_weights(ALPHA * step, BETA * step)
        ours.zero_grad()
        plain.zero_grad()
        (compiled(x).square().mean() + handle.penalty()).backward()
        features = plain.features(x)
        (plain.head(features[-1]).square().mean() + step * plain_penalty(features)).backward()
        assert_same_gradients(ours, plain)
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] <= 4
    torch._dynamo.reset()


def test_compile_draws_the_samples_that_eager_code_draws() -> None:
    """… anew at each step, without compiling again."""
    ours, plain = network(), network()
    compiled = torch.compile(ours, fullgraph=True, backend="aot_eager")
    one, other = attached(ours, max_samples=9), attached(plain, max_samples=9)
    torch._dynamo.utils.counters.clear()
    for step in range(10):
        for model, run, handle in ((ours, compiled, one), (plain, plain, other)):
            model.zero_grad()
            (run(batch(step)).square().mean() + handle.penalty()).backward()
        assert_same_gradients(ours, plain)
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] <= 2
    torch._dynamo.reset()


@pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:`torch._prims_common.check` is deprecated:FutureWarning")
def test_compile_of_a_layer_alone() -> None:
    plain = network()
    ours = nn.Sequential(
        plain.first, VCRLayer(ALPHA, BETA), plain.second, VCRLayer(ALPHA, BETA), plain.head
    )
    ours, x = copy.deepcopy(ours), batch()
    torch.compile(ours, fullgraph=True, backend="aot_eager")(x).square().mean().backward()
    whole(plain, x).backward()
    assert_same_gradients(ours, plain)
    torch._dynamo.reset()


def test_gradient_scaler_in_float16() -> None:
    ours, plain, x = Network(), network(), batch().float()
    handle = attached(ours)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**12)
    optimizer = torch.optim.SGD(ours.parameters(), lr=0.1)
    with torch.autocast("cpu", dtype=torch.float16):
        loss = task(ours, x)
    scaler.scale(loss + handle.penalty()).backward()
    scaler.unscale_(optimizer)
    whole(plain, x.double()).backward()
    assert_same_gradients(ours, plain, tolerance=5e-3)


def test_bfloat16_autocast_keeps_float32_statistics() -> None:
    ours, plain, x = Network(), network(), batch().float()
    handle = attached(ours)
    handle.record = True
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = task(ours, x) + handle.penalty()
    loss.backward()
    assert handle.penalty().dtype == torch.float32
    assert handle.moments()["first"].covariance.dtype == torch.float32
    whole(plain, x.double()).backward()
    assert_same_gradients(ours, plain, tolerance=3e-2)


def test_statistics_inside_autocast_are_those_of_float32() -> None:
    z = torch.randn(64, 8, generator=torch.Generator().manual_seed(0)) + 5
    layer_input = z.clone().requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        VCRLayer(ALPHA, BETA)(layer_input).sum().backward()
    plain = z.clone().requires_grad_()
    (plain.sum() + plain_penalty([plain])).backward()
    assert layer_input.grad is not None
    torch.testing.assert_close(layer_input.grad, plain.grad, rtol=1e-6, atol=1e-6)


def test_an_in_place_operation_after_the_layer_is_an_error_that_names_it() -> None:
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(inplace=True), nn.Linear(8, 2)).double()
    handle = attach(model, variance_weight=1, covariance_weight=1, layers=["0"])
    output = model(batch())
    with pytest.raises(RuntimeError, match=r"output of layer '0' was overwritten .*inplace=False"):
        (output.sum() + handle.penalty()).backward()


def test_nor_are_its_terms_those_of_what_was_written_over() -> None:
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(inplace=True), nn.Linear(8, 2)).double()
    handle = attach(model, variance_weight=1, covariance_weight=1, layers=["0"])
    model(batch())
    if function.MEDIUM_NUMEL:
        with pytest.raises(RuntimeError, match="output of layer '0' was overwritten"):
            handle.terms()
    else:
        expected = variance_penalty(model[0](batch())).item()
        assert handle.terms()["0"].variance.item() == pytest.approx(expected)


def test_an_in_place_layer_itself_is_exact() -> None:
    ours = nn.Sequential(nn.Linear(6, 8), nn.ReLU(inplace=True), nn.Linear(8, 2)).double()
    plain, x = copy.deepcopy(ours), batch()
    handle = attach(ours, variance_weight=ALPHA, covariance_weight=BETA)
    (ours(x).square().mean() + handle.penalty()).backward()
    features = plain[1](plain[0](x))
    (plain[2](features).square().mean() + plain_penalty([features])).backward()
    assert_same_gradients(ours, plain)


def test_a_training_forward_whose_penalty_was_never_added_is_an_error_that_says_so() -> None:
    model = network()
    attached(model)
    task(model, batch(1)).backward()
    with pytest.raises(PenaltyNotAddedError, match=r"'first'.*never added .*handle.penalty\(\)"):
        model(batch(2))


def test_a_penalty_that_was_asked_for_but_not_added_is_an_error_too() -> None:
    model = network()
    handle = attached(model)
    loss = task(model, batch(1))
    handle.penalty()
    loss.backward()
    with pytest.raises(PenaltyNotAddedError):
        model(batch(2))


def test_a_backward_that_is_meant_to_leave_the_penalty_out_is_discarded() -> None:
    ours, plain, x = network(), network(), batch()
    handle = attached(ours)
    task(ours, batch(9)).backward()
    handle.discard()
    ours.zero_grad()
    (task(ours, x) + handle.penalty()).backward()
    whole(plain, x).backward()
    assert_same_gradients(ours, plain)


def test_a_copy_of_an_attached_model_is_bare() -> None:
    model, x = network(), batch()
    handle = attached(model)
    loss = task(model, x) + handle.penalty()
    twin = copy.deepcopy(model)
    loss.backward()
    task(twin, x).backward()
    bare = network()
    task(bare, x).backward()
    assert_same_gradients(twin, bare, tolerance=1e-12)


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_gradient_layout_and_type_are_those_of_the_features(
    memory_format: torch.memory_format, dtype: torch.dtype
) -> None:
    z = torch.randn(4, 6, 5, 5).to(dtype).contiguous(memory_format=memory_format).requires_grad_()
    VCRLayer(1.0, 1.0)(z).sum().backward()
    assert z.grad is not None
    assert z.grad.dtype == dtype
    assert z.grad.is_contiguous(memory_format=memory_format)
