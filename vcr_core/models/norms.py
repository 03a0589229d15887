"""Another normalisation in a network that is built already: batch, layer or none."""

from __future__ import annotations

from torch import Tensor, nn
from torchvision.models.convnext import LayerNorm2d


class TokenBatchNorm(nn.Module):
    """Batch norm of the last dimension: every token or place (…, D) is a sample."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(features)

    def forward(self, x: Tensor) -> Tensor:
        """(…, D) -> (…, D)."""
        normed: Tensor = self.norm(x.flatten(0, -2))
        return normed.view(x.shape)


def replace_norms(network: nn.Module, kind: str) -> None:
    """Put ``kind`` ("batch", "layer", "none"; "default" changes nothing) in place of every norm.

    Maps (N, C, H, W) are layer-normalised over C at every place, as ConvNeXt does.
    """
    if kind == "default":
        return
    for name, module in list(network.named_modules()):
        replacement = _replacement(module, kind)
        if replacement is not None:
            network.set_submodule(name, replacement)


def _replacement(module: nn.Module, kind: str) -> nn.Module | None:
    """The new norm for a norm; None for anything else, and for a norm of this kind already."""
    if not isinstance(module, (nn.BatchNorm2d, nn.LayerNorm)):
        return None
    if kind == "none":
        return nn.Identity()
    if isinstance(module, nn.BatchNorm2d):
        return None if kind == "batch" else LayerNorm2d(module.num_features)
    if kind == "layer":
        return None
    size = module.normalized_shape[0]
    return nn.BatchNorm2d(size) if isinstance(module, LayerNorm2d) else TokenBatchNorm(size)
