from __future__ import annotations

from typing import NamedTuple

from torch import nn


class StatedSizes(NamedTuple):
    widths: tuple[int, ...] = ()


class Layout(NamedTuple):
    feature_axis: int
    batch_axis: int


NOTHING_STATED = StatedSizes()


def stated_sizes(model: nn.Module, name: str) -> StatedSizes:
    return StatedSizes()


def layout_of(shape, stated, *, layer, feature_axis=None, batch_first=None, order_matters=False):
    axis = len(shape) - 1 if len(shape) < 4 else 1
    return Layout(axis if feature_axis is None else feature_axis, 1 if batch_first is False else 0)
