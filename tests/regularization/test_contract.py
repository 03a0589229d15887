"""A training step that goes past a regularised layer is an error, and says why it can be one."""

from __future__ import annotations

import copy
import multiprocessing
import pickle
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from vcr_core.errors import (
    ConfigError,
    FeatureError,
    LayerNotFoundError,
    LayerNotMeasuredError,
)
from vcr_core.regularization import (
    Regularization,
    attach,
    covariance_penalty,
    variance_penalty,
)


def mlp() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 12), nn.ReLU(), nn.Linear(12, 3)
    )


def batch(n: int = 32) -> Tensor:
    return torch.randn(n, 8, generator=torch.Generator().manual_seed(1))


def attached(model: nn.Module, **options: Any) -> Regularization:
    return attach(model, variance_weight=1.0, covariance_weight=1.0, **options)


def train(model: nn.Module, handle: Regularization) -> float:
    """One step's penalty; the gradients are in the model."""
    model.zero_grad()
    task = model(batch()).square().mean()
    penalty = handle.penalty()
    (task + penalty).backward()
    return penalty.item()


PENALTY = pytest.approx(train(model := mlp(), attached(model)))


class Branched(nn.Module):
    """Two branches, of which a step may leave one out."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Linear(8, 6)
        self.second = nn.Linear(6, 6)
        self.skip = False

    def forward(self, x: Tensor) -> Tensor:
        z = self.first(x)
        return z if self.skip else self.second(z)


# --------------------------------------------------------------------- what is an error


def test_a_copy_that_trains_in_the_models_place() -> None:
    model = mlp()
    handle = attached(model)
    twin = copy.deepcopy(model)
    twin(batch())
    with pytest.raises(LayerNotMeasuredError, match="copy of the model trains"):
        handle.penalty()


def test_a_copy_that_takes_over_after_the_first_step() -> None:
    model = mlp()
    handle = attached(model)
    train(model, handle)
    twin = copy.deepcopy(model)
    with pytest.raises(LayerNotMeasuredError, match="copy of the model trains"):
        (twin(batch()).square().mean() + handle.penalty()).backward()


def test_layers_that_the_forward_never_calls() -> None:
    model = nn.ModuleDict({"used": nn.Linear(8, 3), "held": nn.Linear(8, 3)})
    handle = attached(model, layers=["held"])
    model["used"](batch())
    with pytest.raises(LayerNotMeasuredError, match="forward does not call its layers"):
        handle.penalty()


def test_a_layer_that_a_later_step_leaves_out() -> None:
    model = Branched()
    handle = attached(model, layers=["first", "second"])
    train(model, handle)
    model.skip = True
    with pytest.raises(LayerNotMeasuredError, match=r"layer 'second' was not called.*sometimes="):
        train(model, handle)
    model.skip = False
    train(model, handle)


def test_training_in_eval() -> None:
    model = mlp()
    handle = attached(model)
    model.eval()
    with pytest.raises(LayerNotMeasuredError, match=r"eval\(\): call model.train\(\)"):
        train(model, handle)


def test_a_block_left_in_eval_while_the_others_train() -> None:
    model = mlp()
    handle = attached(model)
    model[3].eval()
    with pytest.raises(LayerNotMeasuredError, match=r"layer '3' was in eval\(\)"):
        train(model, handle)


def test_layers_under_no_grad_while_a_head_trains() -> None:
    model = mlp()
    handle = attached(model)
    with torch.no_grad():
        features = model[:4](batch())
    with pytest.raises(LayerNotMeasuredError, match="ran under no_grad"):
        (model[4](features).sum() + handle.penalty()).backward()


def test_training_above_frozen_layers_alone() -> None:
    model = mlp()
    handle = attached(model)
    model[:3].requires_grad_(False)
    with pytest.raises(LayerNotMeasuredError, match="nothing at or below its layers trains"):
        train(model, handle)


def test_a_penalty_before_the_forward() -> None:
    with pytest.raises(LayerNotMeasuredError, match="before the forward"):
        attached(mlp()).penalty()


@pytest.mark.parametrize("before", ["a validation", "discard", "rest", "weights of 0"])
def test_a_copy_that_takes_over_after_a_step_without_a_penalty(before: str) -> None:
    model = mlp()
    handle = attached(model, every=2 if before == "rest" else 1)
    train(model, handle)
    if before == "a validation":
        with torch.no_grad():
            model(batch())
            handle.penalty()
    elif before == "discard":
        model(batch())
        handle.discard()
    elif before == "rest":
        train(model, handle)
    else:
        handle.set_weights(0, 0)
        train(model, handle)
        handle.set_weights(1, 1)
    twin = copy.deepcopy(model)
    with pytest.raises(LayerNotMeasuredError):
        steps(twin, handle, 2)


def steps(model: nn.Module, handle: Regularization, count: int) -> None:
    for _ in range(count):
        train(model, handle)


def test_codes_beside_features_are_refused_and_not_taken_for_frozen() -> None:
    class Quantiser(nn.Module):
        def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
            return z.argmax(dim=1), z

    model = nn.ModuleDict({"first": nn.Linear(8, 6), "codes": Quantiser()})
    attached(model, layers=["first", "codes"])
    with pytest.raises(FeatureError, match="layer 'codes': expected floating-point features"):
        model["codes"](model["first"](batch()))


@pytest.mark.parametrize(
    ("kind", "turn"),
    [
        ("nested", lambda z: torch.nested.nested_tensor([z[:3], z[:4]], layout=torch.jagged)),
        ("sparse", lambda z: z.to_sparse()),
    ],
)
def test_tensors_of_other_kinds_are_refused_in_words(kind: str, turn: Any) -> None:
    class Turning(nn.Module):
        def forward(self, z: Tensor) -> Tensor:
            return turn(z)

    model = nn.Sequential(nn.Linear(8, 6), Turning())
    attached(model, layers=["1"])
    with pytest.raises(FeatureError, match=f"layer '1': expected an ordinary tensor, got .*{kind}"):
        model(batch())


# ----------------------------------------------------------------- what is not an error


def test_the_second_call_in_a_step_is_the_same_tensor_also_after_the_backward() -> None:
    model = mlp()
    handle = attached(model)
    model(batch())
    first = handle.penalty()
    assert handle.penalty() is first
    first.backward()
    assert handle.penalty() is first


@pytest.mark.parametrize("quiet", ["eval", "no_grad"])
def test_looking_at_the_penalty_of_an_evaluation_is_zero(quiet: str) -> None:
    model = mlp()
    handle = attached(model)
    train(model, handle)
    if quiet == "eval":
        model.eval()
        model(batch())
    else:
        with torch.no_grad():
            model(batch())
    assert handle.penalty().item() == 0.0
    assert handle.penalty().item() == 0.0
    model.train()
    assert train(model, handle) == PENALTY


@pytest.mark.parametrize("quiet", [torch.no_grad, torch.inference_mode])
def test_a_penalty_that_was_looked_at_without_gradients_still_trains(quiet: Any) -> None:
    model, plain = mlp(), mlp()
    train(plain, attached(plain))
    handle = attached(model)
    task = model(batch()).square().mean()
    with quiet():
        assert handle.penalty().item() == PENALTY
    (task + handle.penalty()).backward()
    torch.testing.assert_close(model[0].weight.grad, plain[0].weight.grad)


def test_looking_twice_in_a_resting_step() -> None:
    model = mlp()
    handle = attached(model, every=2)
    for _ in range(4):
        model(batch())
        handle.penalty()
        (model[4].weight.sum() + handle.penalty()).backward()
        assert handle.penalty().item() in (0.0, pytest.approx(2 * PENALTY.expected))


def test_resting_steps() -> None:
    model = mlp()
    handle = attached(model, every=3)
    found = [train(model, handle) for _ in range(4)]
    assert found == [pytest.approx(3 * found[0] / 3), 0.0, 0.0, pytest.approx(found[0])]


def test_frozen_layers_beside_ones_that_train() -> None:
    model = mlp()
    handle = attached(model)
    model[0].requires_grad_(False)
    model[1].eval()
    assert 0 < train(model, handle) < PENALTY.expected


def test_a_layer_that_was_said_to_run_at_some_steps_only() -> None:
    model = Branched()
    handle = attached(model, layers=["first", "second"], sometimes=["sec*"])
    whole = train(model, handle)
    model.skip = True
    assert 0 < train(model, handle) < whole


def test_sometimes_must_name_attached_layers() -> None:
    with pytest.raises(LayerNotFoundError, match="no attached layer is called 'aux'"):
        attached(mlp(), sometimes=["aux"])


@pytest.mark.parametrize("quiet", ["eval", "no forward", "skip"])
def test_missing_ignore_allows_everything(quiet: str) -> None:
    model = Branched()
    handle = attached(model, layers=["second"] if quiet == "skip" else ["first"], missing="ignore")
    model.train(quiet != "eval")
    model.skip = quiet == "skip"
    task = (mlp() if quiet == "no forward" else model)(batch()).sum()
    penalty = handle.penalty()
    (task + penalty).backward()
    assert penalty.item() == 0.0


def test_missing_knows_two_words() -> None:
    with pytest.raises(ConfigError, match="missing: expected one of raise, ignore, got 'warn'"):
        attached(mlp(), missing="warn")


def test_weights_of_zero_owe_nothing() -> None:
    handle = attach(mlp(), variance_weight=0, covariance_weight=0)
    assert not handle.penalty().requires_grad


def test_after_discard_and_after_remove_there_is_nothing_to_pay() -> None:
    model = mlp()
    handle = attached(model)
    model(batch())
    handle.discard()
    assert handle.penalty().item() == 0.0
    handle.remove()
    (mlp()(batch()).sum() + handle.penalty()).backward()


# ---------------------------------------------------------------- copies and processes


def test_a_copied_model_is_a_plain_network() -> None:
    model = mlp()
    attached(model)
    plain, twin, pickled = mlp(), copy.deepcopy(model), pickle.loads(pickle.dumps(model))
    for each in (plain, twin, pickled):
        for _ in range(3):
            each.zero_grad()
            each(batch()).square().mean().backward()
        torch.testing.assert_close(each[0].weight.grad, plain[0].weight.grad)


class Held(nn.Module):
    """A module that holds the handle of its own body."""

    def __init__(self) -> None:
        super().__init__()
        self.body = mlp()
        self.regularization = attached(self.body, max_samples=20, seed=3)

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_a_module_copied_with_its_handle_after_a_step_goes_on_exactly(copied: Any) -> None:
    model = Held()
    train(model, model.regularization)
    twin = copied(model)
    for _ in range(2):
        assert train(twin, twin.regularization) == train(model, model.regularization)
    torch.testing.assert_close(twin.body[0].weight.grad, model.body[0].weight.grad)
    twin.regularization.remove()
    assert not any(module._forward_hooks for module in twin.modules())
    assert train(model, model.regularization) > 0


def test_a_model_and_its_handle_copied_side_by_side() -> None:
    model = mlp()
    pair = copy.deepcopy((model, attached(model)))
    assert train(*pair) == PENALTY


def test_a_handle_copied_without_its_model_says_so() -> None:
    model = mlp()
    handle = copy.deepcopy(attached(model))
    model(batch())
    with pytest.raises(LayerNotMeasuredError, match="copy of the model trains"):
        handle.penalty()


def _train_in_a_child(model: nn.Module, handle: Regularization | None, answers: Any) -> None:
    if handle is None:
        for _ in range(2):
            model(batch()).sum().backward()
        answers.put(0.0)
    else:
        answers.put(train(model, handle))


@pytest.mark.parametrize("with_handle", [True, False])
def test_a_spawned_process_regularises_if_it_gets_the_handle_as_well(with_handle: bool) -> None:
    model = mlp()
    handle = attached(model)
    context = multiprocessing.get_context("spawn")
    answers = context.SimpleQueue()
    given = (model, handle if with_handle else None, answers)
    process = context.Process(target=_train_in_a_child, args=given)
    process.start()
    process.join(timeout=120)
    assert process.exitcode == 0
    assert answers.get() == (PENALTY if with_handle else 0.0)


# --------------------------------------------------- forwards that fail, attaching twice


class Failing(nn.Module):
    """A head that fails when it is told how."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(12, 3)
        self.fails: type[BaseException] | None = None

    def forward(self, x: Tensor) -> Tensor:
        if self.fails is not None:
            raise self.fails
        return self.linear(x)


