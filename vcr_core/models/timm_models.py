"""Any network of timm: ``timm:NAME``. Needs the extra: ``pip install 'vcr-lab[timm]'``."""

from __future__ import annotations

import difflib
from importlib import import_module
from typing import Any

from torch import Tensor, nn

from vcr_core.errors import ConfigError
from vcr_core.models.base import Model, classifier
from vcr_core.models.catalog import TIMM_PREFIX, TIMM_TAPS, block_names

FIELD = "model.name"


class Tap(nn.Module):
    """Passes a stage's output on, with maps as (N, C, H, W) whatever their order was."""

    channels_first = True  # read by the regulariser

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    def forward(self, x: Tensor) -> Tensor:
        """The identity, (N, H, W, C) turned to (N, C, H, W)."""
        return x.permute(0, 3, 1, 2) if self.channels_last(x) else x

    def channels_last(self, x: Tensor) -> bool:
        """Whether ``x`` is a map with its channels last."""
        return x.ndim == 4 and x.shape[1] != self.channels and x.shape[3] == self.channels


class TimmModel(Model):
    """A network of timm without its classifier. Its blocks are taps on stages that are spread
    evenly from input to output, then the pooled features.
    """

    def __init__(
        self, name: str, in_shape: tuple[int, int, int], num_classes: int, *, dropout: float
    ) -> None:
        super().__init__()
        self.network, self.any_size = _create(name.removeprefix(TIMM_PREFIX), in_shape)
        stages = _stages(self.network)
        self.taps = nn.ModuleList(Tap(channels) for _, channels in stages)
        for (stage, _), tap in zip(stages, self.taps, strict=True):
            self.network.get_submodule(stage).register_forward_hook(_through(tap))
        self.pool = nn.Identity()
        self.feature_dim = int(
            getattr(self.network, "head_hidden_size", None) or self.network.num_features
        )
        self.head = classifier(self.feature_dim, num_classes, dropout)
        self.block_names = block_names(name)

    def features(self, x: Tensor) -> Tensor:
        """Pooled features (N, D), before the classifier."""
        features: Tensor = self.pool(self.network(x))
        return features


def _through(tap: nn.Module) -> Any:
    def hook(_: nn.Module, __: Any, output: Tensor) -> Tensor:
        tapped: Tensor = tap(output)
        return tapped.permute(0, 2, 3, 1) if tap.channels_last(output) else tapped  # type: ignore[operator]

    return hook


def _create(name: str, in_shape: tuple[int, int, int]) -> tuple[Any, bool]:
    """The network, and whether it takes images of any size."""
    try:
        timm = import_module("timm")
    except ImportError as error:
        raise ConfigError(
            f"expected timm for '{TIMM_PREFIX}{name}', it is not installed: "
            "pip install 'vcr-lab[timm]'",
            field=FIELD,
        ) from error
    if not timm.is_model(name):
        near = difflib.get_close_matches(name, timm.list_models(), n=5, cutoff=0.4)
        raise ConfigError(
            f"expected a network of timm like {', '.join(near)}, got '{name}'", field=FIELD
        )
    options: dict[str, Any] = {"num_classes": 0, "in_chans": in_shape[0]}
    try:
        return timm.create_model(name, **options, img_size=in_shape[1:]), False
    except TypeError:  # networks of convolutions take images of any size
        return timm.create_model(name, **options), True


def _stages(network: Any) -> list[tuple[str, int]]:
    """``TIMM_TAPS`` stages, evenly spread and ending with the last: name of module, channels."""
    known = getattr(network, "feature_info", None) or ()
    stages = [(info["module"], info["num_chs"]) for info in known]
    if len(stages) < TIMM_TAPS:
        raise ConfigError(
            f"expected a network with at least {TIMM_TAPS} named stages, got {len(stages)}: "
            "choose another",
            field=FIELD,
        )
    return [stages[len(stages) * (tap + 1) // TIMM_TAPS - 1] for tap in range(TIMM_TAPS)]
