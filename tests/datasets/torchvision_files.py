"""Small files in the formats of the real data sets, for torchvision's own classes to read."""

from __future__ import annotations

import bz2
import hashlib
import json
import pickle
import shutil
import struct
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat
from torchvision import datasets as sets
from torchvision.datasets import imagenet as archives

RANDOM = np.random.default_rng(0)


def pixels(*shape: int) -> np.ndarray:
    return RANDOM.integers(0, 256, shape, dtype=np.uint8)


def md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()


def idx_files(folder: Path, names: dict[str, str], counts: dict[str, int], classes: int) -> None:
    folder.mkdir(parents=True)
    for part, count in counts.items():
        labels = (np.arange(count) % classes).astype(np.uint8)
        prefix = names[part]
        (folder / f"{prefix}-images-idx3-ubyte").write_bytes(
            struct.pack(">iiii", 2051, count, 28, 28) + pixels(count, 28, 28).tobytes()
        )
        (folder / f"{prefix}-labels-idx1-ubyte").write_bytes(
            struct.pack(">ii", 2049, count) + labels.tobytes()
        )


def mnist(root: Path, _: pytest.MonkeyPatch) -> None:
    idx_files(root / "MNIST/raw", {"train": "train", "test": "t10k"}, {"train": 40, "test": 20}, 10)


def kmnist(root: Path, _: pytest.MonkeyPatch) -> None:
    idx_files(
        root / "KMNIST/raw", {"train": "train", "test": "t10k"}, {"train": 40, "test": 20}, 10
    )


def emnist(root: Path, _: pytest.MonkeyPatch) -> None:
    names = {part: f"emnist-balanced-{part}" for part in ("train", "test")}
    idx_files(root / "EMNIST/raw", names, {"train": 94, "test": 47}, 47)


def usps(root: Path, _: pytest.MonkeyPatch) -> None:
    root.mkdir(parents=True)
    for name, count in (("usps.bz2", 40), ("usps.t.bz2", 20)):
        rows = []
        for number, image in enumerate(pixels(count, 256) / 127.5 - 1):
            values = " ".join(f"{place}:{value:.6f}" for place, value in enumerate(image, start=1))
            rows.append(f"{number % 10 + 1} {values} \n")  # the files say 1 for 0
        (root / name).write_bytes(bz2.compress("".join(rows).encode()))


def svhn(root: Path, patch: pytest.MonkeyPatch) -> None:
    root.mkdir(parents=True, exist_ok=True)
    entries = {}
    for part, count in (("train", 40), ("test", 20)):
        path = root / f"{part}_32x32.mat"
        labels = np.arange(count).reshape(-1, 1) % 10 + 1  # the files say 10 for 0
        savemat(path, {"X": pixels(32, 32, 3, count), "y": labels})
        entries[part] = [f"http://127.0.0.1:9/{path.name}", path.name, md5(path)]
    patch.setattr(sets.SVHN, "split_list", entries)


def cifar(root: Path, patch: pytest.MonkeyPatch, kind: type[sets.CIFAR10], classes: int) -> None:
    folder = root / kind.base_folder
    folder.mkdir(parents=True)
    fine = kind is sets.CIFAR100
    lists = {}
    for part, names, count in (
        ("train_list", ["train"] if fine else [f"data_batch_{n}" for n in range(1, 6)], 200),
        ("test_list", ["test" if fine else "test_batch"], 100),
    ):
        entries = []
        for name in names:
            key = "fine_labels" if fine else "labels"
            content = {"data": pixels(count, 3072), key: [n % classes for n in range(count)]}
            (folder / name).write_bytes(pickle.dumps(content))
            entries.append([name, md5(folder / name)])
        lists[part] = entries
        patch.setattr(kind, part, entries)
    key = kind.meta["key"]
    meta = folder / kind.meta["filename"]
    meta.write_bytes(pickle.dumps({key: [f"class {n}" for n in range(classes)]}))
    patch.setattr(kind, "meta", {**kind.meta, "md5": md5(meta)})


def cifar10(root: Path, patch: pytest.MonkeyPatch) -> None:
    cifar(root, patch, sets.CIFAR10, 10)


def cifar100(root: Path, patch: pytest.MonkeyPatch) -> None:
    cifar(root, patch, sets.CIFAR100, 100)


