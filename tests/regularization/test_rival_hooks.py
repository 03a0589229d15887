"""Rivals on other people's networks: checkpoints, tuples, copies, failed forwards, lost sums."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from vcr_core.errors import ConfigError, FeatureError, LayerNotMeasuredError, PenaltyNotAddedError
from vcr_core.regularization.rivals import (
    RIVALS,
    AttachedRival,
    attach_rival,
    spectral_decoupling,
    weak_sigreg,
)

ON_FEATURES = ("decov", "weak-sigreg", "vicreg")
WITH_HOOKS = (*ON_FEATURES, "spectral-decoupling", "dropout")
SUMMED = (*ON_FEATURES, "spectral-decoupling")


class Network(nn.Module):
    block_names = ("first", "second")

    def __init__(self, *, reentrant: bool | None = None) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Sequential(nn.Linear(8, 16), nn.ReLU(inplace=True))
        self.second = nn.Sequential(nn.Linear(16, 16), nn.Tanh())
        self.head = nn.Linear(16, 3)
        self.reentrant = reentrant

    def blocks(self, x: Tensor) -> Tensor:
        return self.second(self.first(x))

    def forward(self, x: Tensor) -> Tensor:
        if self.reentrant is None:
            return self.head(self.blocks(x))
        return self.head(checkpoint(self.blocks, x, use_reentrant=self.reentrant))


def batch() -> Tensor:
    return torch.randn(32, 8, generator=torch.Generator().manual_seed(1))


def attached(name: str, model: nn.Module, **options: object) -> AttachedRival:
    rival = attach_rival(name, model, strength=0.3, **options)  # type: ignore[arg-type]
    rival.begin_step(3)
    return rival


def gradient(model: nn.Module, rival: AttachedRival) -> Tensor:
    model.zero_grad()
    torch.manual_seed(5)
    (model(batch()).square().mean() + rival.penalty()).backward()
    return torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])


@pytest.mark.parametrize("name", list(RIVALS))
def test_checkpointing_changes_no_gradient(name: str) -> None:
    plain, again = Network(), Network(reentrant=False)
    one, other = attached(name, plain), attached(name, again)
    for _ in range(2):
        assert torch.equal(gradient(plain, one), gradient(again, other))


@pytest.mark.parametrize("name", ON_FEATURES)
def test_reentrant_checkpointing_which_hides_the_penalty_is_an_error(name: str) -> None:
    model = Network(reentrant=True)
    rival = attached(name, model)
    loss = model(batch().requires_grad_()).sum() + rival.penalty()
    with pytest.raises(LayerNotMeasuredError, match=r"'first'.* ran under.*use_reentrant=False"):
        loss.backward()


def test_dropout_is_the_same_under_reentrant_checkpointing() -> None:
    found = []
    for reentrant in (None, True):
        model, x = Network(reentrant=reentrant), batch().requires_grad_()
        attached("dropout", model)
        torch.manual_seed(5)
        model(x).square().mean().backward()
        found.append(model.first[0].weight.grad)
    assert torch.equal(found[0], found[1])


@pytest.mark.parametrize("name", list(RIVALS))
@pytest.mark.parametrize(
    "copied", [copy.deepcopy, lambda pair: pickle.loads(pickle.dumps(pair))], ids=["copy", "pickle"]
)
def test_a_model_copied_with_its_rival_is_regularised_alike(
    name: str, copied: Callable[[object], tuple[AttachedRival, nn.Module]]
) -> None:
    model = Network()
    rival = attached(name, model)
    model(batch())  # something is pending, which is not copied
    twin, other = copied((rival, model))
    rival.discard()
    for each in (rival, twin):
        each.begin_step(7)
    assert torch.equal(gradient(model, rival), gradient(other, twin))
    twin.remove()
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in other.modules())
    assert copy.copy(rival) is rival


@pytest.mark.parametrize("name", list(RIVALS))
def test_a_model_copied_alone_is_not_regularised(name: str) -> None:
    model = Network()
    rival = attached(name, model)
    bare = attach_rival("none", Network(), strength=0)
    expected = gradient(bare._model, bare)
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert torch.equal(gradient(twin, bare), expected)
    if name in SUMMED:
        with pytest.raises(LayerNotMeasuredError, match="another copy of the model trains"):
            rival.penalty()
    if name in WITH_HOOKS:
        attach_rival(name, copy.deepcopy(model), strength=0.1)


@pytest.mark.parametrize("name", WITH_HOOKS)
def test_the_same_rival_twice_is_refused_and_another_is_not(name: str) -> None:
    model = Network()
    first = attached(name, model)
    with pytest.raises(ConfigError, match=f"'{name}' is already attached to"):
        attached(name, model)
    attached("decov" if name != "decov" else "vicreg", model)
    first.remove()
    attached(name, model)


@pytest.mark.parametrize("name", WITH_HOOKS)
def test_a_forward_that_failed_counts_for_nothing(name: str) -> None:
    plain, model = Network(), Network()
    expected = gradient(plain, attached(name, plain))
    rival = attached(name, model)
    head, model.head = model.head, nn.Linear(9, 3)
    with pytest.raises(RuntimeError, match="shapes"):
        model(batch())
    model.head = head
    assert torch.equal(gradient(model, rival), expected)


@pytest.mark.parametrize("name", SUMMED)
@pytest.mark.parametrize("stepped", [True, False])
def test_a_forgotten_penalty_is_an_error(name: str, stepped: bool) -> None:
    model = Network()
    rival = attached(name, model)
    for _ in range(1 if stepped else 64):
        out = model(batch())
    if stepped:
        out.sum().backward()
    with pytest.raises(PenaltyNotAddedError, match=f"'{name}' at the previous training forward"):
        model(batch())
    gradient(model, rival)
    model(batch()).sum().backward()
    rival.discard()
    gradient(model, rival)


@pytest.mark.parametrize("name", [*ON_FEATURES, "dropout"])
def test_the_first_of_several_outputs_is_regularised(name: str) -> None:
    model = nn.ModuleDict({"rnn": nn.LSTM(6, 5)})
    rival = attached(name, model, layers=["rnn"])
    out, (hidden, _) = model["rnn"](torch.randn(7, 3, 6))
    assert (out.shape, hidden.shape) == ((7, 3, 5), (1, 3, 5))
    if name == "dropout":
        assert (out == 0).any()
    else:
        assert rival.penalty() > 0


class Named(nn.Module):
    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {"logits": x}


@pytest.mark.parametrize("name", WITH_HOOKS)
def test_an_output_without_features_is_refused_by_name(name: str) -> None:
    model = nn.Sequential(nn.Linear(8, 8), Named())
    attached(name, model, layers=["1"])
    with pytest.raises(FeatureError, match=r"(layer '1'|the model): expected a tensor.*got dict"):
        model(batch())


def test_so_are_features_of_one_sample_and_logits_that_are_none() -> None:
    model = nn.Sequential(nn.Linear(8, 8), nn.Tanh())
    attached("decov", model, layers=["1"])
    with pytest.raises(FeatureError, match="layer '1': expected at least 2 samples"):
        model(batch()[:1])
    model = nn.Sequential(nn.Linear(8, 8), nn.Unflatten(1, (2, 2, 2, 1, 1)))
    attached("spectral-decoupling", model)
    with pytest.raises(FeatureError, match=r"the model: expected logits of shape \(N, K\)"):
        model(batch())


def test_logits_of_every_location_count_alike() -> None:
    maps = torch.randn(4, 6, 3, 2, requires_grad=True)
    model = nn.Sequential(nn.Identity())
    rival = attached("spectral-decoupling", model)
    model(maps)
    expected = 0.3 * spectral_decoupling(maps.movedim(1, -1).flatten(0, 2))
    assert rival.penalty().item() == pytest.approx(expected.item())


@pytest.mark.parametrize("name", [*SUMMED, "weight-decay"])
def test_values_are_float32_in_half_precision(name: str) -> None:
    model = Network().bfloat16()
    rival = attached(name, model)
    with torch.autocast("cpu", torch.bfloat16):
        model(batch().bfloat16())
        value = rival.penalty()
    assert value.dtype == torch.float32
    assert value > 0


@pytest.mark.parametrize("name", SUMMED)
def test_frozen_layers_are_left_alone_beside_others(name: str) -> None:
    model = Network()
    model.first.requires_grad_(False)
    assert gradient(model, attached(name, model)).isfinite().all()


@pytest.mark.parametrize("name", SUMMED)
def test_a_rival_that_can_change_nothing_may_be_looked_at_and_not_trained_on(name: str) -> None:
    model = Network()
    (model if name == "spectral-decoupling" else model.first).requires_grad_(False)
    rival = attached(name, model, layers=["first"])
    model(batch())
    penalty = rival.penalty()
    assert penalty.item() == 0.0
    with pytest.raises(LayerNotMeasuredError, match="nothing at or below its layers trains"):
        penalty.backward()


@pytest.mark.parametrize("name", SUMMED)
def test_training_a_rival_in_eval_is_an_error(name: str) -> None:
    model = Network()
    rival = attached(name, model)
    model.eval()
    with pytest.raises(LayerNotMeasuredError, match=r"eval\(\): call model.train\(\)"):
        gradient(model, rival)
    rival.remove()
    assert torch.isfinite(gradient(model, attached(name, model, missing="ignore"))).all()


@pytest.mark.parametrize("name", ON_FEATURES)
def test_a_layer_put_in_the_place_of_a_rivals_is_missed(name: str) -> None:
    model = Network()
    rival = attached(name, model)
    model.second = nn.Sequential(nn.Linear(16, 16), nn.Tanh())
    with pytest.raises(LayerNotMeasuredError, match="put in its place"):
        gradient(model, rival)
    rival.remove()
    allowed = attached(name, model, sometimes=["second"])
    assert torch.isfinite(gradient(model, allowed)).all()


@pytest.mark.parametrize("name", SUMMED)
def test_a_rivals_penalty_that_was_looked_at_without_gradients_still_trains(name: str) -> None:
    found = []
    for looks in (False, True):
        model = Network()
        rival = attached(name, model)
        task = model(batch()).square().mean()
        if looks:
            with torch.no_grad():
                rival.penalty()
        (task + rival.penalty()).backward()
        found.append(torch.cat([p.grad.flatten() for p in model.parameters()]))
    assert torch.equal(*found)


@pytest.mark.parametrize("name", SUMMED)
def test_a_rivals_forward_that_was_interrupted_counts_for_nothing(name: str) -> None:
    whole, interrupted = Network(), Network()
    one, other = attached(name, whole), attached(name, interrupted)
    stop = interrupted.head.register_forward_pre_hook(interrupt)
    with pytest.raises(KeyboardInterrupt):
        interrupted(batch())
    stop.remove()
    assert torch.equal(gradient(interrupted, other), gradient(whole, one))


def interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def test_no_rival_counts_a_forward_without_gradient() -> None:
    model = Network()
    rival = attached("decov", model)
    with torch.no_grad():
        model(batch())
    model.eval()
    model(batch())
    assert rival.penalty() == 0


@pytest.mark.parametrize("seed", [2**64 - 1, np.int64(4)])
def test_sketches_follow_seed_and_step(seed: int) -> None:
    def sketch(step: int) -> Tensor:
        rival = attach_rival("weak-sigreg", Network(), strength=1, seed=seed)
        rival.begin_step(step)
        return rival._directions(torch.zeros(2, 16))

    assert torch.equal(sketch(10**12), sketch(10**12))
    assert not torch.equal(sketch(10**12), sketch(1))


def test_a_bad_seed_is_refused() -> None:
    with pytest.raises(ConfigError, match="seed: expected a whole number"):
        attach_rival("weak-sigreg", Network(), strength=1, seed=-1)


def test_weak_sigreg_pulls_as_hard_as_the_norm_itself_at_the_strength_that_is_said() -> None:
    z = (2 * torch.randn(60, 12, generator=torch.Generator().manual_seed(0))).requires_grad_()
    directions = torch.linalg.qr(torch.randn(12, 8, generator=torch.Generator().manual_seed(1)))[0]
    ours = torch.autograd.grad(weak_sigreg(z, directions), z)[0]
    norm = torch.linalg.matrix_norm((z @ directions).T.cov() - torch.eye(8))
    theirs = torch.autograd.grad(norm, z)[0]
    torch.testing.assert_close(ours, 2 * norm.item() / 8**2 * theirs)
