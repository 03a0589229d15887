"""Networks for clips: torchvision's numbers and weights, blocks with places in time."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torchvision.models import video as torchvision_video

from vcr_core.config import RunConfig, override
from vcr_core.errors import ConfigError
from vcr_core.models import MODELS, build
from vcr_core.regularization import attach, covariance_penalty, variance_penalty

CLIP = (3, 8, 32, 32)
VIDEO = tuple(name for name, info in MODELS.items() if "clips" in info.takes and name != "mlp")
OF_TORCHVISION = {
    "r3d-18": torchvision_video.r3d_18,
    "mc3-18": torchvision_video.mc3_18,
    "r2plus1d-18": torchvision_video.r2plus1d_18,
    "s3d": torchvision_video.s3d,
    "swin3d-t": torchvision_video.swin3d_t,
}


def test_there_are_five_backbones_and_a_small_one() -> None:
    assert set(VIDEO) == {*OF_TORCHVISION, "video-small"}


@pytest.mark.parametrize("name", VIDEO)
def test_every_block_runs_once_with_channels_in_dimension_1(name: str) -> None:
    network = build(name, in_shape=(1, 8, 24, 24), num_classes=5, seed=0).eval()
    outputs: dict[str, Tensor] = {}

    def keep(block: str) -> None:
        def hook(_: nn.Module, __: object, output: Tensor) -> None:
            assert block not in outputs
            outputs[block] = output

        network.get_submodule(block).register_forward_hook(hook)

    for block in network.block_names:
        keep(block)
    clips = torch.randn(2, 1, 8, 24, 24)
    with torch.no_grad():
        features = network.features(clips)
        assert network.head(features).shape == (2, 5)
    assert tuple(outputs) == network.block_names
    torch.testing.assert_close(outputs[network.block_names[-1]], features)
    maps = [outputs[block] for block in network.block_names[:-1]]
    assert all(each.ndim == 5 for each in maps)
    widths = [each.shape[1] for each in maps]
    assert widths == sorted(widths)  # channels grow; frames and pixels do not
    assert features.shape == (2, network.feature_dim)


@pytest.mark.parametrize("name", OF_TORCHVISION)
def test_torchvisions_weights_fit_and_give_torchvisions_logits(name: str, tmp_path: Path) -> None:
    """With 400 classes of our own put in place of torchvision's, where clips are large enough."""
    torch.manual_seed(0)
    reference = OF_TORCHVISION[name]().eval()
    torch.save(reference.state_dict(), tmp_path / "kinetics.pth")
    network = build(
        name, in_shape=CLIP, num_classes=400, seed=1, pretrained=tmp_path / "kinetics.pth"
    ).eval()
    classifier = {"s3d": "classifier.1", "swin3d-t": "head"}.get(name, "fc")
    last = reference.get_submodule(classifier)
    weight = last.weight.flatten(1)  # of S3D a convolution of one place
    size = (1, 3, 16, 224, 224) if name == "s3d" else (2, *CLIP)
    clips = torch.randn(size, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        ours = network.features(clips) @ weight.T + last.bias
        torch.testing.assert_close(ours, reference(clips), rtol=1e-3, atol=1e-4)


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    torch.save(torchvision_video.mc3_18().state_dict(), tmp_path / "mc3.pth")
    with pytest.raises(ConfigError, match=r"model\.pretrained"):
        build("r3d-18", in_shape=CLIP, num_classes=3, pretrained=tmp_path / "mc3.pth")


@pytest.mark.parametrize("layers", [["pool"], ["blocks.0", "blocks.2"]])
def test_vcr_on_a_video_network_has_autograds_gradient(layers: list[str]) -> None:
    """Every place and time is a sample; the oracle is autograd on the reshaped features."""
    clips = torch.randn(4, 1, 8, 12, 12, generator=torch.Generator().manual_seed(0)).double()
    ours, plain = (
        build("video-small", in_shape=(1, 8, 12, 12), num_classes=3, seed=0, width=4).double()
        for _ in range(2)
    )
    handle = attach(ours, variance_weight=0.7, covariance_weight=2.5, layers=layers)
    (ours(clips).square().mean() + handle.penalty()).backward()
    seen: list[Tensor] = []
    for layer in layers:
        plain.get_submodule(layer).register_forward_hook(lambda _, __, out: seen.append(out))
    loss = plain(clips).square().mean()
    for z in seen:
        rows = z if z.ndim == 2 else z.permute(0, 2, 3, 4, 1).reshape(-1, z.shape[1])
        loss = loss + 0.7 * variance_penalty(rows) + 2.5 * covariance_penalty(rows)
    loss.backward()
    for ours_p, plain_p in zip(ours.parameters(), plain.parameters(), strict=True):
        assert ours_p.grad is not None
        torch.testing.assert_close(ours_p.grad, plain_p.grad, rtol=1e-6, atol=1e-12)


def test_a_small_video_network_is_small() -> None:
    network = build("video-small", in_shape=(1, 8, 24, 24), num_classes=6)
    assert sum(parameter.numel() for parameter in network.parameters()) < 300_000


@pytest.mark.parametrize(
    ("name", "shape", "said"),
    [
        ("small-resnet", CLIP, "expected images for 'small-resnet', got clips"),
        ("video-small", (3, 32, 32), "expected clips for 'video-small', got images"),
        ("timm:resnet10t", CLIP, "expected images for 'timm:resnet10t', got clips"),
    ],
)
def test_networks_of_images_and_of_clips_are_told_apart(
    name: str, shape: tuple[int, ...], said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        build(name, in_shape=shape, num_classes=2)


CLIPS = {"data.dataset": "moving-shapes", "data.source": "motion", "model.name": "video-small"}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"model.name": "small-resnet"}, r"model\.name: .*takes clips \(mlp, video-small, r3d-18"),
        ({"model.whitening": True}, r"model\.whitening: expected no whitening.*for clips"),
        ({"augmentation.policy": "trivial"}, r"augmentation\.policy: expected the policy 'none'"),
        (
            {"transfer.targets": ("digits:digit",)},
            r"transfer\.targets: expected targets of clips.*'digits:digit', which is of images",
        ),
        ({"data.frames": 1}, r"data\.frames: expected"),
        ({"data.split": 4}, r"data\.split: expected"),
    ],
)
def test_what_does_not_go_with_clips_is_said_in_one_line(
    changes: dict[str, object], said: str
) -> None:
    config = override(RunConfig(), CLIPS)
    with pytest.raises(ConfigError, match=said) as caught:
        override(config, changes)
    assert "\n" not in str(caught.value)


def test_a_perceptron_takes_clips_too_and_a_network_of_clips_no_images() -> None:
    assert override(RunConfig(), CLIPS | {"model.name": "mlp"}).model.name == "mlp"
    with pytest.raises(ConfigError, match="expected a network that takes images"):
        override(RunConfig(), {"model.name": "r3d-18"})