def stl10(root: Path, patch: pytest.MonkeyPatch) -> None:
    folder = root / "stl10_binary"
    folder.mkdir(parents=True)
    for part, count in (("train", 20), ("test", 10)):
        (folder / f"{part}_X.bin").write_bytes(pixels(count, 3, 96, 96).tobytes())
        (folder / f"{part}_y.bin").write_bytes(
            (np.arange(count) % 10 + 1).astype(np.uint8).tobytes()
        )
        entries = [[name, md5(folder / name)] for name in (f"{part}_X.bin", f"{part}_y.bin")]
        patch.setattr(sets.STL10, f"{part}_list", entries)
    (folder / "unlabeled_X.bin").write_bytes(b"")
    patch.setattr(
        sets.STL10,
        "train_list",
        [*sets.STL10.train_list, ["unlabeled_X.bin", md5(folder / "unlabeled_X.bin")]],
    )
    (folder / "class_names.txt").write_text("\n".join("abcdefghij"))


def picture(path: Path, size: tuple[int, int] = (50, 40)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels(size[1], size[0], 3)).save(path)


def flowers102(root: Path, patch: pytest.MonkeyPatch) -> None:
    base = root / "flowers-102"
    for number in range(1, 31):
        picture(base / "jpg" / f"image_{number:05d}.jpg")
    savemat(base / "imagelabels.mat", {"labels": [np.arange(30) % 3 + 1]})
    parts = {"trnid": [range(1, 11)], "valid": [range(11, 19)], "tstid": [range(19, 31)]}
    savemat(base / "setid.mat", {name: np.array([*rows]) for name, rows in parts.items()})
    patch.setattr(
        sets.Flowers102,
        "_file_dict",
        {
            "label": ("imagelabels.mat", md5(base / "imagelabels.mat")),
            "setid": ("setid.mat", md5(base / "setid.mat")),
        },
    )


def dtd(root: Path, _: pytest.MonkeyPatch) -> None:
    base = root / "dtd" / "dtd"
    (base / "labels").mkdir(parents=True)
    for split, count in (("train", 4), ("val", 3), ("test", 2)):
        lines = [f"{name}/{split}{n}.jpg" for name in ("dotted", "woven") for n in range(count)]
        (base / "labels" / f"{split}1.txt").write_text("\n".join(lines))
        for line in lines:
            picture(base / "images" / line)


def pets(root: Path, _: pytest.MonkeyPatch) -> None:
    base = root / "oxford-iiit-pet"
    (base / "annotations" / "trimaps").mkdir(parents=True)
    for split, count in (("trainval", 4), ("test", 2)):
        rows = []
        for label, (breed, kind) in enumerate((("Abyssinian", 1), ("beagle", 2)), start=1):
            for number in range(count):
                name = f"{breed}_{split}{number}"
                picture(base / "images" / f"{name}.jpg")
                rows.append(f"{name} {label} {kind} 1")
        (base / "annotations" / f"{split}.txt").write_text("\n".join(rows))


def food101(root: Path, _: pytest.MonkeyPatch) -> None:
    base = root / "food-101"
    (base / "meta").mkdir(parents=True)
    for split, count in (("train", 4), ("test", 2)):
        table = {name: [f"{name}/{split}{n}" for n in range(count)] for name in ("pie", "soup")}
        (base / "meta" / f"{split}.json").write_text(json.dumps(table))
        for paths in table.values():
            for path in paths:
                picture(base / "images" / f"{path}.jpg")


def cars(root: Path, _: pytest.MonkeyPatch) -> None:
    base = root / "stanford_cars"
    (base / "devkit").mkdir(parents=True)
    names = np.array(["AM General Hummer SUV 2000", "Acura RL Sedan 2012"], dtype=object)
    savemat(base / "devkit" / "cars_meta.mat", {"class_names": names})
    places = {"train": "devkit/cars_train_annos.mat", "test": "cars_test_annos_withlabels.mat"}
    kinds = [("fname", object), ("class", np.uint8)]
    for split, count in (("train", 4), ("test", 2)):
        rows = [(f"{n:05}.jpg", n % 2 + 1) for n in range(2 * count)]
        savemat(base / places[split], {"annotations": np.array(rows, dtype=kinds)})
        for name, _label in rows:
            picture(base / f"cars_{split}" / name)


def aircraft(root: Path, _: pytest.MonkeyPatch) -> None:
    data = root / "fgvc-aircraft-2013b" / "data"
    classes = {
        "variant": ["707-320", "A330-200", "A340-300"],
        "family": ["Boeing 707", "A330", "A340"],
        "manufacturer": ["Boeing", "Airbus", "Airbus"],
    }
    plural = {"variant": "variants", "family": "families", "manufacturer": "manufacturers"}
    data.mkdir(parents=True)
    for level, names in classes.items():
        (data / f"{plural[level]}.txt").write_text("\n".join(dict.fromkeys(names)))
        for split, count in (("trainval", 6), ("test", 3)):
            rows = [f"{split}{n} {names[n % 3]}" for n in range(count)]
            (data / f"images_{level}_{split}.txt").write_text("\n".join(rows))
            for row in rows:
                picture(data / "images" / f"{row.split()[0]}.jpg")


