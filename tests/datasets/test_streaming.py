"""Training on pictures that stay on disk: read ahead in order, cut at random, shared out."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms import InterpolationMode, RandomResizedCrop
from torchvision.transforms import functional as reference
from torchvision_files import imagenet

from vcr_core.config import RunConfig, override
from vcr_core.datasets import load, streaming
from vcr_core.datasets.batches import batch_indices
from vcr_core.datasets.pictures import RandomPart, ScaledPixels
from vcr_core.datasets.streaming import StreamedImages
from vcr_core.errors import ConfigError
from vcr_core.training.experiment import Experiment, prepare
from vcr_core.training.objectives.views import view_of

BATCH = 4


@pytest.fixture
def streamed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunConfig:
    """A run on 18 pictures on disk; small as they are, they stay there."""
    imagenet(tmp_path / "imagenet", monkeypatch)
    monkeypatch.setattr("vcr_core.datasets.torchvision_sets.TENSOR_BYTES", 0)
    monkeypatch.setattr(streaming, "PIECE", 3)  # a batch is read in two pieces
    return override(
        RunConfig(),
        {
            "data.dataset": "imagenet",
            "data.source": "class",
            "data.folder": str(tmp_path / "imagenet"),
            "data.image_size": 16,
            "data.workers": 0,
            "training.batch_size": BATCH,
            "training.epochs": 2,
            "transfer.targets": "imagenet:class",
            "execution.device": "cpu",
        },
    )


def on_disk(experiment: Experiment) -> StreamedImages:
    assert isinstance(experiment.train_images, StreamedImages)
    return experiment.train_images


def rows_of(config: RunConfig, count: int) -> list[Tensor]:
    """The rows of every step of two epochs and one beyond."""
    return [rows for epoch in range(3) for rows in batch_indices(count, BATCH, epoch, config.seed)]


@pytest.mark.parametrize("workers", [0, 1])
def test_a_run_reads_in_its_own_order_wherever_it_starts_and_beyond_its_end(
    streamed: RunConfig, workers: int
) -> None:
    experiment = prepare(override(streamed, {"data.workers": workers}))
    images = on_disk(experiment)
    steps = rows_of(streamed, len(images))
    assert len(steps) == 12
    for first in (1, 3, 6):
        for step, rows in islice(enumerate(steps, start=1), first - 1, None):
            torch.testing.assert_close(view_of(experiment, rows, step), images[rows])
            torch.testing.assert_close(view_of(experiment, rows, step), images[rows])
    other = torch.tensor([0, 1])
    torch.testing.assert_close(images.at(1, other), images[other])
    experiment.remove()


@pytest.mark.parametrize("objective", ["supervised", "simclr"])
def test_random_parts_are_cut_from_the_whole_pictures_and_repeat_exactly(
    streamed: RunConfig, objective: str
) -> None:
    changes = {
        "augmentation.smallest_crop": 0.3,
        "augmentation.crop_size": 12,
        "objective.name": objective,
        "model.name": "small-resnet",
    }
    config = override(streamed, changes)
    experiment = prepare(config)
    images = on_disk(experiment)
    steps = rows_of(config, len(images))
    found = [view_of(experiment, rows, step) for step, rows in enumerate(steps, start=1)]
    assert found[0].shape == (BATCH, 3, 12, 12)
    part = RandomPart(12, 0.3)
    for step, rows in ((1, steps[0]), (6, steps[5])):
        for place, image in enumerate(rows.tolist()):
            picture = images._pixels.pictures[int(images._rows[image])][0]
            pixels = part(picture, (config.seed, 0, step, 0, place)).float() / 255
            expected = (pixels - images.mean.view(3, 1, 1)) / images.std.view(3, 1, 1)
            torch.testing.assert_close(found[step - 1][place], expected)
    again = prepare(override(config, {"data.workers": 1}))
    torch.testing.assert_close(view_of(again, steps[5], 6), found[5])
    if objective == "simclr":
        other = view_of(again, steps[5], 6, view=1)
        assert not torch.equal(other, found[5])
    loss = experiment.task_loss(steps[0], 1)
    assert loss.isfinite()
    experiment.remove()
    again.remove()


def test_processes_read_their_own_part_of_every_batch_ahead(streamed: RunConfig) -> None:
    experiment = prepare(override(streamed, {"augmentation.smallest_crop": 0.5}))
    images = on_disk(experiment)
    steps = rows_of(streamed, len(images))
    parts = []
    for rank in (0, 1):
        mine = images.shared(lambda rows, rank=rank: rows.chunk(2)[rank], rank)
        for step, rows in enumerate(steps[:3], start=1):
            parts.append(mine.at(step, rows.chunk(2)[rank]))
        assert mine._coming is not None
    assert {len(part) for part in parts} == {BATCH // 2}
    together = images.at(1, steps[0])
    torch.testing.assert_close(parts[0], together[: BATCH // 2])
    assert not torch.equal(parts[3], together[BATCH // 2 :])  # chance of its own
    experiment.remove()


def test_parts_have_torchvisions_sizes_and_places() -> None:
    part, draws = RandomPart(8, 0.08), np.random.default_rng(0)
    ours = torch.tensor([part.box(80, 50, draws) for _ in range(4000)]).double()
    crop = RandomResizedCrop(8, scale=(0.08, 1.0))
    blank = torch.zeros(3, 50, 80)
    theirs = torch.tensor(
        [crop.get_params(blank, (0.08, 1.0), (3 / 4, 4 / 3)) for _ in range(4000)]
    )
    top, left, height, width = theirs.double().T
    both = torch.stack([left, top, left + width, top + height], dim=1)
    torch.testing.assert_close(ours.mean(dim=0), both.mean(dim=0), atol=1.5, rtol=0)
    torch.testing.assert_close(ours.std(dim=0), both.std(dim=0), atol=1.5, rtol=0)
    assert ours.min() >= 0
    assert ours[:, 2].max() <= 80
    assert ours[:, 3].max() <= 50


def test_a_part_is_what_torchvision_cuts_and_scales() -> None:
    draws = np.random.default_rng(1)
    picture = Image.fromarray(draws.integers(0, 256, (40, 60, 3), dtype=np.uint8))
    part = RandomPart(16, 0.2)
    left, top, right, bottom = part.box(60, 40, np.random.default_rng((3, 1)))
    expected = reference.resized_crop(
        picture, top, left, bottom - top, right - left, [16, 16], InterpolationMode.BILINEAR
    )
    assert torch.equal(part(picture, (3, 1)), reference.pil_to_tensor(expected))


def test_a_long_strip_gives_its_middle() -> None:
    box = RandomPart(8, 1.0).box(400, 10, np.random.default_rng(0))
    assert box == (193, 0, 206, 10)


def test_the_middle_is_cut_out_of_the_scaled_picture(tmp_path: Path) -> None:
    pixels = np.zeros((64, 64, 3), dtype=np.uint8)
    pixels[6:58, 6:58] = 255
    picture = Image.fromarray(pixels)
    assert ScaledPixels(24, 32)(picture).min() == 255
    assert ScaledPixels(24)(picture).min() == 0
    for split in ("train", "val"):
        for name in ("a", "b"):
            (tmp_path / split / name).mkdir(parents=True)
            picture.save(tmp_path / split / name / "0.png")
            picture.save(tmp_path / split / name / "1.png")
    data = load("imagenet", folder=tmp_path, image_size=24, resize=32)
    assert data.train.images.std() < 1e-6
    own = load("folder", folder=tmp_path / "train", image_size=24, resize=32)
    assert own.train.images.std() < 1e-6


def test_sizes_that_do_not_go_together_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"data\.resize: expected the image size of 32 pixels"):
        override(RunConfig(), {"data.resize": 24})
    with pytest.raises(ConfigError, match=r"augmentation\.crop_size: expected a smallest crop"):
        override(RunConfig(), {"augmentation.crop_size": 24})
    changes = {"augmentation.smallest_crop": 0.5, "augmentation.crop_size": 24}
    for network in ("small-vit", "mlp"):
        config = override(RunConfig(), changes | {"model.name": network, "data.train_size": 200})
        with pytest.raises(ConfigError, match=r"augmentation\.crop_size: expected a network that"):
            prepare(config)


def test_networks_of_convolutions_learn_from_smaller_crops_than_they_are_measured_on() -> None:
    changes = {
        "augmentation.smallest_crop": 0.5,
        "augmentation.crop_size": 24,
        "data.train_size": 200,
        "data.test_size": 50,
    }
    experiment = prepare(override(RunConfig(), changes))
    assert view_of(experiment, torch.arange(8), 1).shape == (8, 3, 24, 24)
    assert experiment.test_images.shape[-1] == 32
    assert experiment.task_loss(torch.arange(8), 1).isfinite()
    experiment.remove()
