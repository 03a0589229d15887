"""What a study is: a base configuration, what varies, seeds, an objective and a way to search.

    name = "digits-weights"                 # how it is found again, and resumed
    preset = "digits-parity"                # what every run starts from
    seeds = 3                               # 0, 1, 2; or a list: [3, 4, 5]
    sampler = "grid"                        # or "tpe", "nsga2"

    [set]                                   # changes of the preset that every run shares
    training.epochs = 20

    [vary]                                  # any settings of a run
    regularizer.variance_weight = [0, 0.1, 1]
    regularizer.covariance_weight = { low = 0.01, high = 100, log = true }

Every setting runs on the same seeds as its baseline: the same configuration with both weights zero
(or with the changes of ``[baseline]``), so that differences are paired. Nothing here imports torch.
"""

from __future__ import annotations

import json
import math
import re
import tomllib
from collections.abc import Mapping
from itertools import product
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import Field, ValidationError, field_validator, model_validator

from vcr_core.config import RunConfig, Section, fields, get_value, override, validate
from vcr_core.config.editing import as_config_error
from vcr_core.errors import ConfigError
from vcr_core.presets import find_preset

Sampler = Literal["grid", "tpe", "nsga2"]
Pruner = Literal["none", "median", "halving"]

NO_REGULARIZATION: Mapping[str, Any] = {
    "regularizer.variance_weight": 0.0,
    "regularizer.covariance_weight": 0.0,
}
DEFAULT_SEEDS = 3
DEFAULT_TRIALS = 20
MOST_SETTINGS = 2000
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}")


class Span(Section):
    """A range of numbers to search in; ``points`` makes it a list of that many for a grid."""

    low: float
    high: float
    log: bool = False
    points: int | None = Field(None, ge=2, le=MOST_SETTINGS)

    @model_validator(mode="after")
    def _has_room(self) -> Span:
        if self.low >= self.high:
            raise ConfigError(f"expected low below high, got {self.low:g} and {self.high:g}")
        if self.log and self.low <= 0:
            raise ConfigError(f"a logarithmic range starts above 0, got {self.low:g}")
        return self

    def values(self, *, whole: bool) -> tuple[float, ...]:
        """The ``points`` numbers from low to high, evenly (or by an equal factor) apart."""
        steps = (self.points or 2) - 1
        if self.log:
            factor = math.log(self.high / self.low)
            numbers = [self.low * math.exp(factor * step / steps) for step in range(steps + 1)]
        else:
            numbers = [self.low + (self.high - self.low) * i / steps for i in range(steps + 1)]
        return tuple(dict.fromkeys(round(x) if whole else float(f"{x:.6g}") for x in numbers))


Choices = tuple[Any, ...]


