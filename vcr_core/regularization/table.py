"""A handle in print: a row a layer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from torch import nn

from vcr_core.regularization.hook import AttachedLayer

HEAD = ("layer", "class", "a sample is", "features", "weights (variance, covariance)")
UNKNOWN = "known after an uncompiled forward"


def table_of(model: nn.Module, layers: Mapping[str, AttachedLayer]) -> str:
    """Layer, class, what a sample is, number of features and weights of every attached layer."""
    rows = [_row(model.get_submodule(name), layer) for name, layer in layers.items()]
    widths = [max(len(row[place]) for row in (HEAD, *rows)) for place in range(len(HEAD))]
    return "\n".join(_line(row, widths) for row in (HEAD, *rows))


def _row(module: nn.Module, layer: AttachedLayer) -> tuple[str, ...]:
    strength = layer.strength
    weights = (
        f"{strength.variance_weight:g}, {strength.covariance_weight:g} ({strength.options.scale})"
    )
    return layer.name, type(module).__name__, *_sample(layer), weights


def _sample(layer: AttachedLayer) -> tuple[str, str]:
    """What a sample of the layer is, and how many features it has."""
    if layer.known_layout is None:  # not yet, or compiled code has seen it alone
        read = layer.readings
        return UNKNOWN, "?" if read is None else str(len(read.variances))
    shape, layout = layer.known_layout
    options = layer.strength.options
    count = str(shape[layout.feature_axis])
    if len(shape) == 2:
        return "an image (a row)", count
    if options.pooled:
        return "an image (the mean of its places)", count
    if len(shape) == 3 and layout.feature_axis == 2:
        kinds = {"all": "a token", "patches": "a patch token", "class": "a class token"}
        return f"{kinds[options.tokens]} (axes {_others(layout.feature_axis, 3)})", count
    return f"a place (axes {_others(layout.feature_axis, len(shape))})", count


def _others(feature_axis: int, dimensions: int) -> str:
    return ", ".join(str(axis) for axis in range(dimensions) if axis != feature_axis)


def _line(cells: Iterable[str], widths: Iterable[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()
