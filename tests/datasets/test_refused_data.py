"""What cannot be trained on is said in one line, and leaves nothing behind."""

from __future__ import annotations

import tarfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
from PIL import Image
from torchvision import datasets as sets
from torchvision_files import md5
from typer.testing import CliRunner

from vcr_core.cli import app
from vcr_core.datasets import load
from vcr_core.datasets.downloads import download_whole
from vcr_core.datasets.fashion_files import FILES
from vcr_core.errors import DataError, VcrLabError

LETTERS = {"data.dataset": "folder", "data.source": "class", "data.image_size": "8"}


def pictures(root: Path, counts: dict[str, int]) -> Path:
    root, draws = root / "images", np.random.default_rng(0)
    for name, count in counts.items():
        (root / name).mkdir(parents=True)
        for number in range(count):
            side = 8 + number % 5  # unequal sizes are scaled to one
            pixels = draws.integers(0, 256, (side, side + 3, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / name / f"{number}.png")
    return root


def refused(settings: dict[str, str]) -> str:
    """What the command line says; it is the program's own error, in one line."""
    options = [part for name, value in settings.items() for part in ("--set", f"{name}={value}")]
    done = CliRunner().invoke(app, ["run", "digits-parity", *options])
    assert isinstance(done.exception, VcrLabError), done.output
    assert "\n" not in str(done.exception)
    return str(done.exception)


def run_on(folder: Path, **changes: str) -> str:
    settings = LETTERS | {"data.folder": str(folder), "transfer.targets": "class"}
    return refused(settings | {"training.batch_size": "8"} | changes)


def test_a_folder_of_one_class(tmp_path: Path) -> None:
    assert "data.folder: expected at least 2 sub-folders" in run_on(pictures(tmp_path, {"cat": 20}))


def test_a_class_without_a_readable_image(tmp_path: Path) -> None:
    folder = pictures(tmp_path, {"cat": 20, "dog": 20})
    (folder / "dog" / "3.png").write_bytes(b"no picture")
    assert "3.png" in run_on(folder)


def test_classes_that_are_missing_from_the_training_images(tmp_path: Path) -> None:
    folder = pictures(tmp_path, {"a": 200, "b": 200, "c": 5})
    said = run_on(folder, **{"data.train_size": "10", "seed": "3"})
    assert "data.train_size: expected training images of every class" in said
    assert "'c'" in said


def test_two_classes_of_which_one_is_drawn(tmp_path: Path) -> None:
    folder = pictures(tmp_path, {"a": 400, "b": 5})
    said = run_on(folder, **{"data.train_size": "10", "seed": "1"})
    assert "expected at least two classes of 'class' among the 10 training images" in said


def test_images_of_unequal_sizes_are_made_equal(tmp_path: Path) -> None:
    found = load("folder", folder=pictures(tmp_path, {"a": 10, "b": 10}), image_size=12)
    assert found.train.images.shape == (16, 3, 12, 12)


def test_more_images_than_there_are(tmp_path: Path) -> None:
    folder = pictures(tmp_path, {"a": 20, "b": 20})
    assert "data.train_size" in run_on(folder, **{"data.train_size": "900"})


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder, and the address that it is served at on this machine."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    handler = partial(Silent, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield folder, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


class Silent(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.mark.parametrize("damage", ["not an archive", "cut short"])
def test_a_corrupt_archive_is_thrown_away_with_all_that_came_of_it(
    damage: str, served: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Torchvision fetches it, finds it wrong, and nothing of it stays in the cache."""
    folder, address = served
    archive = folder / "cifar-10-python.tar.gz"
    if damage == "cut short":
        with tarfile.open(archive, "w:gz") as packed:
            packed.add(__file__, arcname="cifar-10-batches-py/data_batch_1")
        archive.write_bytes(archive.read_bytes()[:-40])
        monkeypatch.setattr(sets.CIFAR10, "tgz_md5", md5(archive))
    else:
        archive.write_bytes(b"<html>try again later</html>")
    monkeypatch.setattr(sets.CIFAR10, "url", f"{address}/{archive.name}")
    cache = tmp_path / "cache"
    with pytest.raises(DataError, match=r"download CIFAR-10 \(170 MB\).*which failed"):
        load("cifar10", cache_folder=cache)
    assert not list(cache.iterdir())


def test_a_corrupt_file_of_fashion_mnist_leaves_nothing_and_half_a_folder_is_said(
    served: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, address = served
    for name in FILES:
        (folder / f"{name}.gz").write_bytes(b"<html>try again later</html>")
    monkeypatch.setattr(sets.FashionMNIST, "mirrors", [f"{address}/"])
    monkeypatch.setattr("vcr_core.datasets.fashion_files.SYSTEM_FOLDER", tmp_path / "nothing")
    cache = tmp_path / "cache"
    with pytest.raises(DataError, match=r"download Fashion-MNIST \(30 MB\).*which failed"):
        load("fashion-mnist", cache_folder=cache)
    assert not list(cache.iterdir())
    raw = cache / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    (raw / FILES[0]).write_bytes(b"half")
    with pytest.raises(DataError, match="files are missing: remove that folder"):
        load("fashion-mnist", cache_folder=cache)


def test_of_processes_that_want_the_same_set_one_downloads_and_the_others_wait(
    tmp_path: Path,
) -> None:
    root, begun = tmp_path / "cache" / "set", []
    left = root.with_name("set.partial")  # of a process that was killed
    (left / "old").mkdir(parents=True)

    def fetch(place: Path) -> None:
        begun.append(place)
        assert not list(place.iterdir())
        time.sleep(0.1)
        (place / "images").write_bytes(b"whole")

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda _: download_whole(root, fetch), range(4)))
    assert len(begun) == 1
    assert [path.name for path in root.parent.iterdir()] == ["set"]
    assert (root / "images").read_bytes() == b"whole"


def test_a_download_that_is_cut_off_leaves_nothing(tmp_path: Path) -> None:
    root = tmp_path / "cache" / "set"

    def fetch(place: Path) -> None:
        (place / "half").write_bytes(b"half")
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space"):
        download_whole(root, fetch)
    assert not list(root.parent.iterdir())


def test_nothing_is_kept_of_a_run_that_could_not_begin(tmp_path: Path, lab_home: Path) -> None:
    run_on(pictures(tmp_path, {"cat": 20}))
    listed = CliRunner().invoke(app, ["ls", "--state", "running", "--json"])
    assert listed.stdout.strip() == "[]"
    assert not list(lab_home.rglob("*.safetensors"))
