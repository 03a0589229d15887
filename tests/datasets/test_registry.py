"""The registry of data sets: an entry alone says what a set is, where it lies and what loads it."""

from __future__ import annotations

import inspect
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from vcr_core.datasets import DATASETS, Dataset, DatasetInfo, DataSpec, catalog, loading
from vcr_core.datasets.places import find_data, whereabouts
from vcr_core.datasets.split import Split, make_dataset, with_groups
from vcr_core.errors import DataError

ENTRIES = pytest.mark.parametrize("info", DATASETS.values(), ids=lambda info: info.name)
FLAGS = DatasetInfo(
    name="flags",
    title="Flags",
    description="Stripes in one of four colours.",
    factors={"colour": ("red", "orange", "blue", "green")},
    groups={"warm": {"cold": ("blue", "green"), "warm": ("red", "orange")}},
    image_shape=(1, 4, 4),
    train_size=8,
    test_size=4,
    licence="free",
    source="this test",
    default_source="colour",
    loader="flags",
    made_here="drawn by this test",
)


@ENTRIES
def test_every_entry_names_a_module_that_loads_it(info: DatasetInfo) -> None:
    load = import_module(f"vcr_core.datasets.{info.loader}").load
    assert list(inspect.signature(load).parameters) == ["spec"]


@ENTRIES
def test_groups_have_each_class_of_the_first_factor_once(info: DatasetInfo) -> None:
    classes = next(iter(info.factors.values()))
    for factor, groups in info.groups.items():
        members = [name for each in groups.values() for name in each]
        assert sorted(members) == sorted(classes), factor
        assert info.factors[factor] == tuple(groups)


@ENTRIES
def test_images_are_made_here_or_have_to_be_got(info: DatasetInfo) -> None:
    assert bool(info.made_here) != bool(info.files)


def test_labels_of_groups_follow_from_those_of_the_classes() -> None:
    labels = with_groups(FLAGS, torch.tensor([0, 2, 1, 3]))
    assert labels["warm"].tolist() == [1, 0, 1, 0]


def test_an_entry_and_its_loader_are_all_that_a_data_set_needs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def drawn(spec: DataSpec) -> Dataset:
        sizes = spec.train_size or FLAGS.train_size, spec.test_size or FLAGS.test_size
        colours = [torch.arange(size) % 4 for size in sizes]
        train, test = (
            Split(of.float().view(-1, 1, 1, 1).repeat(1, 1, 4, 4), with_groups(FLAGS, of))
            for of in colours
        )
        return make_dataset(spec, train, test)

    monkeypatch.setattr(catalog, "DATASETS", {**DATASETS, "flags": FLAGS})
    monkeypatch.setattr(loading, "import_module", lambda _: SimpleNamespace(load=drawn))
    data = loading.load("flags", train_size=12, source="warm", imbalance=2.0)
    assert data.info is FLAGS
    assert data.class_names["warm"] == ("cold", "warm")
    assert torch.bincount(data.train.labels["warm"]).tolist() == [6, 3]
    assert whereabouts("flags", "unused").place == "drawn by this test"


def test_files_are_looked_for_where_the_entry_says_or_in_a_folder_of_its_name(
    tmp_path: Path,
) -> None:
    assert whereabouts("mnist", tmp_path).place == str(tmp_path / "mnist")
    (tmp_path / "mnist").mkdir()
    assert not whereabouts("mnist", tmp_path).is_here
    (tmp_path / "mnist" / "something").touch()
    assert whereabouts("mnist", tmp_path).is_here
    assert find_data(tmp_path)["mnist"] == str(tmp_path / "mnist")
    with pytest.raises(DataError, match=r"data\.folder"):
        loading.load("mnist", folder=tmp_path / "other", cache_folder=tmp_path)
