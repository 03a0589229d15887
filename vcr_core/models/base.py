"""What every network of the lab offers, and the table of those there are."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from vcr_core.models.catalog import DEFAULT_HIDDEN, model_info


class Model(nn.Module, ABC):
    """A network with named blocks and a linear classifier on its last features.

    ``block_names``  modules (dotted names) whose outputs may be regularised, input to output
    ``feature_dim``  D of the penultimate features
    ``head``         the classifier, (N, D) -> (N, K)
    """

    block_names: tuple[str, ...]
    feature_dim: int
    head: nn.Module

    @abstractmethod
    def features(self, x: Tensor) -> Tensor:
        """Penultimate features (N, D) of images (N, C, H, W)."""

    def forward(self, x: Tensor) -> Tensor:
        """Logits (N, K) of images (N, C, H, W)."""
        logits: Tensor = self.head(self.features(x))
        return logits


def classifier(feature_dim: int, num_classes: int, dropout: float) -> nn.Sequential:
    """Dropout, then a linear layer: (N, D) -> (N, K)."""
    return nn.Sequential(nn.Dropout(dropout), nn.Linear(feature_dim, num_classes))


Builder = Callable[..., Model]
_BUILDERS: dict[str, Builder] = {}


def register(builder: Builder) -> Builder:
    """Offer a builder under its function name, underscores as hyphens.

    Raises:
        ValueError: the name is taken.
    """
    name = builder.__name__.replace("_", "-")
    if name in _BUILDERS:
        raise ValueError(f"a network called '{name}' is registered already")
    _BUILDERS[name] = builder
    return builder


def registered() -> tuple[str, ...]:
    """The names of all networks that can be built."""
    return tuple(_BUILDERS)


def build(
    name: str,
    *,
    in_shape: tuple[int, int, int],
    num_classes: int,
    seed: int | None = None,
    width: int = 16,
    hidden: Sequence[int] = DEFAULT_HIDDEN,
    dropout: float = 0.0,
) -> Model:
    """A network for images of shape ``in_shape`` (C, H, W) and K = ``num_classes`` classes.

    Its first weights depend on ``seed`` alone, and the global random state is left as it was.
    ``width`` and ``hidden`` matter to the networks whose catalogue entry names them.

    Raises:
        ConfigError: no network has this name; the message lists the known ones.
    """
    model_info(name)
    with torch.random.fork_rng(devices=[]):
        if seed is not None:
            torch.manual_seed(seed)
        return _BUILDERS[name](
            in_shape=in_shape,
            num_classes=num_classes,
            width=width,
            hidden=tuple(hidden),
            dropout=dropout,
        )
