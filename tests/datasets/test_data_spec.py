"""The record that asks for data: made of the configuration, and the key of loaded sets."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from vcr_core import paths
from vcr_core.config import DataConfig, RunConfig, validate
from vcr_core.datasets import DATASETS, DataSpec, load
from vcr_core.errors import ConfigError


def test_every_setting_of_the_data_is_in_the_spec_and_nothing_else_but_chance_and_place() -> None:
    named = {field.name for field in fields(DataSpec)}
    assert named - {"seed", "cache_folder"} == set(DataConfig.model_fields)
    changed = DataConfig(dataset="digits", source="parity", train_size=20, imbalance=3.0)
    spec = changed.spec(7)
    assert spec == DataSpec(
        "digits", seed=7, source="parity", train_size=20, imbalance=3.0, workers=2
    )


def test_a_configuration_stored_before_an_option_was_there_loads_as_before() -> None:
    stored = RunConfig().model_dump(mode="json")
    del stored["data"]["class_limit"]
    assert validate(stored) == RunConfig()


def test_every_option_that_a_data_set_has_is_a_field_of_the_spec() -> None:
    known = {field.name for field in fields(DataSpec)}
    for info in DATASETS.values():
        assert set(info.options) <= known, info.name


def test_what_is_made_of_images_after_reading_is_no_part_of_the_key() -> None:
    plain = DataSpec("digits", seed=3, train_size=50)
    viewed = DataSpec(
        "digits", seed=3, train_size=50, source="digit", imbalance=2.0, measured_on="validation"
    )
    assert plain.for_reading() == viewed.for_reading()
    assert plain.for_reading() != DataSpec("digits", seed=4, train_size=50).for_reading()


def test_options_of_other_data_sets_are_no_part_of_the_key() -> None:
    reading = DataSpec("digits", workers=4, image_size=64, shortcut=0.5).for_reading()
    assert reading == DataSpec("digits").for_reading()
    assert DataSpec("sprites", shortcut=0.5).for_reading() != DataSpec("sprites").for_reading()


def test_images_are_read_once_for_specs_that_read_the_same() -> None:
    first, thinned = load("digits", seed=5), load("digits", seed=5, workers=3, source="digit")
    assert first.train.images is thinned.train.images
    assert (first.spec.workers, thinned.spec.workers) == (0, 3)


def test_the_place_of_downloads_is_part_of_the_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = DataSpec("mnist")
    assert spec.for_reading().cache_folder == paths.data_folder()
    monkeypatch.setenv("VCR_LAB_HOME", str(tmp_path / "elsewhere"))
    assert spec.for_reading().cache_folder == tmp_path / "elsewhere" / "data"


def test_a_spec_can_be_given_whole_and_changed_by_name() -> None:
    spec = DataSpec("digits", seed=2)
    assert load(spec, train_size=30).spec == DataSpec("digits", seed=2, train_size=30)


def test_a_folder_typed_by_a_person_is_found() -> None:
    assert DataSpec("folder", folder="~/mine").folder == Path.home() / "mine"  # type: ignore[arg-type]


def test_what_no_spec_can_be_is_refused_at_once() -> None:
    with pytest.raises(ConfigError, match=r"data\.dataset: expected one of sprites"):
        DataSpec("cats")
    with pytest.raises(ConfigError, match=r"data\.shortcut: expected between 0 and 1"):
        DataSpec("sprites", shortcut=1.5)
    with pytest.raises(ConfigError, match=r"data\.measured_on: expected one of test, validation"):
        DataSpec("sprites", measured_on="training")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="sed"):
        load("digits", sed=3)


def test_making_a_spec_needs_no_torch_and_no_folder(tmp_path: Path) -> None:
    code = (
        "import sys; from vcr_core.config import DataConfig; DataConfig().spec(0);"
        "sys.exit('torch' in sys.modules)"
    )
    home = {"VCR_LAB_HOME": str(tmp_path / "home"), "PATH": "", "PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], env=home, check=False)
    assert done.returncode == 0
    assert not (tmp_path / "home").exists()