class Study(Section):
    """A validated study. ``base`` is complete: a later change of a preset does not change it.

    ``start`` are settings that a search tries first, before it proposes its own.
    """

    name: str
    preset: str = "custom"
    base: RunConfig = RunConfig()
    vary: Mapping[str, Choices | Span]
    seeds: tuple[Annotated[int, Field(ge=0, lt=2**31)], ...] = tuple(range(DEFAULT_SEEDS))
    baseline: Mapping[str, Any] | None = NO_REGULARIZATION
    targets: tuple[str, ...] = ()
    sampler: Sampler = "grid"
    trials: int | None = Field(None, ge=1, le=MOST_SETTINGS)
    start: tuple[Mapping[str, Any], ...] = ()
    pruner: Pruner = "none"
    sampler_seed: int = 0
    parallel: int | None = Field(None, ge=1, le=1024)

    @field_validator("vary", mode="before")
    @classmethod
    def _as_lists_and_spans(cls, given: Any) -> Any:
        if not isinstance(given, Mapping) or not given:
            raise ConfigError(
                "expected at least one setting that varies, for example "
                "regularizer.variance_weight = [0, 0.1, 1]",
                field="vary",
            )
        return {name: _choices_or_span(name, value) for name, value in given.items()}

    @model_validator(mode="after")
    def _makes_sense(self) -> Study:
        self._check_name()
        self._check_seeds()
        for name in self.vary:
            self._check_values(name)
        self._check_search()
        for params in self.start:
            self._check_start(params)
        for params in self.grid() if self.sampler == "grid" else [{}]:
            self._check_targets(self.config(params, self.seeds[0]))
        if self.baseline is not None:
            override(self.base, self.baseline)
        return self

    def _check_name(self) -> None:
        if not NAME.fullmatch(self.name):
            raise ConfigError(
                f"expected 1 to 32 letters, digits, '.', '_' or '-', got '{self.name}'",
                field="name",
            )

    def _check_seeds(self) -> None:
        if not self.seeds or len(set(self.seeds)) < len(self.seeds):
            raise ConfigError(
                f"expected at least one seed and none twice, got {list(self.seeds)}",
                field="seeds",
            )

    def _check_values(self, name: str) -> None:
        """The setting exists, can hold a range, and takes the ends of it.

        A list of a search is checked value by value; a grid's, setting by setting.
        """
        if name == "seed":
            raise ConfigError("the seed does not vary by itself: list seeds in 'seeds'", field=name)
        values = self.vary[name]
        if isinstance(values, Span):
            if kind_of(name) not in (int, float):
                raise ConfigError(
                    f"expected a list of values, got a range from {values.low:g} to "
                    f"{values.high:g}: this setting is not a number",
                    field=name,
                )
            values = self.ends(name)
        elif self.sampler == "grid":
            values = ()
        for value in values:
            get_value(override(self.base, {name: value}), name)

    def _check_targets(self, config: RunConfig) -> None:
        unknown = [target for target in self.targets if target not in config.targets]
        if unknown:
            raise ConfigError(
                f"expected some of {', '.join(config.targets)}, which the runs probe, got "
                f"'{unknown[0]}': add it to transfer.targets as well",
                field="targets",
            )

    def _check_search(self) -> None:
        """A grid has an end; a search has a number of trials; two objectives cannot be pruned."""
        if self.sampler == "grid":
            endless = [n for n, v in self.vary.items() if isinstance(v, Span) and v.points is None]
            if endless:
                raise ConfigError(
                    "a grid needs a list or a number of points, got a range without: add "
                    "points, or choose the sampler tpe",
                    field=endless[0],
                )
            if self.trials is not None:
                raise ConfigError(
                    "a grid runs all its settings: leave 'trials' out, or choose the sampler tpe",
                    field="trials",
                )
            if math.prod(len(self.choices(name)) for name in self.vary) > MOST_SETTINGS:
                raise ConfigError(f"expected at most {MOST_SETTINGS} settings", field="vary")
        if self.sampler == "nsga2" and self.pruner != "none":
            raise ConfigError(
                "nsga2 weighs two objectives, and a run cannot be pruned by two: leave 'pruner' "
                "out, or choose the sampler tpe",
                field="pruner",
            )

    def _check_start(self, params: Mapping[str, Any]) -> None:
        """A setting to start from names all that varies, within its ranges and lists."""
        if self.sampler == "grid" or params.keys() != self.vary.keys():
            raise ConfigError(
                f"expected settings of a search, each with {', '.join(self.vary)}, got "
                f"{dict(params)} for the sampler {self.sampler}",
                field="start",
            )
        for name, value in params.items():
            span = self.vary[name]
            inside = span.low <= value <= span.high if isinstance(span, Span) else value in span
            if not inside:
                raise ConfigError(f"{name} = {value} is outside of what varies", field="start")

    def choices(self, name: str) -> Choices:
        """The values of a setting that varies over a list (or over so many points)."""
        values = self.vary[name]
        if isinstance(values, Span):
            return values.values(whole=kind_of(name) is int)
        return values

    def ends(self, name: str) -> tuple[float, float]:
        """Both ends of a range, as whole numbers where the setting counts something.

        Raises:
            ConfigError: the ends of a range of whole numbers are not whole.
        """
        span = self.vary[name]
        assert isinstance(span, Span)
        if kind_of(name) is float:
            return span.low, span.high
        if not (span.low.is_integer() and span.high.is_integer()):
            raise ConfigError(
                f"expected whole numbers, got {span.low:g} to {span.high:g}", field=name
            )
        return int(span.low), int(span.high)

    def grid(self) -> list[dict[str, Any]]:
        """Every combination of the lists, the last name varying fastest."""
        names = list(self.vary)
        combinations = product(*(self.choices(name) for name in names))
        return [dict(zip(names, values, strict=True)) for values in combinations]

    def targets_of(self, config: RunConfig) -> tuple[str, ...]:
        """The targets whose mean accuracy is the objective: all that are probed, if none named."""
        return self.targets or config.targets

    @property
    def number_of_trials(self) -> int:
        """How many settings are tried, baselines apart."""
        if self.sampler == "grid":
            return math.prod(len(self.choices(name)) for name in self.vary)
        return self.trials or DEFAULT_TRIALS

    def config(self, params: Mapping[str, Any], seed: int) -> RunConfig:
        """The configuration of one run.

        Raises:
            ConfigError: values that cannot stand together.
        """
        return override(self.base, {**params, "seed": seed})

    def key(self, params: Mapping[str, Any]) -> str:
        """Equal for settings whose runs would be equal.

        Raises:
            ConfigError: values that cannot stand together.
        """
        return self.config(params, 0).model_dump_json()

    def baseline_params(self, params: Mapping[str, Any]) -> dict[str, Any] | None:
        """What a setting is compared with, or None where that is itself (or nothing)."""
        if self.baseline is None:
            return None
        twin = {**params, **self.baseline}
        return None if self.key(twin) == self.key(params) else twin

    def identity(self) -> dict[str, Any]:
        """All that decides the study's numbers, as plain data: not how many runs go at once."""
        return self.model_dump(mode="json", exclude={"parallel"})


