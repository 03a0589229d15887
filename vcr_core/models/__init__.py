"""Networks with named blocks; importing this does not import torch.

model = build("small-resnet", in_shape=(3, 32, 32), num_classes=6, seed=0)
model.block_names    # ("blocks.0", "blocks.1", "blocks.2", "pool")
model.feature_dim    # 64
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from vcr_core.models.catalog import MODELS, ModelInfo, block_names, model_info

if TYPE_CHECKING:
    from vcr_core.models.base import Model, build, registered

_FAMILIES = ("mlp", "resnets", "convnexts", "transformers", "small_resnet", "video")

__all__ = [
    "MODELS",
    "Model",
    "ModelInfo",
    "block_names",
    "build",
    "model_info",
    "registered",
]


def __getattr__(name: str) -> Any:
    if name in {"Model", "build", "registered"}:
        for family in _FAMILIES:
            import_module(f"vcr_core.models.{family}")
        return getattr(import_module("vcr_core.models.base"), name)
    raise AttributeError(f"module 'vcr_core.models' has no attribute '{name}'")
