"""Digits and Fashion-MNIST: what is there, where it is looked for, what is said when it is not."""

from __future__ import annotations

import gzip
import hashlib
import struct
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
import torch
from torchvision.datasets import FashionMNIST

from vcr_core.datasets import DATASETS, dataset_info, fashion_files, find_data, load
from vcr_core.errors import ConfigError, DataError

IMAGES = {"train": 40, "t10k": 20}


def write_fashion(folder: Path, *, pack: bool = True) -> None:
    """Four small files in the format of Fashion-MNIST; garment number n % 10."""
    folder.mkdir(parents=True, exist_ok=True)
    for part, count in IMAGES.items():
        pixels = np.random.default_rng(count).integers(0, 256, (count, 28, 28), dtype=np.uint8)
        garments = (np.arange(count) % 10).astype(np.uint8)
        files = {
            f"{part}-images-idx3-ubyte": struct.pack(">iiii", 2051, count, 28, 28)
            + pixels.tobytes(),
            f"{part}-labels-idx1-ubyte": struct.pack(">ii", 2049, count) + garments.tobytes(),
        }
        for name, content in files.items():
            path = folder / (f"{name}.gz" if pack else name)
            path.write_bytes(gzip.compress(content) if pack else content)


def test_digits_are_split_without_overlap_and_labelled_three_ways() -> None:
    digits = load("digits", cache_folder="unused")
    assert digits.train.images.shape == (1297, 1, 8, 8)
    assert digits.test.images.shape == (500, 1, 8, 8)
    digit = digits.train.labels["digit"]
    assert torch.equal(digits.train.labels["parity"], digit % 2)
    assert torch.equal(digits.train.labels["high"], (digit >= 5).long())
    train = {row.numpy().tobytes() for row in digits.train.images}
    assert not train & {row.numpy().tobytes() for row in digits.test.images}


def test_asking_for_more_images_than_there_are_names_the_field() -> None:
    with pytest.raises(ConfigError, match=r"data\.train_size: expected between 1 and 1297 images"):
        load("digits", train_size=5000, cache_folder="unused")


def test_an_unknown_data_set_lists_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=f"expected one of {', '.join(DATASETS)}, got 'cats'"):
        dataset_info("cats")


@pytest.mark.parametrize("pack", [True, False])
def test_fashion_mnist_is_read_from_a_folder_of_ones_own(tmp_path: Path, pack: bool) -> None:
    write_fashion(tmp_path, pack=pack)
    data = load("fashion-mnist", folder=tmp_path, train_size=30, cache_folder=tmp_path / "cache")
    assert data.train.images.shape == (30, 1, 28, 28)
    assert data.test.images.shape == (20, 1, 28, 28)
    labels = data.test.labels
    names = [data.class_names["garment"][index] for index in labels["garment"]]
    shoes = torch.tensor([name in {"Sandal", "Sneaker", "Ankle boot"} for name in names])
    assert torch.equal(labels["coarse"] == data.class_names["coarse"].index("shoe"), shoes)
    assert not (labels["clothing"].bool() & shoes).any()


def test_fashion_mnist_in_the_cache_is_found(tmp_path: Path) -> None:
    write_fashion(tmp_path / "FashionMNIST" / "raw", pack=False)
    assert len(load("fashion-mnist", cache_folder=tmp_path).train) == 40
    assert find_data(tmp_path)["fashion-mnist"] == str(tmp_path)


def test_a_folder_without_the_files_says_what_was_expected(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="expected the four files of Fashion-MNIST"):
        load("fashion-mnist", folder=tmp_path, cache_folder=tmp_path)


def test_a_broken_file_is_named_as_such(tmp_path: Path) -> None:
    write_fashion(tmp_path)
    (tmp_path / "t10k-images-idx3-ubyte.gz").write_bytes(b"not gzip")
    with pytest.raises(DataError, match="one is broken"):
        load("fashion-mnist", folder=tmp_path, cache_folder=tmp_path)


@pytest.fixture
def nowhere_on_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As on a machine without the system's package."""
    monkeypatch.setattr(fashion_files, "SYSTEM_FOLDER", tmp_path / "no-package")


@pytest.mark.usefixtures("nowhere_on_this_machine")
def test_fashion_mnist_is_downloaded_once_and_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Torchvision's own download, from a mirror on this machine that holds small files."""
    served, cache = tmp_path / "served", tmp_path / "cache"
    write_fashion(served)
    handler = partial(SimpleHTTPRequestHandler, directory=str(served))
    checksums = [
        (path.name, hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest())
        for path in sorted(served.iterdir())
    ]
    monkeypatch.setattr(FashionMNIST, "resources", checksums)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setattr(FashionMNIST, "mirrors", [f"http://127.0.0.1:{server.server_port}/"])
        assert len(load("fashion-mnist", seed=1, cache_folder=cache).train) == 40
        server.shutdown()
    assert len(load("fashion-mnist", seed=2, cache_folder=cache).train) == 40


@pytest.mark.usefixtures("nowhere_on_this_machine")
def test_a_download_that_fails_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FashionMNIST, "mirrors", ["http://127.0.0.1:9/"])
    with pytest.raises(DataError, match="connect to the internet, or put its four files"):
        load("fashion-mnist", cache_folder=tmp_path)
    assert "downloaded" in find_data(tmp_path)["fashion-mnist"]
