"""Weights by layer: ``pool=3`` makes a weight three times as strong at the layer ``pool``.

The settings named here hold such entries. Each layer's can be read and set under a name of its
own, ``regularizer.variance_factors.pool``, wherever a setting has a name. Imports no torch.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from vcr_core.errors import ConfigError

#: Settings with entries by layer, and the setting that the entries multiply.
BY_LAYER: Mapping[str, str] = {
    "regularizer.variance_factors": "regularizer.variance_weight",
    "regularizer.covariance_factors": "regularizer.covariance_weight",
}
LARGEST = 1e6


def split_name(name: str) -> tuple[str, str]:
    """The field that a dotted name belongs to, and the layer where it names one, else ""."""
    for field in BY_LAYER:
        if name.startswith(f"{field}."):
            return field, name.removeprefix(f"{field}.")
    return name, ""


def parse_entry(entry: str, *, field: str) -> tuple[str, float]:
    """Name or pattern and factor of ``pool=3``.

    Raises:
        ConfigError: it is none.
    """
    pattern, equals, number = (part.strip() for part in entry.rpartition("="))
    if not equals or not pattern:
        raise ConfigError(f"expected layer=factor, for example pool=3, got '{entry}'", field=field)
    return pattern, checked_factor(number, field=field)


def checked_factor(value: Any, *, field: str) -> float:
    """A factor as a number of at least 0.

    Raises:
        ConfigError: it is none.
    """
    try:
        factor = float(value)
    except (TypeError, ValueError):
        factor = math.nan
    if not 0 <= factor <= LARGEST or isinstance(value, bool):
        raise ConfigError(f"expected a factor from 0 to {LARGEST:g}, got '{value}'", field=field)
    return factor


def factor_at(entries: Sequence[str], layer: str, *, field: str) -> float:
    """The factor of a layer: of the last name or pattern that matches it, else 1."""
    factor = 1.0
    for entry in entries:
        pattern, value = parse_entry(entry, field=field)
        if layer == pattern or fnmatchcase(layer, pattern):
            factor = value
    return factor


def with_factor(entries: Sequence[str], layer: str, value: Any, *, field: str) -> tuple[str, ...]:
    """The entries with the factor of one layer set.

    Raises:
        ConfigError: the value is no factor.
    """
    factor = checked_factor(value, field=f"{field}.{layer}")
    others = tuple(entry for entry in entries if parse_entry(entry, field=field)[0] != layer)
    if factor_at(others, layer, field=field) == factor:
        return others
    return (*others, f"{layer}={shown_factor(factor)}")


def shown_factor(factor: float) -> str:
    """A factor as a person writes it, no digit lost: ``3``, ``0.1``."""
    short = f"{factor:g}"
    return short if float(short) == factor else repr(factor)
