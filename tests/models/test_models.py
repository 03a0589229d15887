"""Networks: named blocks, equal starts for twins, shapes that fit."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import nn
from torch.utils.hooks import RemovableHandle

from vcr_core.errors import ConfigError
from vcr_core.models import MODELS, Model, block_names, build, model_info, registered
from vcr_core.models.base import register
from vcr_core.models.small_resnet import Projection

SHAPES = [(1, 8, 8), (1, 28, 28), (3, 32, 32)]
LARGE = ("resnet34", "resnet50", "convnext-tiny", "vit-b-32")
VIDEO = tuple(name for name, info in MODELS.items() if "images" not in info.takes)
SMALL = tuple(name for name in MODELS if name not in (*LARGE, *VIDEO))
CASES = [*itertools.product(SMALL, SHAPES), *((name, (3, 32, 32)) for name in LARGE)]


@pytest.fixture(scope="module", params=CASES, ids=lambda case: f"{case[0]}-{case[1]}")
def model(request: pytest.FixtureRequest) -> tuple[Model, tuple[int, int, int]]:
    name, shape = request.param
    return build(name, in_shape=shape, num_classes=5, seed=0).train(), shape


def test_every_catalogued_network_can_be_built() -> None:
    assert set(registered()) == set(MODELS)


def test_shapes_are_as_promised(model: tuple[Model, tuple[int, int, int]]) -> None:
    network, shape = model
    images = torch.randn(4, *shape)
    assert network.features(images).shape == (4, network.feature_dim)
    assert network(images).shape == (4, 5)


def test_logits_are_the_head_of_the_features(model: tuple[Model, tuple[int, int, int]]) -> None:
    network, shape = model
    network.eval()
    images = torch.randn(4, *shape)
    torch.testing.assert_close(network(images), network.head(network.features(images)))


def test_every_block_runs_once_and_the_last_gives_the_features(
    model: tuple[Model, tuple[int, int, int]],
) -> None:
    network, shape = model
    network.eval()
    outputs: dict[str, torch.Tensor] = {}
    hooks: list[RemovableHandle] = []

    def keep(name: str) -> None:
        def hook(_: nn.Module, __: object, output: torch.Tensor) -> None:
            assert name not in outputs
            outputs[name] = output

        hooks.append(network.get_submodule(name).register_forward_hook(hook))

    for name in network.block_names:
        keep(name)
    features = network.features(torch.randn(4, *shape))
    for hook in hooks:
        hook.remove()
    assert tuple(outputs) == network.block_names
    torch.testing.assert_close(outputs[network.block_names[-1]], features)


def test_the_catalogue_names_the_blocks_without_building() -> None:
    network = build("mlp", in_shape=(3, 32, 32), num_classes=4, hidden=(20, 10))
    assert network.block_names == block_names("mlp", hidden=(20, 10))


def test_every_block_is_a_module_and_every_module_of_its_kind_a_block(
    model: tuple[Model, tuple[int, int, int]],
) -> None:
    network, _ = model
    kinds = {type(network.get_submodule(name)) for name in network.block_names[:-1]}
    kinds -= {nn.Sequential}
    for kind in kinds:
        found = {name for name, module in network.named_modules() if type(module) is kind}
        assert found == set(network.block_names[:-1])


@pytest.mark.parametrize("name", SMALL)
def test_first_weights_depend_on_the_seed_alone(name: str) -> None:
    def weights(seed: int) -> torch.Tensor:
        network = build(name, in_shape=(1, 8, 8), num_classes=3, seed=seed)
        return torch.cat([value.flatten() for value in network.parameters()])

    torch.manual_seed(5)
    first = weights(0)
    torch.manual_seed(6)
    assert torch.equal(first, weights(0))
    assert not torch.equal(first, weights(1))


@pytest.mark.parametrize("name", SMALL)
def test_building_leaves_the_global_random_state_alone(name: str) -> None:
    before = torch.get_rng_state()
    build(name, in_shape=(1, 8, 8), num_classes=3, seed=9)
    assert torch.equal(before, torch.get_rng_state())


def test_width_and_hidden_sizes_set_the_feature_dimension() -> None:
    assert build("small-resnet", in_shape=(3, 32, 32), num_classes=2, width=8).feature_dim == 32
    assert build("mlp", in_shape=(1, 8, 8), num_classes=2, hidden=(30, 7)).feature_dim == 7


def test_dropout_acts_before_the_classifier_and_in_training_only() -> None:
    network = build("mlp", in_shape=(1, 8, 8), num_classes=2, hidden=(64,), seed=0, dropout=0.5)
    images = torch.randn(3, 1, 8, 8)
    assert torch.equal(network.features(images), network.features(images))
    assert not torch.equal(network(images), network(images))
    network.eval()
    assert torch.equal(network(images), network(images))


def test_resnet18_does_not_shrink_small_images_in_its_stem() -> None:
    small = build("resnet18", in_shape=(3, 32, 32), num_classes=2)
    large = build("resnet18", in_shape=(3, 96, 96), num_classes=2)
    assert small.get_submodule("conv1")(torch.randn(1, 3, 32, 32)).shape[-1] == 32
    assert large.get_submodule("conv1")(torch.randn(1, 3, 96, 96)).shape[-1] == 48


def test_an_unknown_network_lists_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=f"expected one of {', '.join(MODELS)}, got 'vgg'"):
        build("vgg", in_shape=(3, 32, 32), num_classes=2)
    with pytest.raises(ConfigError, match=r"model\.name"):
        model_info("vgg")


def test_a_name_is_registered_once() -> None:
    def mlp() -> Model:
        raise NotImplementedError

    with pytest.raises(ValueError, match="'mlp' is registered already"):
        register(mlp)


@pytest.mark.parametrize("channels", [3, 8])
def test_a_projection_is_the_strided_convolution_however_narrow(channels: int) -> None:
    projection = Projection(channels, 16, stride=2)
    plain = nn.Conv2d(channels, 16, 1, 2, bias=False)
    plain.load_state_dict(projection.state_dict())
    x = torch.randn(5, channels, 7, 7)
    for module, layout in (
        (projection, torch.channels_last),
        (plain, torch.contiguous_format),
    ):
        module(x.contiguous(memory_format=layout)).square().sum().backward()
    assert projection.weight.grad is not None
    torch.testing.assert_close(projection(x), plain(x))
    torch.testing.assert_close(projection.weight.grad, plain.weight.grad)


def test_a_narrow_network_trains_in_channels_last_order() -> None:
    model = build("small-resnet", in_shape=(3, 32, 32), num_classes=4, seed=0, width=4).train()
    for _ in range(5):
        model(torch.randn(26, 3, 32, 32)).square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