def kind_of(name: str) -> type | None:
    """``int``, ``float``, ``str``, ``tuple``…: what a setting holds where it is not empty."""
    annotation = fields()[name].annotation if name in fields() else None
    if getattr(annotation, "__origin__", None) is tuple:
        return tuple
    kinds = [kind for kind in get_args(annotation) or [annotation] if kind is not type(None)]
    return next((kind for kind in (int, float, str, bool) if kinds == [kind]), None)


def changed_fields(before: Study, after: Study) -> list[str]:
    """The dotted names in which two studies differ."""
    old, new = _flat(before.identity()), _flat(after.identity())
    return sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))


def read_study(tree: Mapping[str, Any], **defaults: Any) -> Study:
    """A study from plain data: a spec file's content, or the keywords of a command.

    ``preset`` and ``set`` (or a complete ``base``) give the base; a number of seeds counts from 0.

    Raises:
        ConfigError: names the first thing at fault, what was expected and what came.
    """
    rest = {**defaults, **tree}
    changes = _flat_settings(rest.pop("set", {}), "set")
    if "base" in rest:
        rest["base"] = validate(rest["base"])
    elif "preset" in rest:
        rest["base"] = find_preset(str(rest["preset"])).config
    else:
        raise ConfigError("expected a preset or a base configuration, got neither", field="preset")
    rest["base"] = override(rest["base"], changes)
    for name in ("vary", "baseline"):
        if isinstance(rest.get(name), Mapping):
            rest[name] = _flat_settings(rest[name], name)
    if rest.get("baseline") in ("none", {}):
        rest["baseline"] = None
    if isinstance(rest.get("seeds"), int):
        rest["seeds"] = tuple(range(rest["seeds"]))
    return make_study(**rest)


def make_study(**parts: Any) -> Study:
    """A study from its fields.

    Raises:
        ConfigError: names the first field at fault.
    """
    try:
        return Study.model_validate(parts)
    except ValidationError as error:
        raise as_config_error(error) from error