@pytest.mark.parametrize("inside", [False, True])
def test_a_forward_that_failed_midway_is_not_counted(inside: bool) -> None:
    model = mlp()
    model[4] = Failing()
    whole: nn.Module = nn.Sequential(nn.Identity(), model) if inside else model
    layers = ["1.1", "1.3"] if inside else ["1", "3"]
    handle = attached(whole, layers=layers)
    model[4].fails = MemoryError
    with pytest.raises(MemoryError):
        whole(batch())
    model[4].fails = None
    assert train(whole, handle) == PENALTY


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf:UserWarning")
@pytest.mark.parametrize("compiled", [False, True])
def test_a_forward_that_was_interrupted_is_not_counted(compiled: bool) -> None:
    model = mlp()
    model[4] = Failing()
    handle = attached(model, layers=["1", "3"])
    run = torch.compile(model, backend="eager") if compiled else model
    model[4].fails = KeyboardInterrupt
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            run(batch())
    model[4].fails = None
    assert train(run, handle) == PENALTY


def test_a_module_that_calls_itself_is_not_taken_for_interrupted() -> None:
    class Recursive(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.body = nn.Sequential(nn.Linear(8, 8), nn.Tanh())

        def forward(self, x: Tensor, depth: int = 2) -> Tensor:
            z = self.body(x)
            return self(z, depth - 1) if depth else z

    model = Recursive()
    handle = attached(model, layers=["body"])
    model(batch())
    z, parts = batch(), []
    handle_value = handle.penalty().item()
    handle.remove()
    for _ in range(3):
        z = model.body(z)
        parts.append((variance_penalty(z) + covariance_penalty(z)).item())
    assert handle_value == pytest.approx(sum(parts), rel=1e-5)


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf:UserWarning")
def test_a_compiled_forward_that_failed_between_two_graphs_is_not_counted() -> None:
    class Broken(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net, self.fails = mlp(), True

        def forward(self, x: Tensor) -> Tensor:
            z = self.net[:4](x)
            torch._dynamo.graph_break()
            if self.fails:
                raise ValueError("a batch that does not fit")
            return self.net[4](z)

    model = Broken()
    handle = attached(model, layers=["net.1", "net.3"])
    run = torch.compile(model, backend="eager")
    with pytest.raises(ValueError, match="does not fit"):
        run(batch())
    model.fails = False
    assert train(run, handle) == PENALTY


def test_a_forward_that_fails_beside_one_that_did_not_takes_nothing_from_it() -> None:
    model = mlp()
    model[4] = Failing()
    handle = attached(model, layers=["1", "3"])
    model(batch())
    model[4].fails = MemoryError
    with pytest.raises(MemoryError):
        model(batch())
    assert handle.penalty().item() == PENALTY


def test_the_step_after_a_failed_one_draws_the_samples_that_it_would_have_drawn() -> None:
    found = []
    for fails in (False, True):
        model = mlp()
        model[4] = Failing()
        handle = attached(model, layers=["1", "3"], max_samples=9)
        if fails:
            model[4].fails = MemoryError
            with pytest.raises(MemoryError):
                model(batch())
            model[4].fails = None
        found.append(train(model, handle))
    assert found[0] == found[1]


def test_attaching_twice_is_refused() -> None:
    model = mlp()
    handle = attached(model)
    with pytest.raises(ConfigError, match=r"attached to layer '1' already: call .remove\(\)"):
        attached(model)
    assert train(model, handle) == PENALTY


def test_layers_of_their_own_may_be_attached_apart() -> None:
    model = mlp()
    handles = attached(model, layers=["1"]), attached(model, layers=["3"])
    model(batch())
    assert sum(handle.penalty().item() for handle in handles) == PENALTY


@pytest.mark.parametrize("held", [True, False])
def test_attaching_in_place_of_the_first(held: bool) -> None:
    model = mlp()
    first = attached(model)
    if not held:
        del first
    second = attached(model, replace=True)
    assert train(model, second) == PENALTY
    if held:
        assert first.penalty().item() == 0.0


def test_attaching_again_after_remove() -> None:
    model = mlp()
    attached(model).remove()
    assert train(model, attached(model)) == PENALTY


# -------------------------------------------------------------------------- the table


def test_a_handle_prints_as_a_table_of_its_layers() -> None:
    model = nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.Flatten(), nn.Linear(24, 5), nn.ReLU())
    handle = attached(model, layers=["1", "4"], layer_factors={"4": (0.0, 2.0)})
    head, *rows = str(handle).splitlines()
    assert head.split("  ")[0] == "layer"
    assert "known after an uncompiled forward" in rows[0]
    model(torch.randn(4, 3, 4, 4))
    first, second = str(handle).splitlines()[1:]
    assert first.split() == [
        "1",
        "ReLU",
        *["a", "place", "(axes", "0,", "2,", "3)"],
        "6",
        "1,",
        "1",
        "(exact)",
    ]
    assert second.split() == [
        "4",
        "ReLU",
        *["an", "image", "(a", "row)"],
        "5",
        "0,",
        "2",
        "(exact)",
    ]
