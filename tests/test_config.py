"""The configuration tree: the single source for form, command line and store."""

from __future__ import annotations

import pytest

from vcr_core.config import (
    RunConfig,
    fields,
    get_value,
    live_fields,
    override,
    title_of,
    validate,
)
from vcr_core.errors import ConfigError
from vcr_core.presets import PRESETS, find_preset


def test_every_field_explains_itself() -> None:
    for name, info in fields().items():
        assert info.title, f"{name} has no title"
        assert info.description, f"{name} has no help text"
        assert info.description.endswith("."), f"the help text of {name} is no sentence"


def test_the_two_weights_and_the_learning_rate_are_live() -> None:
    assert {
        "regularizer.variance_weight",
        "regularizer.covariance_weight",
        "optimizer.learning_rate",
    } <= set(live_fields())
    assert "training.batch_size" not in live_fields()


def test_a_config_survives_a_round_trip_through_plain_data() -> None:
    for preset in PRESETS.values():
        assert validate(preset.config.model_dump(mode="json")) == preset.config


def test_texts_are_read_as_their_fields_type() -> None:
    config = override(
        RunConfig(),
        {
            "regularizer.variance_weight": "0.5",
            "training.epochs": "3",
            "model.hidden": "64, 32",
            "data.train_size": "none",
            "transfer.targets": "colour,background",
        },
    )
    assert config.regularizer.variance_weight == 0.5
    assert config.training.epochs == 3
    assert config.model.hidden == (64, 32)
    assert config.data.train_size is None
    assert config.transfer.targets == ("colour", "background")


def test_a_baseline_differs_in_the_two_weights_alone() -> None:
    config = find_preset("digits-parity").config
    baseline = config.baseline()
    different = [name for name in fields() if get_value(config, name) != get_value(baseline, name)]
    assert different == ["regularizer.variance_weight", "regularizer.covariance_weight"]
    assert not baseline.regularized


def test_no_targets_means_all_other_factors() -> None:
    assert "shape" not in RunConfig().targets
    assert {"colour", "background", "texture"} <= set(RunConfig().targets)


def test_own_images_have_one_factor_so_it_is_probed_itself() -> None:
    own = override(RunConfig(), {"data.dataset": "folder", "data.source": "class"})
    assert own.targets == ("class",)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        (
            "regularizer.variance_weight",
            -1.0,
            r"regularizer\.variance_weight: expected 0 or more, got -1$",
        ),
        (
            "regularizer.variance_weight",
            "many",
            r"regularizer\.variance_weight: expected a number, got 'many'",
        ),
        (
            "regularizer.covariance_weight",
            float("nan"),
            r"expected a finite number, got not a number",
        ),
        ("training.batch_size", 1, r"training\.batch_size: expected 2 or more, got 1"),
        ("training.batch_size", "1.5", r"training\.batch_size: expected a whole number, got '1.5'"),
        ("data.dataset", "imagenet-22k", r"data\.dataset: .*sprites.*imagenet-22k"),
        ("data.source", "smell", r"data\.source: expected one of .*colour.*got 'smell'"),
        ("model.name", "gpt", r"model\.name: expected one of .*small-resnet.*got 'gpt'"),
        ("transfer.targets", ("smell",), r"transfer\.targets: expected one of .*got 'smell'"),
        ("transfer.targets", "digits:smell", r"for 'digits', got 'smell'"),
        (
            "regularizer.layers",
            ("block9",),
            r"regularizer\.layers: expected 'blocks', 'last', .*blocks\.0.*pool, got 'block9'",
        ),
        ("execution.device", "tpu", r"execution\.device: expected one of 'auto'.*got 'tpu'"),
        ("regularizer.wieght", 1.0, r"regularizer\.wieght: no setting has this name; there are .*"),
    ],
)
def test_bad_values_say_field_expected_and_got(name: str, value: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        override(RunConfig(), {name: value})


def test_an_unknown_preset_lists_those_there_are() -> None:
    with pytest.raises(ConfigError, match=r"sprites-shape, digits-parity.*got 'nothing'"):
        find_preset("nothing")


@pytest.mark.parametrize(
    ("layers", "names"),
    [
        (("blocks",), ("blocks.0", "blocks.1", "blocks.2", "pool")),
        (("last",), ("pool",)),
        (("pool", "blocks.1"), ("blocks.1", "pool")),
        (("blocks.[01]",), ("blocks.0", "blocks.1")),
    ],
)
def test_layers_are_named_from_input_to_output(
    layers: tuple[str, ...], names: tuple[str, ...]
) -> None:
    assert override(RunConfig(), {"regularizer.layers": layers}).layer_names == names


def test_factors_by_layer_take_names_and_patterns_and_the_last_that_matches_counts() -> None:
    config = override(
        RunConfig(), {"regularizer.covariance_factors": "blocks.*=0, blocks.1=3, pool = 0.5"}
    )
    factors = {layer: covariance for layer, (_, covariance) in config.layer_factors.items()}
    assert factors == {"blocks.0": 0.0, "blocks.1": 3.0, "blocks.2": 0.0, "pool": 0.5}
    assert {variance for variance, _ in config.layer_factors.values()} == {1.0}


def test_one_layers_factor_has_a_name_of_its_own() -> None:
    name = "regularizer.variance_factors.blocks.1"
    assert get_value(RunConfig(), name) == 1.0
    turned = override(RunConfig(), {name: 3, "regularizer.variance_factors.pool": "0.1"})
    assert get_value(turned, name) == 3.0
    assert turned.regularizer.variance_factors == ("blocks.1=3", "pool=0.1")
    assert override(turned, {name: 1, "regularizer.variance_factors.pool": 1.0}) == RunConfig()
    assert title_of(name) == ("Variance weight", "blocks.1")


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("pool", r"variance_factors: expected layer=factor, for example pool=3, got 'pool'"),
        ("pool=much", r"variance_factors: expected a factor from 0 to 1e\+06, got 'much'"),
        ("pool=-1", r"got '-1'"),
        ("pool=nan", r"got 'nan'"),
        ("conv9=2", r"expected names or patterns of the regularised layers blocks\.0.*'conv9'"),
    ],
)
def test_a_factor_that_cannot_be_says_why(entry: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        override(RunConfig(), {"regularizer.variance_factors": entry})


def test_a_factor_for_a_layer_that_is_not_regularised_is_refused() -> None:
    changes = {"regularizer.layers": "pool", "regularizer.variance_factors": "blocks.0=2"}
    with pytest.raises(ConfigError, match=r"regularised layers pool, got 'blocks\.0'"):
        override(RunConfig(), changes)
