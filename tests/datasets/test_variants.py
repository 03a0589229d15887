"""Long tails, class limits, superclasses, corruptions, two moons, labels that cannot be learned."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import timm
import torch
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from torch import Tensor

from vcr_core.config import RunConfig, override
from vcr_core.datasets import Dataset, load, transfer_tasks
from vcr_core.datasets.corruption_names import CORRUPTIONS, SEVERITIES
from vcr_core.datasets.corruptions import corrupt
from vcr_core.datasets.hierarchy import read_hierarchy
from vcr_core.datasets.loading import with_class_limit
from vcr_core.datasets.long_tail import long_tailed_rows
from vcr_core.datasets.split import check_classes
from vcr_core.errors import ConfigError, DataError
from vcr_core.training.experiment import prepare


def draws(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_a_long_tail_falls_exponentially_from_the_largest_to_the_smallest_class() -> None:
    labels = torch.arange(10).repeat(5000)
    rows = long_tailed_rows(labels, imbalance=100, seed=0)
    counts = torch.bincount(labels[rows])
    assert counts.tolist() == [5000, 2997, 1796, 1077, 645, 387, 232, 139, 83, 50]  # CIFAR10-LT
    assert len(torch.unique(rows)) == len(rows)


def test_a_long_tail_thins_training_images_only_and_probes_learn_from_all() -> None:
    whole = load("digits", cache_folder="unused")
    tail = load("digits", cache_folder="unused", source="digit", imbalance=10)
    counts = torch.bincount(tail.train.labels["digit"])
    assert counts[0] / counts[9] == pytest.approx(10, abs=1)
    assert tail.test is whole.test
    assert len(tail.probe) == len(whole.train)


def test_an_imbalance_below_one_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"data\.imbalance: expected 1 or more"):
        load("digits", cache_folder="unused", source="digit", imbalance=0.5)
    with pytest.raises(ConfigError, match=r"data\.imbalance: expected 1 or more"):
        override(RunConfig(), {"data.imbalance": 0.5})


def test_a_class_limit_keeps_equally_few_training_images_and_probes_learn_from_all() -> None:
    whole = load("digits", cache_folder="unused", seed=4)
    few, fewer = (
        load("digits", cache_folder="unused", seed=4, source="digit", class_limit=limit)
        for limit in (20, 5)
    )
    assert torch.bincount(few.train.labels["digit"]).tolist() == [20] * 10
    assert few.test is whole.test
    assert few.probe is whole.probe
    kept = {image.numpy().tobytes() for image in few.train.images}
    assert {image.numpy().tobytes() for image in fewer.train.images} < kept
    assert kept < {image.numpy().tobytes() for image in whole.train.images}


def test_images_that_a_class_limit_keeps_stay_with_their_labels_and_are_drawn_by_the_seed() -> None:
    def images(data: Dataset) -> dict[bytes, int]:
        pixels = data.as_pixels(data.train.images)
        return {
            image.numpy().tobytes(): int(label)
            for image, label in zip(pixels, data.train.labels["digit"], strict=True)
        }

    whole = load("digits", cache_folder="unused")
    first, again = (
        load("digits", cache_folder="unused", source="parity", class_limit=30) for _ in range(2)
    )
    assert torch.equal(first.train.images, again.train.images)
    assert images(first).items() < images(whole).items()
    limited = with_class_limit(replace(first, spec=replace(first.spec, seed=1)), 10)
    assert images(limited) != images(with_class_limit(first, 10))


def test_a_class_that_has_fewer_images_than_the_limit_keeps_them_all() -> None:
    whole = load("digits", cache_folder="unused")
    wide = load("digits", cache_folder="unused", source="digit", class_limit=10_000)
    assert torch.equal(wide.train.images, whole.train.images)


def test_a_long_tail_begins_at_the_class_limit() -> None:
    tail = load("digits", cache_folder="unused", source="digit", class_limit=50, imbalance=5)
    counts = torch.bincount(tail.train.labels["digit"]).tolist()
    assert (counts[0], counts[-1]) == (50, 10)


def test_a_run_can_learn_from_a_few_images_of_each_class() -> None:
    changes = {"data.dataset": "digits", "data.source": "digit", "data.class_limit": "6"}
    config = override(RunConfig(), {**changes, "training.batch_size": 20})
    experiment = prepare(config)
    assert torch.bincount(experiment.train_labels).tolist() == [6] * 10
    assert len(experiment.tasks[0].train_images) == 1297
    experiment.remove()


@pytest.mark.parametrize("limit", [0, -3])
def test_a_class_limit_below_one_is_refused(limit: int) -> None:
    with pytest.raises(ConfigError, match=r"data\.class_limit: expected 1 or more"):
        load("digits", cache_folder="unused", source="digit", class_limit=limit)
    with pytest.raises(ConfigError, match=r"data\.class_limit: expected 1 or more"):
        override(RunConfig(), {"data.class_limit": limit})


def test_a_class_limit_needs_a_task_whose_classes_it_limits() -> None:
    with pytest.raises(ConfigError, match=r"data\.source: expected one of digit, parity, high"):
        load("digits", cache_folder="unused", class_limit=5)


@pytest.fixture
def own_images(tmp_path: Path) -> Path:
    for name in ("cat", "dog", "oak", "pine"):
        for number in range(10):
            path = tmp_path / "own" / name / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (8, 8), (number * 20, len(name) * 30, 9)).save(path)
    return tmp_path / "own"


def test_a_list_of_superclasses_adds_a_factor_and_leaves_out_what_it_does_not_list(
    own_images: Path, tmp_path: Path
) -> None:
    listed = tmp_path / "list.txt"
    listed.write_text("# mine\ncat, animal\n\ndog, animal\noak, plant\n", encoding="utf-8")
    config = override(
        RunConfig(),
        {
            "data.dataset": "folder",
            "data.folder": str(own_images),
            "data.hierarchy": str(listed),
            "data.source": "superclass",
            "data.image_size": 8,
            "training.batch_size": 8,
        },
    )
    assert config.targets == ("class",)
    experiment = prepare(config)
    assert len(experiment.train_labels) == 24
    assert torch.bincount(experiment.train_labels).tolist() == [16, 8]
    (task,) = experiment.tasks
    assert task.name == "class"
    experiment.remove()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "is neither"),
        ("cat animal", "expected 'class, superclass' in line 1"),
        ("cat, animal\ncat, plant", "'cat' twice"),
        ("cat, animal\ndog, animal", "at least two superclasses .* got 1"),
        ("cat, animal\nrose, plant", "the list has 'rose'"),
    ],
)
def test_a_list_that_cannot_be_used_says_why(
    own_images: Path, tmp_path: Path, content: str | None, message: str
) -> None:
    listed = tmp_path / "list.txt"
    if content is not None:
        listed.write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=rf"data\.hierarchy: .*{message}"):
        load("folder", folder=own_images, image_size=8, hierarchy=listed)


def test_the_list_for_imagenet_names_four_of_its_classes_for_each_of_17_kinds() -> None:
    found = read_hierarchy("living-17")
    assert set(Counter(found.values()).values()) == {4}
    assert len(set(found.values())) == 17
    assert found["n02123159"] == "domestic cat"  # tiger cat
    assert set(found) <= set(timm.data.ImageNetInfo().label_names())


def test_folders_as_imagenets_learn_their_superclasses(tmp_path: Path) -> None:
    for split in ("train", "val"):
        for wnid in ("n02123159", "n02124075", "n02391049", "n01644373"):
            path = tmp_path / split / wnid / "0.JPEG"
            path.parent.mkdir(parents=True)
            Image.new("RGB", (9, 9), (50, 90, len(wnid))).save(path)
    listed = tmp_path / "list.txt"
    listed.write_text("n02123159, cat\nn02124075, cat\nn02391049, horse\n", encoding="utf-8")
    data = load("imagenet", folder=tmp_path, image_size=8, hierarchy=listed)
    assert data.train.labels["superclass"].tolist() == [0, 0, 1]
    assert data.class_names["superclass"] == ("cat", "horse")


def test_superclass_without_a_list_is_no_factor() -> None:
    changes = {"data.dataset": "imagenet", "data.source": "superclass"}
    with pytest.raises(ConfigError, match=r"data\.source: expected one of class for 'imagenet'"):
        override(RunConfig(), changes)


@pytest.mark.parametrize("name", list(CORRUPTIONS))
def test_a_corruption_grows_with_its_severity_and_repeats_exactly(name: str) -> None:
    across = torch.linspace(0, 1, 32)
    pixels = (
        (across.view(1, 1, 1, 32) * across.view(1, 1, 32, 1)).expand(40, 3, 32, 32).contiguous()
    )
    pixels = (pixels + 0.2 * torch.rand(40, 3, 32, 32, generator=draws())).clamp(0, 1)
    before = pixels.clone()
    far = [
        float((corrupt(pixels, f"{name}-{severity}", draws(1)) - pixels).abs().mean())
        for severity in SEVERITIES
    ]
    assert far == sorted(far)
    assert far[0] > 0
    assert torch.equal(pixels, before)
    again = corrupt(pixels, f"{name}-2", draws(1))
    assert torch.equal(corrupt(pixels, f"{name}-2", draws(1)), again)
    assert again.min() >= 0
    assert again.max() <= 1
    assert torch.equal(corrupt(pixels, name, draws(1)), corrupt(pixels, f"{name}-3", draws(1)))


@pytest.mark.parametrize("shape", [(1, 8, 8), (2, 1, 1), (3, 20, 28)])
@pytest.mark.parametrize("name", list(CORRUPTIONS))
def test_corruptions_keep_shapes(name: str, shape: tuple[int, int, int]) -> None:
    assert corrupt(torch.rand(4, *shape), f"{name}-5", draws()).shape == (4, *shape)


def test_a_corrupted_target_shares_clean_training_images() -> None:
    digits = load("digits", cache_folder="unused")
    clean, noisy, again = transfer_tasks(digits, ("digit", "digit@noise-2", "high@noise-2"))
    assert noisy.train_images is clean.train_images
    assert noisy.test_images is again.test_images
    assert torch.equal(noisy.test_labels, clean.test_labels)
    changed = (noisy.test_images - clean.test_images) * digits.std.view(1, -1, 1, 1)
    assert 0.02 < changed.abs().mean() < 0.1


def test_another_data_sets_images_can_be_corrupted_too() -> None:
    digits = load("digits", cache_folder="unused")
    (task,) = transfer_tasks(digits, ("sprites:shape@contrast",), train_size=30, test_size=20)
    assert task.test_images.shape == (20, 1, 8, 8)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("colour@fog", r"transfer\.targets: expected a corruption of noise, .*got 'fog'"),
        ("colour@noise-9", r"expected a severity from 1 to 5 after 'noise-', got '9'"),
        ("colour@", r"expected a corruption of .*got ''"),
        ("smell@noise", r"expected one of shape, .*got 'smell'"),
    ],
)
def test_corruptions_that_are_not_there_are_refused(target: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        override(RunConfig(), {"transfer.targets": target})


def flat(images: Tensor) -> Tensor:
    return images.flatten(1)


def test_two_moons_need_a_curve_and_with_a_full_shortcut_a_line() -> None:
    moons = load("two-moons", cache_folder="unused")
    train, test = moons.train, moons.test
    assert isinstance(train.images, Tensor)
    assert isinstance(test.images, Tensor)
    line = LogisticRegression().fit(flat(train.images), train.labels["moon"])
    assert 0.7 < line.score(flat(test.images), test.labels["moon"]) < 0.95
    curve = KNeighborsClassifier(5).fit(flat(train.images), train.labels["moon"])
    assert curve.score(flat(test.images), test.labels["moon"]) > 0.98
    apart = load("two-moons", cache_folder="unused", shortcut=1.0)
    assert isinstance(apart.train.images, Tensor)
    line = LogisticRegression().fit(flat(apart.train.images), apart.train.labels["moon"])
    assert line.score(flat(apart.train.images), apart.train.labels["moon"]) > 0.98
    assert apart.probe is not apart.train


def test_classes_that_cannot_be_learned_or_measured_are_said() -> None:
    names = ("a", "b", "c")
    options = {"task": "letter", "field": "data.train_size"}
    one, two = torch.zeros(5, dtype=torch.long), torch.tensor([0, 1, 1])
    with pytest.raises(DataError, match=r"at least two classes of 'letter'.*got 'a' alone"):
        check_classes(one, one, names, **options)
    with pytest.raises(DataError, match=r"training images of every class.*got none of 'c'"):
        check_classes(two, torch.tensor([0, 2]), names, **options)
    with pytest.raises(ConfigError, match=r"labels from 0 to 2 for 'letter', got 7"):
        check_classes(torch.tensor([0, 7]), two[:1], names, **options)
    check_classes(two, two, names, **options)
