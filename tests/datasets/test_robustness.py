"""Every small data set's test images, noisy, blurred, shifted: what stays and what changes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor
from torchvision_files import WRITERS

from vcr_core.datasets import DATASETS, load, transfer_tasks
from vcr_core.datasets.corruption_names import CORRUPTIONS, FOR_POINTS
from vcr_core.datasets.fashion_files import SYSTEM_FOLDER
from vcr_core.errors import ConfigError

SMALL = [info for info in DATASETS.values() if not info.resized and info.name != "folder"]


@pytest.mark.parametrize("info", SMALL, ids=lambda info: info.name)
def test_every_corruption_of_a_small_test_set_changes_its_images_and_nothing_else(
    info: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = DATASETS[info.name]  # type: ignore[attr-defined]
    if entry.name in WRITERS:
        WRITERS[entry.name][0](tmp_path / entry.name, monkeypatch)
    if entry.name == "fashion-mnist" and not SYSTEM_FOLDER.is_dir():
        pytest.skip("needs Debian's package dataset-fashion-mnist")
    some = {"train_size": 60, "test_size": 60} if entry.name not in WRITERS else {}
    data = load(entry.name, cache_folder=tmp_path, **some)  # type: ignore[arg-type]
    factor = entry.default_source
    kinds = FOR_POINTS if entry.image_shape[1:] == (1, 1) else tuple(CORRUPTIONS)
    names = [f"{factor}@{name}-3" for name in kinds]
    clean, *corrupted = transfer_tasks(data, (factor, *names))
    assert isinstance(clean.test_images, Tensor)
    for task in corrupted:
        assert isinstance(task.test_images, Tensor)
        assert task.test_images.shape == clean.test_images.shape
        assert torch.equal(task.test_labels, clean.test_labels)
        assert task.train_images is clean.train_images
        around = (1, -1, *[1] * (task.test_images.ndim - 2))
        pixels = task.test_images * data.std.view(around) + data.mean.view(around)
        assert pixels.isfinite().all()
        assert (task.test_images - clean.test_images).abs().mean() > 1e-3, task.name


def test_points_are_moved_where_they_are_and_not_into_a_square() -> None:
    """Noise keeps the moons' spread, a shift moves each equally far."""
    moons = load("two-moons", cache_folder="unused")
    clean, noisy, shifted = transfer_tasks(moons, ("moon", "moon@noise-2", "moon@shift-5"))
    points, std = clean.test_images, moons.std.view(1, -1, 1, 1)
    assert isinstance(points, Tensor)
    noise = (noisy.test_images - points) * std
    assert abs(float(noise.mean())) < 0.05
    span = float((points * std).max() - (points * std).min())
    assert float(noise.std()) == pytest.approx(0.08 * 2 * span, rel=0.2)
    moved = ((shifted.test_images - points) * std).flatten(1).norm(dim=1)
    assert moved.std() < 1e-4
    assert float(moved.mean()) == pytest.approx(0.25 * 2 * span, rel=0.01)


def test_what_points_cannot_suffer_is_refused() -> None:
    moons = load("two-moons", cache_folder="unused")
    with pytest.raises(ConfigError, match=r"transfer\.targets: expected a corruption of points"):
        transfer_tasks(moons, ("moon@blur-2",))
