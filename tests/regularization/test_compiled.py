"""Compiled code has eager code's penalty and gradient, or says that it cannot have them.

Compared with eager training of the same network. Nothing of the arithmetic depends on the backend,
but whether it survives does: inductor is asked as well, without warm caches, and marked slow.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from vcr_core.errors import LayerNotMeasuredError, PenaltyNotAddedError
from vcr_core.regularization import Regularization, VCRLayer, attach

pytestmark = [
    pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:`torch._prims_common.check` is deprecated:FutureWarning"),
    # dynamo looks for one at every input of a graph
    pytest.mark.filterwarnings(
        "ignore:The .grad attribute of a Tensor that is not a leaf:UserWarning"
    ),
]
BACKENDS = ["aot_eager", pytest.param("inductor", marks=pytest.mark.slow)]


@pytest.fixture(autouse=True)
def _compiled_anew() -> Iterator[None]:
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


class Tokens(nn.Module):
    """Two blocks of tokens and a head on their mean."""

    block_names = ("first", "second")

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Linear(6, 12), nn.Tanh())
        self.second = nn.Sequential(nn.Linear(12, 8), nn.Tanh())
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.second(self.first(x)).mean(dim=1))


class Interrupted(Tokens):
    """The same, in two graphs: what is printed between them cannot be compiled."""

    def forward(self, x: Tensor) -> Tensor:
        features = self.first(x)
        torch._dynamo.graph_break()
        return self.head(self.second(features).mean(dim=1))


def cnn() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 12, 3),
        nn.Tanh(),
        nn.Conv2d(12, 20, 3),
        nn.Tanh(),
        nn.Flatten(),
        nn.Linear(400, 3),
    )


def mlp() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4))


def maps() -> Tensor:
    return torch.randn(6, 3, 9, 8, generator=torch.Generator().manual_seed(1))


def tokens() -> Tensor:
    return torch.randn(8, 5, 6, generator=torch.Generator().manual_seed(1))


def rows() -> Tensor:
    return torch.randn(32, 8, generator=torch.Generator().manual_seed(1))


def attached(model: nn.Module, **options: Any) -> Regularization:
    return attach(model, variance_weight=0.7, covariance_weight=2.5, **options)


def two_steps(
    model: nn.Module, run: Callable[[Tensor], Tensor], x: Tensor, **options: Any
) -> tuple[list[float], Tensor]:
    """The penalties of two steps, and the last gradient as one vector."""
    handle, values = attached(model, **options), []
    for _ in range(2):
        model.zero_grad()
        task = run(x).square().mean()
        penalty = handle.penalty()
        (task + penalty).backward()
        values.append(penalty.item())
    return values, torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])


def assert_as_eager(
    build: Callable[[], nn.Module], x: Tensor, backend: str, **settings: Any
) -> None:
    fullgraph = settings.pop("fullgraph", False)
    torch.manual_seed(0)
    eager = build()
    if x.ndim == 4 and x.is_contiguous(memory_format=torch.channels_last):
        eager = eager.to(memory_format=torch.channels_last)
    compiled = copy.deepcopy(eager)
    values, gradient = two_steps(eager, eager, x, **settings)
    run = torch.compile(compiled, backend=backend, fullgraph=fullgraph)
    others, other = two_steps(compiled, run, x, **settings)
    assert others == pytest.approx(values, rel=1e-6)
    assert ((other - gradient).norm() / gradient.norm()).item() < 2e-6


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("fullgraph", [False, True])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_maps(backend: str, fullgraph: bool, layout: torch.memory_format) -> None:
    assert_as_eager(cnn, maps().contiguous(memory_format=layout), backend, fullgraph=fullgraph)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("fullgraph", [False, True])
@pytest.mark.parametrize(
    "options", [{}, {"max_samples": 9}, {"tokens": "class"}, {"pooled": True}, {"every": 2}]
)
def test_tokens(backend: str, fullgraph: bool, options: dict[str, Any]) -> None:
    assert_as_eager(Tokens, tokens(), backend, fullgraph=fullgraph, **options)


@pytest.mark.parametrize("backend", BACKENDS)
def test_drawn_places_of_maps_and_the_smooth_form(backend: str) -> None:
    options = {"max_samples": 40, "threshold": 0.01, "nonfinite": "skip"}
    assert_as_eager(cnn, maps(), backend, fullgraph=True, **options)


def test_a_forward_in_two_graphs() -> None:
    assert_as_eager(Interrupted, tokens(), "aot_eager")


def test_a_step_that_asks_for_the_penalty_inside_of_compiled_code() -> None:
    eager, compiled = Tokens(), Tokens()
    compiled.load_state_dict(eager.state_dict())
    handles = attached(eager), attached(compiled)

    def loss(model: nn.Module, handle: Regularization, x: Tensor) -> Tensor:
        return model(x).square().mean() + handle.penalty()

    loss(eager, handles[0], tokens()).backward()
    torch.compile(loss, backend="aot_eager")(compiled, handles[1], tokens()).backward()
    for one, other in zip(compiled.parameters(), eager.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad)
    torch._dynamo.reset()
    with pytest.raises(torch._dynamo.exc.Unsupported, match=r"handle.penalty\(\) outside"):
        torch.compile(loss, backend="aot_eager", fullgraph=True)(compiled, handles[1], tokens())


def test_one_block_compiled_by_itself() -> None:
    eager, compiled = Tokens(), Tokens()
    compiled.load_state_dict(eager.state_dict())
    values, gradient = two_steps(eager, eager, tokens())
    compiled.second.compile(backend="aot_eager", fullgraph=True)
    others, other = two_steps(compiled, compiled, tokens())
    assert others == pytest.approx(values, rel=1e-6)
    torch.testing.assert_close(other, gradient)


def test_what_is_kept_of_features_is_what_eager_code_keeps() -> None:
    found = []
    torch.manual_seed(0)
    eager = cnn()
    compiled = copy.deepcopy(eager)
    for model, run in ((eager, eager), (compiled, torch.compile(compiled, backend="aot_eager"))):
        handle = attached(model)
        handle.record = True
        run(maps())
        handle.penalty()
        found.append((handle.terms(), handle.moments()))
    (terms, moments), (other_terms, other_moments) = found
    for layer, each in moments.items():
        assert other_moments[layer].count == each.count
        torch.testing.assert_close(other_moments[layer].mean, each.mean)
        torch.testing.assert_close(other_moments[layer].covariance, each.covariance)
        torch.testing.assert_close(other_terms[layer].variance, terms[layer].variance)


def test_moments_are_kept_without_weights_too() -> None:
    model = cnn()
    handle = attach(model, variance_weight=0, covariance_weight=0)
    handle.record = True
    torch.compile(model, backend="aot_eager", fullgraph=True)(maps())
    assert set(handle.moments()) == {"1", "3"}


def test_a_layer_of_ones_own_adds_its_gradient() -> None:
    plain = cnn()
    ours = copy.deepcopy(plain)
    handle = attach(plain, variance_weight=0.7, covariance_weight=2.5, layers=["1"])
    (plain(maps()).square().mean() + handle.penalty()).backward()
    spread = nn.Sequential(*list(ours[:2]), VCRLayer(0.7, 2.5), *list(ours[2:]))
    torch.compile(spread, backend="aot_eager", fullgraph=True)(maps()).square().mean().backward()
    torch.testing.assert_close(ours[0].weight.grad, plain[0].weight.grad)


# ------------------------------------------------------------------ who was compiled when


def expected() -> float:
    model = mlp()
    handle = attach(model, variance_weight=1, covariance_weight=1, layers=["1"])
    model(rows())
    return handle.penalty().item()


def on_second(model: nn.Module) -> Regularization:
    return attach(model, variance_weight=1, covariance_weight=1, layers=["1"])


def whole_model(model: nn.Module) -> Callable[[Tensor], Tensor]:
    run: Callable[[Tensor], Tensor] = torch.compile(model, backend="eager")
    return run


def in_place(model: nn.Module) -> Callable[[Tensor], Tensor]:
    model.compile(backend="eager")
    return model


def its_block(model: nn.Module) -> Callable[[Tensor], Tensor]:
    model[1].compile(backend="eager")  # type: ignore[index]
    return model


@pytest.fixture(params=[True, False], ids=["hooks unguarded", "hooks guarded"])
def _as_a_process_begins(request: pytest.FixtureRequest) -> Iterator[None]:
    """torch's default, and what the first attach of a process leaves."""
    with torch._dynamo.config.patch(skip_nnmodule_hook_guards=request.param):
        yield


