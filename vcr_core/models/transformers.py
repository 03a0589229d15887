"""Torchvision's vision transformer, base and small enough for a laptop."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torchvision.models.vision_transformer import VisionTransformer, interpolate_embeddings

from vcr_core.errors import ConfigError
from vcr_core.models.base import SMALL_IMAGE, Model, classifier, register
from vcr_core.models.catalog import SMALL_VIT_DEPTH, VIT_B_DEPTH, block_names

LARGE_PATCH = 32
HEADS = 4
COLOURS = 3


class ViT(Model):
    """A vision transformer (Dosovitskiy et al., arXiv 2010.11929); features are its class token.

    Images of up to 64 pixels are cut into patches of 4 pixels (or 2, or 1, whichever divides
    them), larger ones into patches of 32.
    """

    any_size = False

    def __init__(
        self,
        name: str,
        in_shape: tuple[int, int, int],
        num_classes: int,
        *,
        depth: int,
        heads: int,
        hidden_dim: int,
        mlp_dim: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.image_size, self.patch_size = in_shape[1], _patch(in_shape)
        self.network = VisionTransformer(
            image_size=self.image_size,
            patch_size=self.patch_size,
            num_layers=depth,
            num_heads=heads,
            hidden_dim=hidden_dim,
            mlp_dim=mlp_dim,
        )
        if in_shape[0] != COLOURS:
            self.network.conv_proj = nn.Conv2d(
                in_shape[0], hidden_dim, self.patch_size, self.patch_size
            )
        self.network.heads = nn.Identity()
        self.feature_dim = hidden_dim
        self.head = classifier(self.feature_dim, num_classes, dropout)
        self.block_names = block_names(name)

    def features(self, x: Tensor) -> Tensor:
        """The normalised class token, (N, hidden_dim)."""
        features: Tensor = self.network(x)
        return features

    def fitted(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Weights with the position embedding resampled to this image size."""
        if "encoder.pos_embedding" not in state:
            return state
        resized: dict[str, Tensor] = interpolate_embeddings(
            self.image_size,
            self.patch_size,
            state,
        )
        return resized


def _patch(in_shape: tuple[int, int, int]) -> int:
    _, height, width = in_shape
    if height != width:
        raise ConfigError(
            f"expected square images for a vision transformer, got {height} by {width} pixels: "
            "choose another network",
            field="model.name",
        )
    if height > SMALL_IMAGE:
        if height % LARGE_PATCH:
            raise ConfigError(
                f"expected images of a multiple of {LARGE_PATCH} pixels for a vision transformer, "
                f"got {height}: choose data.image_size={height // LARGE_PATCH * LARGE_PATCH}",
                field="data.image_size",
            )
        return LARGE_PATCH
    largest = 4 if height > 16 else 2
    return max(patch for patch in range(1, largest + 1) if height % patch == 0)


@register
def vit_b_32(*, in_shape: tuple[int, int, int], num_classes: int, dropout: float, **_: Any) -> ViT:
    """ViT-B/32 for images (C, H, W)."""
    return ViT(
        "vit-b-32",
        in_shape,
        num_classes,
        depth=VIT_B_DEPTH,
        heads=12,
        hidden_dim=768,
        mlp_dim=3072,
        dropout=dropout,
    )


@register
def small_vit(
    *, in_shape: tuple[int, int, int], num_classes: int, width: int, dropout: float, **_: Any
) -> ViT:
    """Four layers of 4 · ``width`` features."""
    return ViT(
        "small-vit",
        in_shape,
        num_classes,
        depth=SMALL_VIT_DEPTH,
        heads=HEADS,
        hidden_dim=4 * width,
        mlp_dim=8 * width,
        dropout=dropout,
    )
