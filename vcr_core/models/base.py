"""What every network of the lab offers, and the table of those there are."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from vcr_core.errors import ConfigError
from vcr_core.models.catalog import DEFAULT_HIDDEN, TIMM_PREFIX, model_info

SMALL_IMAGE = 64  # pixels; up to here networks made for large images get a gentler stem


class Model(nn.Module, ABC):
    """A network with named blocks and a linear classifier on its last features.

    ``block_names``  modules (dotted names) whose outputs may be regularised, input to output
    ``feature_dim``  D of the penultimate features
    ``head``         the classifier, (N, D) -> (N, K)
    ``any_size``     whether it takes images of other sizes than it was built for
    """

    block_names: tuple[str, ...]
    feature_dim: int
    head: nn.Module
    any_size: bool = True

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
    in_shape: tuple[int, ...],
    num_classes: int,
    seed: int | None = None,
    width: int = 16,
    hidden: Sequence[int] = DEFAULT_HIDDEN,
    dropout: float = 0.0,
    norm: str = "default",
    pretrained: str | Path | None = None,
) -> Model:
    """A network for images of shape ``in_shape`` (C, H, W) and K = ``num_classes`` classes.

    Networks of clips take (C, T, H, W) and (N, C, T, H, W).

    Its first weights depend on ``seed`` alone, and the global random state is left as it was.
    ``width``, ``hidden`` and ``norm`` matter to the networks whose catalogue entry names them.
    ``pretrained`` is a file of weights for all but the classifier (see ``load_pretrained``).

    Raises:
        ConfigError: no network has this name (the message lists the known ones), images that it
            cannot take, or weights that do not fit.
    """
    from vcr_core.models.norms import replace_norms
    from vcr_core.models.weights import load_pretrained

    info = model_info(name)
    kind = "clips" if len(in_shape) == 4 else "images"
    if kind not in info.takes:
        raise ConfigError(
            f"expected {' or '.join(info.takes)} for '{name}', got {kind} of shape {in_shape}: "
            "choose another network",
            field="model.name",
        )
    with torch.random.fork_rng(devices=[]):
        if seed is not None:
            torch.manual_seed(seed)
        model = _builder(name)(
            in_shape=in_shape,
            num_classes=num_classes,
            width=width,
            hidden=tuple(hidden),
            dropout=dropout,
            norm=norm,
        )
        if "norm" in info.options:
            replace_norms(model, norm)
    if pretrained is not None:
        load_pretrained(model, pretrained)
    return model


def _builder(name: str) -> Builder:
    if not name.startswith(TIMM_PREFIX):
        return _BUILDERS[name]
    timm_models = import_module("vcr_core.models.timm_models")

    def timm_network(
        *, in_shape: tuple[int, int, int], num_classes: int, dropout: float, **_: Any
    ) -> Model:
        model: Model = timm_models.TimmModel(name, in_shape, num_classes, dropout=dropout)
        return model

    return timm_network