@pytest.mark.usefixtures("_as_a_process_begins")
@pytest.mark.parametrize("compiled", [whole_model, in_place, its_block])
def test_a_model_that_was_compiled_and_run_before_is_regularised(
    compiled: Callable[[nn.Module], Callable[[Tensor], Tensor]],
) -> None:
    model = mlp()
    run = compiled(model)
    run(rows())
    handle = on_second(model)
    run(rows())
    assert handle.penalty().item() == pytest.approx(expected())


@pytest.mark.usefixtures("_as_a_process_begins")
@pytest.mark.parametrize("compiled", [whole_model, in_place, its_block])
@pytest.mark.parametrize("when", ["before", "after"])
def test_so_is_one_whose_baseline_of_the_same_class_was_compiled(
    compiled: Callable[[nn.Module], Callable[[Tensor], Tensor]], when: str
) -> None:
    if when == "before":
        compiled(mlp())(rows())
    model = mlp()
    handle = on_second(model)
    if when == "after":
        compiled(mlp())(rows())
    compiled(model)(rows())
    assert handle.penalty().item() == pytest.approx(expected())


def test_compiled_code_lets_go_of_a_removed_regulariser() -> None:
    model = mlp()
    run = torch.compile(model, backend="eager")
    on_second(model).remove()
    run(rows())
    with on_second(model) as handle:
        run(rows())
        first = handle.penalty().item()
    run(rows())
    handle = on_second(model)
    run(rows())
    assert first == handle.penalty().item() == pytest.approx(expected())


def test_code_that_goes_on_without_the_hooks_is_an_error() -> None:
    model = mlp()
    with torch._dynamo.config.patch(skip_nnmodule_hook_guards=False):
        handle = on_second(model)
    with torch._dynamo.config.patch(skip_nnmodule_hook_guards=True):
        whole_model(mlp())(rows())
        whole_model(model)(rows())
    with pytest.raises(LayerNotMeasuredError, match=r"torch.compile had compiled.*_dynamo.reset"):
        handle.penalty()


def test_forgotten_penalties_of_compiled_code_end_in_an_error() -> None:
    model = mlp()
    on_second(model)
    run = whole_model(model)

    def forgetful() -> None:
        for _ in range(100):
            run(rows())

    with pytest.raises(PenaltyNotAddedError):
        forgetful()
