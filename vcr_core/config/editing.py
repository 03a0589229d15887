"""Read, change and validate a configuration by the dotted names of its fields."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import Any, get_args

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from vcr_core.config.by_layer import BY_LAYER, factor_at, split_name, with_factor
from vcr_core.config.sections import SECTIONS, RunConfig
from vcr_core.errors import ConfigError


@cache
def fields() -> Mapping[str, FieldInfo]:
    """Every field of a run by its dotted name, in the order of the tree."""
    named: dict[str, FieldInfo] = {}
    for name, section in SECTIONS.items():
        named |= {f"{name}.{field}": info for field, info in section.model_fields.items()}
    return MappingProxyType(named | {"seed": RunConfig.model_fields["seed"]})


def is_live(info: FieldInfo) -> bool:
    """Whether a field may be changed while the run trains."""
    extra = info.json_schema_extra
    return isinstance(extra, dict) and bool(extra.get("live"))


def live_fields() -> tuple[str, ...]:
    """The dotted names of all fields that may be changed while a run trains."""
    return tuple(name for name, info in fields().items() if is_live(info))


def title_of(name: str) -> tuple[str, str]:
    """The title of a dotted name, and its layer or "": of a factor, of the weight it multiplies."""
    field, layer = split_name(name)
    info = fields().get(BY_LAYER[field] if layer else field)
    return (str(info.title) if info else name), layer


def get_value(config: RunConfig, name: str) -> Any:
    """The value of a dotted name, for example ``regularizer.variance_weight``.

    Of ``regularizer.variance_factors.pool`` the factor of the layer ``pool``.
    """
    field, layer = split_name(name)
    _require_known(field)
    value: Any = config
    for part in field.split("."):
        value = getattr(value, part)
    return factor_at(value, layer, field=field) if layer else value


def override(config: RunConfig, changes: Mapping[str, Any]) -> RunConfig:
    """A new configuration with some dotted names set; texts are read as their field's type.

    ``regularizer.variance_factors.pool`` sets the factor of one layer.

    Raises:
        ConfigError: a name that does not exist or a value that its field refuses.
    """
    tree = config.model_dump(mode="python")
    for name, value in changes.items():
        dotted, layer = split_name(name)
        _require_known(dotted)
        section, _, field = dotted.rpartition(".")
        target = tree[section] if section else tree
        if layer:
            target[field] = with_factor(target[field], layer, value, field=dotted)
        else:
            target[field] = parse_text(name, value) if isinstance(value, str) else value
    return validate(tree)


def validate(tree: Mapping[str, Any]) -> RunConfig:
    """A configuration from plain data.

    Raises:
        ConfigError: names the first field at fault, what it expected and what it got.
    """
    try:
        return RunConfig.model_validate(dict(tree))
    except ValidationError as error:
        raise as_config_error(error) from error


def parse_text(name: str, text: str) -> Any:
    """A value typed by a person: a comma makes a list, an empty text or ``none`` means empty."""
    info = fields()[name]
    arguments = get_args(info.annotation)
    if type(None) in arguments and text.strip().lower() in {"", "none"}:
        return None
    if info.annotation is not None and getattr(info.annotation, "__origin__", None) is tuple:
        return tuple(part.strip() for part in text.split(",") if part.strip())
    return text


def as_text(value: Any) -> str:
    """A value as a person types it: what :func:`parse_text` reads back."""
    if value is None:
        return "none"
    if isinstance(value, tuple | list):
        return ",".join(map(str, value))
    return f"{value!r}" if isinstance(value, float) else str(value)


def differences(config: RunConfig, base: RunConfig) -> dict[str, Any]:
    """The settings of ``config`` that ``base`` has otherwise: ``override`` with them gives it."""
    values = {name: get_value(config, name) for name in fields()}
    return {name: value for name, value in values.items() if value != get_value(base, name)}


def _require_known(name: str) -> None:
    if name not in fields():
        known = fields()
        section = name.partition(".")[0]
        near = [field for field in known if field.startswith(f"{section}.")] or list(known)
        raise ConfigError(f"no setting has this name; there are {', '.join(near)}", field=name)


def as_config_error(error: ValidationError) -> ConfigError:
    first = error.errors()[0]
    cause = first.get("ctx", {}).get("error")
    if isinstance(cause, ConfigError):
        return cause
    name = ".".join(str(part) for part in first["loc"] if isinstance(part, str))
    return ConfigError(f"{_expectation(first)}, got {_shown(first['input'])}", field=name)


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return "not a number" if math.isnan(value) else str(_plain(value))
    return repr(value)


def _expectation(problem: Any) -> str:
    """What a field expected, in words, from one of pydantic's problems."""
    limits = problem.get("ctx", {})
    words = {
        "greater_than_equal": "expected {ge} or more",
        "greater_than": "expected more than {gt}",
        "less_than_equal": "expected {le} or less",
        "less_than": "expected less than {lt}",
        "float_parsing": "expected a number",
        "float_type": "expected a number",
        "finite_number": "expected a finite number",
        "int_parsing": "expected a whole number",
        "int_type": "expected a whole number",
        "int_from_float": "expected a whole number",
        "literal_error": "expected one of {expected}",
        "extra_forbidden": "no setting has this name",
        "too_short": "expected at least {min_length}",
        "too_long": "expected at most {max_length}",
    }
    template = words.get(problem["type"])
    if template is None:
        return str(problem["msg"]).lower()
    return template.format(**{name: _plain(limit) for name, limit in limits.items()})


def _plain(value: Any) -> Any:
    """A number as a person writes it: ``0`` for ``0.0``."""
    return f"{value:g}" if isinstance(value, float) else value
