"""A multi-layer perceptron: the network whose features collapse most readily."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from torch import Tensor, nn

from vcr_core.models.base import Model, classifier, register


class MLP(Model):
    """Flattened pixels, then per hidden size a linear layer, a norm where one is asked for, and a
    ReLU."""

    any_size = False

    def __init__(
        self,
        in_shape: tuple[int, ...],
        num_classes: int,
        *,
        hidden: Sequence[int],
        dropout: float,
        norm: str = "default",
    ) -> None:
        super().__init__()
        sizes = (math.prod(in_shape), *hidden)
        self.flatten = nn.Flatten()
        self.blocks = nn.Sequential(
            *(
                nn.Sequential(nn.Linear(before, after), *_norm(norm, after), nn.ReLU())
                for before, after in pairwise(sizes)
            )
        )
        self.feature_dim = sizes[-1]
        self.head = classifier(self.feature_dim, num_classes, dropout)
        self.block_names = tuple(f"blocks.{index}" for index in range(len(self.blocks)))

    def features(self, x: Tensor) -> Tensor:
        """Penultimate features (N, last hidden size)."""
        features: Tensor = self.blocks(self.flatten(x))
        return features


@register
def mlp(
    *,
    in_shape: tuple[int, ...],
    num_classes: int,
    hidden: Sequence[int],
    dropout: float,
    norm: str = "default",
    **_: Any,
) -> MLP:
    """The perceptron for images (C, H, W) or clips (C, T, H, W)."""
    return MLP(in_shape, num_classes, hidden=hidden, dropout=dropout, norm=norm)


def _norm(kind: str, features: int) -> list[nn.Module]:
    """The norm of a layer with so many features; none for "default" and "none"."""
    kinds: dict[str, type[nn.Module]] = {"batch": nn.BatchNorm1d, "layer": nn.LayerNorm}
    return [kinds[kind](features)] if kind in kinds else []