def load_study(path: Path, **defaults: Any) -> Study:
    """A study from a TOML or JSON file; its name is the file's, unless it says another.

    Raises:
        ConfigError: a file that is missing, is neither, or holds no valid study.
    """
    readers: dict[str, Any] = {".toml": tomllib.loads, ".json": json.loads}
    if path.suffix not in readers:
        raise ConfigError(f"expected a .toml or .json file, got '{path}'", field="study")
    try:
        tree = readers[path.suffix](path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read '{path}': {error.strerror}", field="study") from error
    except ValueError as error:
        raise ConfigError(f"'{path}' is not valid {path.suffix[1:]}: {error}") from error
    if not isinstance(tree, dict):
        raise ConfigError(f"expected a table of settings in '{path}'", field="study")
    return read_study({"name": path.stem, **tree}, **defaults)


def parse_vary(text: str) -> tuple[str, list[Any] | dict[str, Any]]:
    """``name=0,0.1,1``, ``name=0.01..100:log`` or ``name=0.01..100:log:5`` as a name and values.

    Values that are lists themselves are separated by ``;``: ``model.hidden=64,32;128,64``.

    Raises:
        ConfigError: a text of another form.
    """
    name, equals, values = (part.strip() for part in text.partition("="))
    if not equals or not values:
        raise ConfigError(
            f"expected name=values, got '{text}': for example "
            "regularizer.variance_weight=0,0.1,1 or regularizer.variance_weight=0.01..10:log"
        )
    if ".." not in values:
        separator = ";" if ";" in values else ","
        return name, [part.strip() for part in values.split(separator)]
    ends, *options = values.split(":")
    low, _, high = ends.partition("..")
    span: dict[str, Any] = {"low": low, "high": high}
    for option in options:
        if option == "log":
            span["log"] = True
        elif option.isdigit():
            span["points"] = int(option)
        else:
            raise ConfigError(
                f"after a range expected 'log' or a number of points, got '{option}'", field=name
            )
    return name, span


def _choices_or_span(name: str, value: Any) -> Choices | Span:
    if isinstance(value, Mapping):
        try:
            return Span.model_validate(dict(value))
        except ValidationError as error:
            problem = as_config_error(error)
            where = f" ({problem.field})" if problem.field else ""
            raise ConfigError(f"{problem.message}{where}", field=name) from error
    if isinstance(value, Span):
        return value
    if not isinstance(value, list | tuple) or not value:
        raise ConfigError(
            f"expected a list of at least one value, or a range with low and high, got {value!r}",
            field=name,
        )
    parsed = tuple(_plain(name, item) for item in value)
    if len({json.dumps(item) for item in parsed}) < len(parsed):
        raise ConfigError(f"expected no value twice, got {list(value)}", field=name)
    return parsed


def _plain(name: str, value: Any) -> Any:
    """A value as its setting holds it in JSON; texts, as a person types them, are read."""
    kind = kind_of(name)
    if kind is tuple and isinstance(value, str):
        return [_number(part.strip()) for part in value.split(",") if part.strip()]
    if isinstance(value, str) and value.lower() == "none":
        return None
    if isinstance(value, tuple):
        return list(value)
    if isinstance(value, str) and kind in (int, float):
        value = _number(value)
    return float(value) if type(value) is int and kind is float else value


def _number(text: str) -> Any:
    """A text as the number it is; as it came where it is none, for its setting to refuse."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _flat_settings(tree: Any, field: str) -> dict[str, Any]:
    """Dotted names from nested tables; a table with ``low`` and ``high`` is a range."""
    if not isinstance(tree, Mapping):
        raise ConfigError(f"expected a table of settings, got {tree!r}", field=field)
    flat: dict[str, Any] = {}
    for name, value in tree.items():
        if isinstance(value, Mapping) and not {"low", "high"} & value.keys():
            flat |= {f"{name}.{inner}": v for inner, v in _flat_settings(value, field).items()}
        else:
            flat[name] = value
    return flat


def _flat(tree: Mapping[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in tree.items():
        if isinstance(value, Mapping) and value:
            flat |= {f"{name}.{inner}": v for inner, v in _flat(value).items()}
        else:
            flat[name] = value
    return flat