def places365(root: Path, patch: pytest.MonkeyPatch) -> None:
    root.mkdir(parents=True, exist_ok=True)
    (root / "categories_places365.txt").write_text("/a/abbey 0\n/b/barn 1\n")
    for split, folder, count in (
        ("train_standard", "data_256_standard", 6),
        ("val", "val_256", 4),
    ):
        rows = [f"/{n % 2}/{n}.jpg {n % 2}" for n in range(count)]
        (root / f"places365_{split}.txt").write_text("\n".join(rows))
        for row in rows:
            picture(root / folder / row.split()[0].lstrip("/"))
    lists = {
        "train-standard": (
            "places365_train_standard.txt",
            md5(root / "places365_train_standard.txt"),
        ),
        "val": ("places365_val.txt", md5(root / "places365_val.txt")),
    }
    patch.setattr(sets.Places365, "_FILE_LIST_META", lists)
    categories = root / "categories_places365.txt"
    patch.setattr(sets.Places365, "_CATEGORIES_META", (categories.name, md5(categories)))


def inaturalist(root: Path, _: pytest.MonkeyPatch) -> None:
    for number, group in enumerate(("Aves", "Aves", "Plantae")):
        for image in range(20):
            picture(root / "2018" / group / str(number) / f"{image}.jpg", size=(20, 16))


def imagenet(root: Path, _: pytest.MonkeyPatch) -> None:
    for split, count in (("train", 6), ("val", 3)):
        for wnid in ("n01", "n02", "n03"):
            for image in range(count):
                picture(root / split / wnid / f"{split}{image}.JPEG")


def imagenet_archives(root: Path, patch: pytest.MonkeyPatch) -> None:
    """The three archives in which ImageNet comes: two classes, two pictures of each and of none."""
    made, wnids = root / "made", ("n01", "n02")
    for number, wnid in enumerate(wnids):
        for image in range(2):
            picture(made / wnid / f"{wnid}_{image}.JPEG")
            picture(made / "val" / f"ILSVRC2012_val_{2 * image + number}.JPEG")
        packed(made / "train" / f"{wnid}.tar", made / wnid)
    kinds = [("id", int), ("wnid", object), ("words", object), ("gloss", object), ("below", int)]
    rows = [(n + 1, wnid, f"{wnid} word", "", 0) for n, wnid in enumerate(wnids)]
    data = made / "devkit" / "ILSVRC2012_devkit_t12" / "data"
    data.mkdir(parents=True)
    savemat(data / "meta.mat", {"synsets": np.array(rows, dtype=kinds)})
    (data / "ILSVRC2012_validation_ground_truth.txt").write_text("1\n2\n1\n2\n")
    for name, (archive, _) in archives.ARCHIVE_META.items():
        packed(root / archive, made / name)
        patch.setitem(archives.ARCHIVE_META, name, (archive, md5(root / archive)))
    shutil.rmtree(made)


def packed(archive: Path, folder: Path) -> None:
    archive.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(archive, "w:gz" if archive.suffix == ".gz" else "w") as file:
        for path in sorted(folder.iterdir()):
            file.add(path, arcname=path.name)


#: For every set: what writes it, its training and test sizes, and the image shape it gives.
WRITERS: dict[str, tuple[Callable[[Path, pytest.MonkeyPatch], None], int, int]] = {
    "mnist": (mnist, 40, 20),
    "kmnist": (kmnist, 40, 20),
    "emnist": (emnist, 94, 47),
    "usps": (usps, 40, 20),
    "svhn": (svhn, 40, 20),
    "cifar10": (cifar10, 1000, 100),
    "cifar100": (cifar100, 200, 100),
    "stl10": (stl10, 20, 10),
    "flowers102": (flowers102, 18, 12),
    "dtd": (dtd, 14, 4),
    "pets": (pets, 8, 4),
    "food101": (food101, 8, 4),
    "cars": (cars, 8, 4),
    "aircraft": (aircraft, 6, 3),
    "places365": (places365, 6, 4),
    "inaturalist": (inaturalist, 54, 6),
    "imagenet": (imagenet, 18, 9),
}
