"""A study is validated before anything runs: what it may say, and how it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from vcr_core.errors import ConfigError
from vcr_core.sweeps import Span, Study, load_study, parse_vary, read_study
from vcr_core.sweeps.spec import changed_fields

VARIANCE, COVARIANCE = "regularizer.variance_weight", "regularizer.covariance_weight"


def study(**changes: Any) -> Study:
    tree = {"name": "a", "preset": "digits-parity", "vary": {VARIANCE: [0, 1]}, "seeds": 2}
    return read_study({**tree, **changes})


def test_a_grid_is_every_combination_of_its_lists() -> None:
    made = study(vary={VARIANCE: [0, 1], "training.epochs": [5, 6, 7]})
    assert len(made.grid()) == made.number_of_trials == 6
    assert {(p[VARIANCE], p["training.epochs"]) for p in made.grid()} == {
        (v, e) for v in (0, 1) for e in (5, 6, 7)
    }


def test_a_range_with_points_is_even_in_its_scale() -> None:
    span = Span(low=0.01, high=100, log=True, points=5)
    assert span.values(whole=False) == (0.01, 0.1, 1.0, 10.0, 100.0)
    assert Span(low=1, high=5, points=3).values(whole=True) == (1, 3, 5)


def test_toml_json_and_the_command_line_say_the_same(tmp_path: Path) -> None:
    toml, plain = tmp_path / "a.toml", tmp_path / "a.json"
    toml.write_text(
        'preset = "digits-parity"\nseeds = [0, 1]\n[set]\ntraining.epochs = 4\n[vary]\n'
        f'{VARIANCE} = [0, 1]\n"{COVARIANCE}" = {{ low = 0.1, high = 10, log = true, points = 3 }}'
    )
    tree = {
        "preset": "digits-parity",
        "seeds": 2,
        "set": {"training": {"epochs": 4}},
        "vary": {VARIANCE: [0, 1], COVARIANCE: {"low": 0.1, "high": 10, "log": True, "points": 3}},
    }
    plain.write_text(json.dumps(tree))
    typed = dict(map(parse_vary, [f"{VARIANCE}=0,1", f"{COVARIANCE}=0.1..10:log:3"]))
    typed_study = read_study(
        {"name": "a", "preset": "digits-parity", "seeds": 2, "vary": typed},
        set={"training.epochs": "4"},
    )
    assert load_study(toml) == load_study(plain) == typed_study


def test_lists_as_values_are_separated_by_semicolons() -> None:
    made = study(vary=dict([parse_vary("model.hidden=64,32;128,64")]))
    assert [made.config(params, 0).model.hidden for params in made.grid()] == [(64, 32), (128, 64)]


def test_a_study_survives_the_store_unchanged() -> None:
    before = study(vary={COVARIANCE: {"low": 0.1, "high": 1}}, sampler="tpe", trials=4)
    after = Study.model_validate(json.loads(before.model_dump_json()))
    assert changed_fields(before, after) == []
    assert changed_fields(before, study(seeds=3)) != []


def test_the_baseline_of_a_setting_is_itself_with_both_weights_zero() -> None:
    made = study(vary={VARIANCE: [0, 1], "training.epochs": [5, 6]}, set={COVARIANCE: 0.0})
    twin = made.baseline_params({VARIANCE: 1, "training.epochs": 6})
    assert twin is not None
    assert made.config(twin, 3) == made.config({VARIANCE: 1, "training.epochs": 6}, 3).baseline()
    assert made.baseline_params({VARIANCE: 0, "training.epochs": 6}) is None
    assert study(baseline="none").baseline_params({VARIANCE: 1}) is None


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"vary": {"regularizer.strength": [1]}}, "regularizer.strength: no setting has this name"),
        ({"vary": {}}, "vary: expected at least one setting that varies"),
        ({"vary": {VARIANCE: []}}, f"{VARIANCE}: expected a list of at least one value"),
        ({"vary": {VARIANCE: [-1]}}, f"{VARIANCE}: expected 0 or more, got -1"),
        ({"vary": {VARIANCE: ["much"]}}, f"{VARIANCE}: expected a number, got 'much'"),
        ({"vary": {VARIANCE: [1, 1.0]}}, f"{VARIANCE}: expected no value twice"),
        ({"vary": {VARIANCE: {"low": 1, "high": 2}}}, f"{VARIANCE}: a grid needs a list"),
        ({"vary": {VARIANCE: {"low": 0, "high": 2, "log": True}}}, "starts above 0, got 0"),
        ({"vary": {VARIANCE: {"low": 2, "high": 1}}}, "expected low below high, got 2 and 1"),
        ({"vary": {"model.name": {"low": 1, "high": 2}}}, "model.name: expected a list of values"),
        ({"vary": {"training.epochs": {"low": 1, "high": 2.5}}}, "expected whole numbers"),
        ({"vary": {"seed": [1, 2]}}, "seed: the seed does not vary by itself"),
        ({"trials": 3}, "trials: a grid runs all its settings"),
        ({"sampler": "nsga2", "pruner": "median"}, "pruner: nsga2 weighs two objectives"),
        ({"sampler": "luck"}, "sampler: expected one of 'grid', 'tpe' or 'nsga2', got 'luck'"),
        ({"seeds": 0}, "seeds: expected at least one seed"),
        ({"seeds": [1, 1]}, "seeds: expected at least one seed and none twice"),
        ({"targets": ["colour"]}, "targets: expected some of digit"),
        ({"name": "a b"}, "name: expected 1 to 32 letters"),
        ({"preset": "nothing"}, "preset: expected one of"),
        ({"set": {"training.epoch": 3}}, "training.epoch: no setting has this name"),
        ({"sped": 3}, "sped: no setting has this name"),
    ],
    ids=lambda value: json.dumps(value)[:50] if isinstance(value, dict) else "",
)
def test_a_study_that_makes_no_sense_is_refused_by_name(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        study(**changes)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("text", ["a", "a=", "a=1..2:often"])
def test_a_vary_option_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="expected"):
        parse_vary(text)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.toml", "[vary", "is not valid toml"),
        ("a.json", "[1, 2]", "expected a table of settings"),
        ("a.yaml", "", "expected a .toml or .json file"),
    ],
)
def test_a_file_that_is_no_study_is_refused(
    tmp_path: Path, name: str, content: str, said: str
) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(ConfigError, match=said):
        load_study(tmp_path / name)
    with pytest.raises(ConfigError, match="cannot read"):
        load_study(tmp_path / "missing.toml")
