"""Every preset can be made real, and the small ones learn something."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image
from video_files import write_hmdb51

from vcr_core.config import override
from vcr_core.datasets.fashion_files import SYSTEM_FOLDER
from vcr_core.models import build
from vcr_core.presets import MEASURED, PRESETS
from vcr_core.presets.paper import PAPER
from vcr_core.presets.small import SMALL
from vcr_core.store import RunState
from vcr_core.training.experiment import prepare
from vcr_core.training.loop import train

QUICK = {"data.train_size": 400, "data.test_size": 200, "training.epochs": 1}


class Deaf:
    """A channel that hears reports and asks for nothing."""

    def __init__(self) -> None:
        self.losses: list[float] = []

    def __getattr__(self, name: str) -> object:
        return lambda *_, **__: ()

    def report(self, report: object, **_: object) -> None:
        self.losses += [v for k, v in report.metrics.items() if k == "loss/task"]  # type: ignore[attr-defined]


def test_names_and_titles_are_told_apart() -> None:
    assert len({preset.title for preset in PRESETS.values()}) == len(PRESETS)
    assert MEASURED == ("sprites-shape", "digits-parity", "fashion-coarse")
    assert all(preset.large for preset in PAPER)
    assert not any(preset.large for preset in SMALL)


def test_every_experiment_of_the_paper_names_its_small_twin() -> None:
    for preset in PAPER:
        twins = [small for small in SMALL if f"'{small.name}'" in preset.look_for]
        assert [small.name for small in twins] == [preset.twin], preset.name


@pytest.mark.parametrize("preset", PRESETS.values(), ids=lambda preset: preset.name)
def test_highlights_are_targets_and_vcr_is_on(preset: object) -> None:
    chosen = PRESETS[preset.name]  # type: ignore[attr-defined]
    assert set(chosen.highlights) <= set(chosen.config.targets)
    assert chosen.config.regularized


@pytest.mark.parametrize("preset", SMALL, ids=lambda preset: preset.name)
def test_a_small_preset_trains_from_the_first_step_to_the_last_probe(preset: object) -> None:
    chosen = PRESETS[preset.name]  # type: ignore[attr-defined]
    if chosen.config.data.dataset == "fashion-mnist" and not SYSTEM_FOLDER.is_dir():
        pytest.skip("needs Debian's package dataset-fashion-mnist")
    config = override(
        chosen.config,
        QUICK
        | {
            "training.batch_size": 40,
            "transfer.train_size": 300,
            "transfer.test_size": 100,
            "transfer.probes": 1,
            "execution.device": "cpu",
        },
    )
    if config.data.imbalance > 1:
        config = override(config, {"data.train_size": 4000})
    channel = Deaf()
    outcome = train(prepare(config), channel)  # type: ignore[arg-type]
    assert outcome.state is RunState.FINISHED
    assert set(outcome.evaluation.transfer) == set(config.targets)
    assert all(0 <= share <= 1 for share in outcome.evaluation.transfer.values())
    assert torch.tensor(channel.losses).isfinite().all()


def test_table_1_runs_on_folders_of_pictures_as_imagenets(tmp_path: Path) -> None:
    """Its recipe at a size that a test can wait for: the same data path, a small network."""
    draws = torch.Generator().manual_seed(0)
    for split, count in (("train", 12), ("val", 6)):
        for wnid in ("n01", "n02", "n03"):
            folder = tmp_path / split / wnid
            folder.mkdir(parents=True)
            for image in range(count):
                pixels = torch.randint(0, 256, (40, 50, 3), generator=draws, dtype=torch.uint8)
                Image.fromarray(pixels.numpy()).save(folder / f"{image}.JPEG")
    config = override(
        PRESETS["table1-convnext"].config,
        {
            "data.folder": str(tmp_path),
            "data.image_size": 32,
            "data.workers": 0,
            "model.name": "small-convnext",
            "training.epochs": 1,
            "training.batch_size": 12,
            "transfer.targets": "class",
            "execution.device": "cpu",
        },
    )
    outcome = train(prepare(config), Deaf())  # type: ignore[arg-type]
    assert outcome.state is RunState.FINISHED
    assert outcome.step == 3


def test_the_video_table_runs_on_folders_of_videos(tmp_path: Path) -> None:
    """Its recipe at a size that a test can wait for: real videos, weights of a file, VCR last."""
    root = write_hmdb51(tmp_path / "hmdb51")
    first = build("video-small", in_shape=(3, 4, 16, 16), num_classes=51, width=4, seed=5)
    torch.save(first.state_dict(), tmp_path / "kinetics.pth")
    config = override(
        PRESETS["video-hmdb51"].config,
        {
            "data.folder": str(root),
            "data.image_size": 16,
            "data.resize": 18,
            "data.frames": 4,
            "data.workers": 0,
            "model.name": "video-small",
            "model.width": 4,
            "model.pretrained": str(tmp_path / "kinetics.pth"),
            "training.epochs": 1,
            "training.batch_size": 6,
            "training.channels_last": True,
            "training.precision": "float32",
            "objective.mixup": 0.2,
            "objective.cutmix": 1.0,
            "execution.device": "cpu",
        },
    )
    assert config.layer_names == ("pool",)
    experiment = prepare(config)
    stem = experiment.model.get_parameter("stem.0.weight")
    assert torch.equal(stem, first.get_parameter("stem.0.weight"))
    outcome = train(experiment, Deaf())  # type: ignore[arg-type]
    assert outcome.state is RunState.FINISHED
    assert outcome.step == 3
    assert set(outcome.evaluation.transfer) == {"action", "kind"}


def test_two_views_of_a_clip_can_be_learned_from_without_labels() -> None:
    changes = {
        "data.train_size": 80,
        "data.test_size": 40,
        "model.width": 4,
        "training.epochs": 1,
        "training.batch_size": 20,
        "transfer.probes": 1,
        "augmentation.smallest_crop": 0.5,
        "objective.name": "vicreg",
        "objective.projector": (16, 8),
        "execution.device": "cpu",
    }
    channel = Deaf()
    train(prepare(override(PRESETS["video-small"].config, changes)), channel)  # type: ignore[arg-type]
    assert torch.tensor(channel.losses).isfinite().all()


@pytest.mark.parametrize("name", ["resnet50", "convnext-tiny"])
def test_the_full_sizes_are_those_of_the_paper(name: str) -> None:
    millions = {"resnet50": 25.6, "convnext-tiny": 28.6}
    with torch.device("meta"):
        network = build(name, in_shape=(3, 224, 224), num_classes=1000)
    count = sum(parameter.numel() for parameter in network.parameters()) / 1e6
    assert count == pytest.approx(millions[name], abs=0.1)
