"""Other norms, weights from a file, networks of timm."""

from __future__ import annotations

import pickle
import sys
from pathlib import Path

import pytest
import torch
import torchvision
from safetensors.torch import save_file
from torch import nn

from vcr_core.errors import ConfigError
from vcr_core.models import Model, block_names, build, model_info
from vcr_core.models.timm_models import TimmModel
from vcr_core.regularization import attach

NORMS = (nn.BatchNorm2d, nn.BatchNorm1d, nn.LayerNorm)
SMALL = ("mlp", "small-resnet", "small-convnext", "small-vit")


def small(name: str, norm: str) -> Model:
    return build(
        name, in_shape=(3, 16, 16), num_classes=3, seed=0, width=8, hidden=(16, 8), norm=norm
    )


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize(
    ("norm", "kinds"),
    [("batch", (nn.BatchNorm2d, nn.BatchNorm1d)), ("layer", (nn.LayerNorm,)), ("none", ())],
)
def test_a_small_network_has_the_norms_asked_for_and_no_others(
    name: str, norm: str, kinds: tuple[type[nn.Module], ...]
) -> None:
    network = small(name, norm)
    found = [module for module in network.modules() if isinstance(module, NORMS)]
    assert all(isinstance(module, kinds) for module in found)
    assert bool(found) == (norm != "none")
    out = network(torch.randn(4, 3, 16, 16))
    out.sum().backward()
    assert torch.isfinite(out).all()


@pytest.mark.parametrize("name", SMALL)
def test_with_batch_norm_an_image_feels_its_batch_and_otherwise_not(name: str) -> None:
    images = torch.randn(6, 3, 16, 16)
    for norm in ("batch", "layer", "none"):
        network = small(name, norm).train()
        alone, together = network(images[:3])[0], network(images)[0]
        assert torch.allclose(alone, together, atol=1e-4) == (norm != "batch"), norm


@pytest.mark.parametrize(
    ("name", "reference"),
    [("resnet18", torchvision.models.resnet18), ("vit-b-32", torchvision.models.vit_b_32)],
)
def test_torchvisions_weights_give_torchvisions_features(
    tmp_path: Path, name: str, reference: object
) -> None:
    theirs = reference(weights=None, num_classes=7).eval()  # type: ignore[operator]
    path = tmp_path / "weights.safetensors"
    save_file({key: value.contiguous() for key, value in theirs.state_dict().items()}, path)
    ours = build(name, in_shape=(3, 224, 224), num_classes=5, seed=0, pretrained=path).eval()
    images = torch.randn(1, 3, 224, 224)
    setattr(theirs, "fc" if name == "resnet18" else "heads", nn.Identity())
    with torch.no_grad():
        torch.testing.assert_close(ours.features(images), theirs(images), atol=1e-4, rtol=1e-4)


def test_convnexts_weights_fit_under_torchvisions_names(tmp_path: Path) -> None:
    theirs = torchvision.models.convnext_tiny(num_classes=4)
    path = tmp_path / "weights.pt"
    torch.save({"model": theirs.state_dict()}, path)
    ours = build("convnext-tiny", in_shape=(3, 96, 96), num_classes=5, seed=0, pretrained=path)
    torch.testing.assert_close(
        ours.state_dict()["network.features.7.2.layer_scale"],
        theirs.state_dict()["features.7.2.layer_scale"],
    )


def test_our_own_weights_come_back_and_the_classifier_starts_anew(tmp_path: Path) -> None:
    first = build("mlp", in_shape=(1, 8, 8), num_classes=4, seed=1, hidden=(16, 8))
    path = tmp_path / "weights.pt"
    torch.save({"state_dict": {f"module.{k}": v for k, v in first.state_dict().items()}}, path)
    options = {"in_shape": (1, 8, 8), "num_classes": 9, "seed": 2, "hidden": (16, 8)}
    second = build("mlp", pretrained=path, **options)  # type: ignore[arg-type]
    images = torch.randn(3, 1, 8, 8)
    torch.testing.assert_close(first.features(images), second.features(images))
    fresh = build("mlp", **options)  # type: ignore[arg-type]
    assert torch.equal(second.head[1].weight, fresh.head[1].weight)  # type: ignore[index]


class Malicious:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (exec, ("raise SystemExit('a file was executed')",))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "is none"),
        (b"garbage", "cannot be read"),
        (pickle.dumps(Malicious(), protocol=2), "cannot be read"),
        ({"a": 1}, "first 'blocks.0.0.bias'"),
        ({"other.weight": torch.zeros(2)}, "it holds other.weight"),
    ],
)
def test_files_that_hold_no_such_weights_are_refused_and_never_executed(
    tmp_path: Path, content: object, message: str
) -> None:
    path = tmp_path / "weights.pt"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        torch.save(content, path)
    with pytest.raises(ConfigError, match=rf"model\.pretrained: expected .*{message}"):
        build("mlp", in_shape=(1, 8, 8), num_classes=2, hidden=(16, 8), pretrained=path)


def test_weights_of_another_shape_name_the_first(tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    torch.save(torchvision.models.resnet18().state_dict(), path)
    with pytest.raises(
        ConfigError, match=r"'conv1.weight' of shape \(64, 3, 3, 3\), got \(64, 3, 7"
    ):
        build("resnet18", in_shape=(3, 32, 32), num_classes=2, pretrained=path)


@pytest.mark.parametrize(
    ("name", "shape"), [("timm:resnet10t", (3, 64, 64)), ("timm:vit_tiny_patch16_224", (3, 32, 32))]
)
def test_a_network_of_timm_has_named_blocks_and_features(
    name: str, shape: tuple[int, int, int]
) -> None:
    pytest.importorskip("timm")
    network = build(name, in_shape=shape, num_classes=3, seed=0)
    assert network.block_names == block_names(name) == (*(f"taps.{n}" for n in range(4)), "pool")
    images = torch.randn(4, *shape)
    assert network.features(images).shape == (4, network.feature_dim)
    assert network(images).shape == (4, 3)
    handle = attach(network, variance_weight=1.0, covariance_weight=1.0)
    network(images)
    handle.penalty().backward()  # type: ignore[no-untyped-call]
    assert handle.layer_names == network.block_names


def test_maps_with_channels_last_are_measured_by_channel() -> None:
    pytest.importorskip("timm")
    name = "timm:swin_tiny_patch4_window7_224"
    network = TimmModel(name, (3, 224, 224), 2, dropout=0.0).train()
    handle = attach(network, variance_weight=1.0, covariance_weight=1.0, layers=["taps.0"])
    handle.record = True
    network(torch.randn(1, 3, 224, 224))
    handle.penalty()
    assert handle.moments()["taps.0"].covariance.shape == (96, 96)


def test_an_unknown_network_of_timm_names_near_ones_and_a_missing_timm_the_extra(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("timm")
    with pytest.raises(ConfigError, match=r"model\.name: .*resnet18.*got 'resnett18'"):
        build("timm:resnett18", in_shape=(3, 32, 32), num_classes=2)
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(ConfigError, match=r"pip install 'vcr-lab\[timm\]'"):
        build("timm:resnet18", in_shape=(3, 32, 32), num_classes=2)
    with pytest.raises(ConfigError, match=r"timm:NAME takes any network of timm"):
        model_info("timm:")


@pytest.mark.parametrize(
    ("shape", "message"),
    [((3, 32, 24), r"expected square images"), ((3, 100, 100), r"choose data.image_size=96")],
)
def test_images_that_a_transformer_cannot_take_are_refused(
    shape: tuple[int, int, int], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        build("small-vit", in_shape=shape, num_classes=2)
