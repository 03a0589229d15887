"""Every data set of torchvision: small files in its format, read through torchvision's classes."""

from __future__ import annotations

import bz2
from pathlib import Path

import pytest
import torch
from torchvision import datasets as sets
from torchvision.datasets import imagenet as archives
from torchvision_files import WRITERS, cifar10, imagenet, imagenet_archives, mnist, picture

from vcr_core.datasets import DATASETS, load, streaming, transfer_tasks
from vcr_core.datasets.known_sets import CIFAR10_KIND, CIFAR100_COARSE, CIFAR100_NAMES, KNOWN_SETS
from vcr_core.datasets.readers import READERS
from vcr_core.datasets.streaming import StreamedImages
from vcr_core.errors import DataError


def test_every_catalogued_set_has_a_reader_and_a_test() -> None:
    assert {info.name for info in KNOWN_SETS} == set(READERS) == set(WRITERS)


@pytest.mark.parametrize("name", list(WRITERS))
def test_a_set_is_read_with_every_factor_that_the_catalogue_promises(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, train_size, test_size = WRITERS[name]
    write(tmp_path / name, monkeypatch)
    data, info = load(name, cache_folder=tmp_path, image_size=24), DATASETS[name]
    shape = (3, 24, 24) if info.resized else info.image_shape
    assert data.train.images.shape == (train_size, *shape)
    assert data.test.images.shape == (test_size, *shape)
    assert set(data.class_names) == set(info.factors) == set(data.train.labels)
    for factor, names in info.factors.items():
        labels = torch.cat([data.train.labels[factor], data.test.labels[factor]])
        assert len(labels) == train_size + test_size
        assert labels.max() < len(data.class_names[factor])
        assert not names or data.class_names[factor] == names
    assert isinstance(data.train.images, torch.Tensor)
    assert data.train.images.mean().abs() < 0.05


@pytest.mark.parametrize("info", DATASETS.values(), ids=lambda info: info.name)
def test_every_entry_states_licence_size_classes_and_source(info: object) -> None:
    entry = DATASETS[info.name]  # type: ignore[attr-defined]
    assert entry.licence
    assert entry.source
    assert entry.default_source in entry.factors
    if entry.name != "folder":
        assert entry.train_size > 0
        assert entry.test_size > 0
        assert all(entry.num_classes(factor) > 1 for factor in entry.factors)
    assert (entry.megabytes > 0) == (entry.name in {"fashion-mnist", "hmdb51", *READERS})


def test_cifar100s_superclasses_hold_five_classes_each() -> None:
    assert len(CIFAR100_NAMES) == len(set(CIFAR100_NAMES)) == 100
    assert [len(members) for members in CIFAR100_COARSE.values()] == [5] * 20


def test_coarser_labels_follow_from_the_finer_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cifar10(tmp_path / "cifar10", monkeypatch)
    data = load("cifar10", cache_folder=tmp_path)
    for fine, kind in zip(
        data.test.labels["object"].tolist(), data.test.labels["kind"].tolist(), strict=True
    ):
        name, group = data.class_names["object"][fine], data.class_names["kind"][kind]
        assert name in CIFAR10_KIND[group]


def test_iNaturalists_held_out_images_are_a_tenth_of_every_species(  # noqa: N802
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    WRITERS["inaturalist"][0](tmp_path / "inaturalist", monkeypatch)
    data = load("inaturalist", cache_folder=tmp_path, image_size=8)
    assert torch.bincount(data.test.labels["species"]).tolist() == [2, 2, 2]
    assert torch.bincount(data.train.labels["group"]).tolist() == [36, 18]


def test_imagenets_archives_are_unpacked_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "imagenet"
    imagenet_archives(root, monkeypatch)
    unpack, before = archives.extract_archive, sorted(root.iterdir())

    def cut_off(source: str, *where: object, **how: object) -> None:
        if source.endswith("n02.tar"):
            raise OSError("no space left")
        unpack(source, *where, **how)

    with monkeypatch.context() as patched:
        patched.setattr(archives, "extract_archive", cut_off)
        with pytest.raises(DataError, match=r"ImageNet-1k .* broken \(no space left\)"):
            load("imagenet", cache_folder=tmp_path, image_size=8)
    assert sorted(root.iterdir()) == before
    data = load("imagenet", cache_folder=tmp_path, image_size=8)
    assert data.class_names["class"] == ("n01", "n02")
    assert data.train.labels["class"].tolist() == [0, 0, 1, 1]
    assert data.test.labels["class"].tolist() == [0, 0, 1, 1]


def test_usps_is_read_as_grey_levels_with_the_digits_that_its_lines_name(tmp_path: Path) -> None:
    (tmp_path / "usps").mkdir()
    for name, digits in (("usps.bz2", (3, 0)), ("usps.t.bz2", (9,))):
        levels = " ".join(f"{place}:{-1 if place <= 16 else 1}" for place in range(1, 257))
        lines = "".join(f"{digit + 1} {levels} \n" for digit in digits)
        (tmp_path / "usps" / name).write_bytes(bz2.compress(lines.encode()))
    data = load("usps", cache_folder=tmp_path)
    assert data.train.labels["digit"].tolist() == [3, 0]
    assert data.train.labels["parity"].tolist() == [1, 0]
    assert data.test.labels["high"].tolist() == [1]
    drawn = data.as_pixels(data.test.images)[0, 0]
    assert drawn[0].unique().tolist() == [0]
    assert drawn[1:].unique().tolist() == [255]


def test_digits_of_the_mail_are_a_target_for_those_of_mnist(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("mnist", "usps"):
        WRITERS[name][0](tmp_path / name, monkeypatch)
    (task,) = transfer_tasks(load("mnist", cache_folder=tmp_path), ("usps:digit",))
    assert task.train_images.shape == (40, 1, 28, 28)
    assert task.class_names == DATASETS["mnist"].factors["digit"]


@pytest.fixture
def nothing_can_be_downloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sets.MNIST, "mirrors", ["http://127.0.0.1:9/"])


@pytest.mark.usefixtures("nothing_can_be_downloaded")
def test_a_download_that_fails_says_what_was_looked_for_where_and_how_to_place_it(
    tmp_path: Path,
) -> None:
    with pytest.raises(DataError) as caught:
        load("mnist", cache_folder=tmp_path)
    message = str(caught.value)
    assert f"download MNIST (12 MB) into '{tmp_path / 'mnist'}', which failed" in message
    assert "place MNIST/raw/train-images-idx3-ubyte and its three fellows" in message
    assert "data.folder" in message
    assert list(tmp_path.iterdir()) in ([], [tmp_path / "vcr-lab-home"])


@pytest.mark.parametrize("name", ["imagenet", "places365", "inaturalist", "cars"])
def test_what_is_not_downloaded_unasked_says_how_to_place_it(name: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=rf"it is not there; .*place .* in '{tmp_path / name}'"):
        load(name, cache_folder=tmp_path)
    assert not (tmp_path / name).exists()


def test_an_own_folder_without_the_files_names_the_field(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"data\.folder: expected cifar-10-batches-py"):
        load("cifar10", folder=tmp_path / "nothing", cache_folder=tmp_path)


# torchvision's pets leave a file open where decoding it fails
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("damage", ["truncated", "missing"])
@pytest.mark.parametrize("name", list(WRITERS))
def test_broken_or_missing_files_are_said_as_such(
    name: str, damage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / name
    WRITERS[name][0](root, monkeypatch)
    files = sorted(path for path in root.rglob("*") if path.is_file())
    largest = max(files, key=lambda path: path.stat().st_size)
    if damage == "truncated":
        largest.write_bytes(largest.read_bytes()[: largest.stat().st_size // 3])
    else:
        for path in files:
            if path.suffix.lower() not in {".jpg", ".jpeg"} or path == largest:
                path.unlink()
    if name in {"inaturalist", "imagenet"} and damage == "missing":
        return  # folders of images: one fewer is no damage
    with pytest.raises(DataError, match=r"place|remove"):
        load(name, cache_folder=tmp_path, image_size=24)


def stream(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "TENSOR_BYTES", 0)
    monkeypatch.setattr("vcr_core.datasets.torchvision_sets.TENSOR_BYTES", 0)


def test_a_large_set_streams_the_same_images_as_its_tensor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    imagenet(tmp_path / "imagenet", monkeypatch)
    whole = load("imagenet", cache_folder=tmp_path, image_size=16).train.images
    stream(monkeypatch)
    images = load("imagenet", cache_folder=tmp_path, image_size=17).train.images
    assert isinstance(images, StreamedImages)
    images = load("imagenet", cache_folder=tmp_path, image_size=16, seed=1).train.images
    assert isinstance(whole, torch.Tensor)
    assert isinstance(images, StreamedImages)
    assert images.shape == whole.shape
    rows = torch.tensor([5, 0, 11])
    torch.testing.assert_close(images[rows], whole[rows])
    torch.testing.assert_close(torch.cat(list(images.parts(7))), whole)
    torch.testing.assert_close(images.take(rows)[torch.tensor([2])], whole[11:12])


def test_a_picture_that_does_not_decode_is_said_while_streaming(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    imagenet(tmp_path / "imagenet", monkeypatch)
    for path in (tmp_path / "imagenet" / "train").rglob("*"):
        if path.is_file():
            path.write_bytes(b"no picture")
    for workers in (0, 1):  # an error of a worker process would come with its traceback
        with pytest.raises(DataError) as caught:
            load("imagenet", cache_folder=tmp_path, image_size=16, workers=workers)
        assert str(caught.value).startswith("expected an image that can be decoded, number 0 of")
        assert "Traceback" not in str(caught.value)


def test_a_set_on_disk_can_be_a_transfer_target(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mnist(tmp_path / "mnist", monkeypatch)
    digits = load("digits", cache_folder=tmp_path)
    (task,) = transfer_tasks(digits, ("mnist:digit",))
    assert task.train_images.shape == (40, 1, 8, 8)


def test_pictures_of_many_sizes_are_scaled_and_cut_to_one(tmp_path: Path) -> None:
    for split in ("train", "val"):
        for number, name in enumerate(("a", "b")):
            for image, size in enumerate([(90, 20), (20, 90), (16, 16)]):
                picture(tmp_path / "imagenet" / split / name / f"{number}{image}.png", size=size)
    data = load("imagenet", cache_folder=tmp_path, image_size=32)
    assert data.train.images.shape == (6, 3, 32, 32)
