"""``attach``: the right layers, the right penalty, and nothing left behind."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from vcr_core.errors import ConfigError, FeatureError, LayerNotFoundError
from vcr_core.regularization import VCRLayer, attach, covariance_penalty, variance_penalty


def mlp(inplace: bool = False) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(8, 16),
        nn.ReLU(inplace),
        nn.Linear(16, 12),
        nn.ReLU(inplace),
        nn.Linear(12, 3),
    )


def batch() -> Tensor:
    return torch.randn(32, 8, generator=torch.Generator().manual_seed(1))


def gradients(model: nn.Module) -> list[Tensor]:
    return [p.grad.clone() for p in model.parameters() if p.grad is not None]


def expected_gradients(model: nn.Sequential, x: Tensor, alpha: float, beta: float) -> list[Tensor]:
    """Autograd through the plain formulas at the two activations."""
    model.zero_grad()
    first = model[1](model[0](x))
    second = model[3](model[2](first))
    penalty = sum(
        alpha * variance_penalty(z) + beta * covariance_penalty(z) for z in (first, second)
    )
    (model[4](second).square().mean() + penalty).backward()
    found = gradients(model)
    model.zero_grad()
    return found


def test_training_with_the_handle_has_autograds_gradient() -> None:
    model, x = mlp(), batch()
    expected = expected_gradients(model, x, 0.5, 2.0)
    handle = attach(model, variance_weight=0.5, covariance_weight=2.0)
    (model(x).square().mean() + handle.penalty()).backward()
    torch.testing.assert_close(gradients(model), expected, rtol=1e-5, atol=1e-7)


def test_a_sequential_has_its_activations_as_blocks() -> None:
    assert attach(mlp(), variance_weight=1, covariance_weight=1).layer_names == ("1", "3")


def test_last_means_the_last_block() -> None:
    handle = attach(mlp(), variance_weight=1, covariance_weight=1, layers="last")
    assert handle.layer_names == ("3",)


def test_a_model_names_its_own_blocks() -> None:
    model = mlp()
    model.block_names = ("0", "2")  # type: ignore[assignment]
    assert attach(model, variance_weight=1, covariance_weight=1).layer_names == ("0", "2")


@pytest.mark.parametrize(
    ("name", "blocks", "first", "last"),
    [
        ("resnet18", 8, "layer1.0", "layer4.1"),
        ("resnet50", 16, "layer1.0", "layer4.2"),
        ("convnext_tiny", 18, "features.1.0", "features.7.2"),
        ("vit_b_32", 12, "encoder.layers.encoder_layer_0", "encoder.layers.encoder_layer_11"),
    ],
)
def test_blocks_of_torchvision_models_are_known(
    name: str, blocks: int, first: str, last: str
) -> None:
    from torchvision.models import get_model

    with torch.device("meta"):
        model = get_model(name)
    names = attach(model, variance_weight=1, covariance_weight=1).layer_names
    assert (len(names), names[0], names[-1]) == (blocks, first, last)


def test_patterns_choose_layers_in_the_order_of_the_model() -> None:
    handle = attach(mlp(), variance_weight=1, covariance_weight=1, layers=["[34]", "0"])
    assert handle.layer_names == ("0", "3", "4")


def test_an_unknown_layer_is_answered_with_the_names_there_are() -> None:
    with pytest.raises(LayerNotFoundError, match=r"called 'layer9': its layers are 0, 1, 2, 3, 4"):
        attach(mlp(), variance_weight=1, covariance_weight=1, layers=["layer9"])


def test_a_model_without_known_blocks_is_answered_with_candidates() -> None:
    with pytest.raises(LayerNotFoundError, match=r"pass layers=\[\.\.\.\].*its layers are"):
        attach(nn.LSTM(4, 4), variance_weight=1, covariance_weight=1)


def test_at_weights_zero_training_is_bit_identical_to_not_attached() -> None:
    model, x = mlp(), batch()
    model(x).square().mean().backward()
    bare = gradients(model)
    model.zero_grad()
    handle = attach(model, variance_weight=0, covariance_weight=0)
    handle.record = True
    loss = model(x).square().mean() + handle.penalty()
    loss.backward()
    assert handle.penalty().item() == 0.0
    for one, other in zip(gradients(model), bare, strict=True):
        assert torch.equal(one, other)


def test_layer_at_weights_zero_returns_its_very_input() -> None:
    z = torch.randn(4, 3, requires_grad=True)
    assert VCRLayer(0, 0)(z) is z


@pytest.mark.parametrize("quiet", ["eval", "no_grad"])
def test_nothing_happens_in_eval_and_under_no_grad(quiet: str) -> None:
    model, x = mlp(), batch()
    handle = attach(model, variance_weight=1, covariance_weight=1)
    layer, z = VCRLayer(1, 1), torch.randn(4, 3, requires_grad=True)
    if quiet == "eval":
        model.eval()
        layer.eval()
        model(x)
        assert layer(z) is z
    else:
        with torch.no_grad():
            model(x)
            assert layer(z) is z
    assert handle.penalty().item() == 0.0
    assert handle.terms() == {}


def test_the_forward_is_bit_identical() -> None:
    model, x = mlp(), batch()
    bare = model(x)
    attach(model, variance_weight=1, covariance_weight=1)
    assert torch.equal(model(x), bare)


def test_weights_change_from_the_next_forward_on() -> None:
    model, x = mlp(), batch()
    handle = attach(model, variance_weight=1.0, covariance_weight=1.0)
    model(x)
    before = handle.penalty().item()
    handle.set_weights(2.0, 2.0)
    model(x)
    assert handle.penalty().item() == pytest.approx(2 * before, rel=1e-6)
    handle.set_weights(0, 0)
    model(x)
    assert handle.penalty().item() == 0.0


def test_weights_changed_between_forward_and_backward_do_not_touch_that_step() -> None:
    model, x = mlp(), batch()
    expected = expected_gradients(model, x, 0.5, 2.0)
    handle = attach(model, variance_weight=0.5, covariance_weight=2.0)
    loss = model(x).square().mean() + handle.penalty()
    handle.set_weights(9.0, 9.0, target_std=3.0)
    loss.backward()
    torch.testing.assert_close(gradients(model), expected, rtol=1e-5, atol=1e-7)


def test_one_layer_can_have_weights_of_its_own() -> None:
    model, x = mlp(), batch()
    handle = attach(model, variance_weight=1.0, covariance_weight=1.0)
    handle.set_weights(0, 0, layer="1")
    model(x)
    terms = handle.terms()
    assert set(terms) == {"3"}
    assert handle.penalty().item() == pytest.approx(
        (terms["3"].variance + terms["3"].covariance).item(), rel=1e-6
    )


def test_terms_are_unweighted_and_detached() -> None:
    model, x = mlp(), batch()
    handle = attach(model, variance_weight=5.0, covariance_weight=7.0)
    model(x)
    terms = handle.terms()["1"]
    first = model[1](model[0](x))
    assert terms.variance.item() == pytest.approx(variance_penalty(first).item(), rel=1e-5)
    assert terms.covariance.item() == pytest.approx(covariance_penalty(first).item(), rel=1e-4)
    assert not terms.variance.requires_grad


def test_terms_can_be_read_before_the_penalty_is_asked_for() -> None:
    model, x = mlp(), batch()
    handle = attach(model, variance_weight=1, covariance_weight=1)
    model(x)
    early = handle.terms()
    assert early
    handle.penalty()
    assert early == handle.terms()


@pytest.mark.parametrize("weight", [0.0, 1.0])
def test_moments_are_those_of_the_features_with_and_without_weights(weight: float) -> None:
    model, x = mlp(), batch()
    handle = attach(model, variance_weight=weight, covariance_weight=weight)
    handle.record = True
    model(x)
    first = model[1](model[0](x)).detach()
    moments = handle.moments()["1"]
    assert moments.count == 32
    torch.testing.assert_close(moments.mean, first.mean(0), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(moments.covariance, first.T.cov(), rtol=1e-4, atol=1e-6)
    assert set(handle.terms()) == {"1", "3"}


def test_nothing_quadratic_is_kept_when_not_recording() -> None:
    model, x = mlp(), batch()
    handle = attach(model, variance_weight=1, covariance_weight=1)
    model(x)
    assert handle.moments() == {}
    handle.record = True
    model(x)
    assert handle.moments() != {}
    handle.record = False
    assert handle.moments() == {}


def test_remove_leaves_no_trace() -> None:
    model, x = mlp(), batch()
    before = copy.deepcopy(model.__dict__), set(dir(model[1]))
    with attach(model, variance_weight=1, covariance_weight=1) as handle:
        model(x)
    handle.remove()
    assert set(dir(model[1])) == before[1]
    assert all(not module._forward_hooks for module in model.modules())
    assert handle.penalty().item() == 0.0
    assert "vcr" not in str(model.state_dict().keys()).lower()


def test_a_penalty_asked_for_twice_is_the_same_tensor() -> None:
    model, x = mlp(), batch()
    handle = attach(model, variance_weight=1, covariance_weight=1)
    model(x)
    assert handle.penalty() is handle.penalty()


@pytest.mark.parametrize("bad", [-1.0, float("nan"), float("inf"), "much", True])
def test_bad_weights_are_refused_by_name(bad: object) -> None:
    with pytest.raises(ConfigError, match="covariance_weight: expected a"):
        attach(mlp(), variance_weight=1, covariance_weight=bad)  # type: ignore[arg-type]
    handle = attach(mlp(), variance_weight=1, covariance_weight=1)
    with pytest.raises(ConfigError, match="variance_weight: expected a"):
        handle.set_weights(bad)  # type: ignore[arg-type]


def test_a_batch_of_one_is_refused_with_the_name_of_the_layer() -> None:
    model = mlp()
    attach(model, variance_weight=1, covariance_weight=1)
    with pytest.raises(FeatureError, match=r"layer '1': expected at least 2 samples.*drop_last"):
        model(batch()[:1])


def test_set_weights_for_an_unknown_layer_lists_the_attached_ones() -> None:
    handle = attach(mlp(), variance_weight=1, covariance_weight=1)
    with pytest.raises(LayerNotFoundError, match="not attached to 'x': it is attached to 1, 3"):
        handle.set_weights(1.0, layer="x")
