"""Other regularisers behind one selector, to be compared with ours at the same place.

    rival = attach_rival("decov", model, strength=0.1)
    loss = task_loss(model(x), y) + rival.penalty()

Every rival's penalty is a formula on the features (N, D) of a layer, on the logits (N, K) or on the
weights; the samples of maps and tokens are counted as ours are. Plain autograd, no fast path.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from vcr_core.errors import ConfigError
from vcr_core.regularization.checkpointing import recomputing
from vcr_core.regularization.options import checked_weight
from vcr_core.regularization.samples import require_features, to_rows
from vcr_core.regularization.terms import (
    covariance_matrix,
    covariance_penalty,
    statistics_dtype,
    variance_penalty,
)
from vcr_core.regularization.where import Layers, resolve_layers

SKETCHED_DIRECTIONS = 64
STEPS_APART = 1_000_003  # between the sketches of two seeds


def decov(z: Tensor) -> Tensor:
    """½ (‖C‖_F² − ‖diag C‖²) with C over N, not N − 1.

    Source: Cogswell et al., "Reducing Overfitting in Deep Networks by Decorrelating
    Representations", arXiv 1511.06068, equation 1.
    """
    covariance = covariance_matrix(z) * ((z.shape[0] - 1) / z.shape[0])
    return 0.5 * (covariance.square().sum() - covariance.diagonal().square().sum())


def spectral_decoupling(logits: Tensor) -> Tensor:
    """½ · mean over samples of ‖logits‖², (N, K).

    Source: Pezeshki et al., "Gradient Starvation: A Learning Proclivity in Neural Networks",
    arXiv 2011.09468, section 3.
    """
    return 0.5 * logits.float().square().sum(dim=-1).mean()


def weak_sigreg(z: Tensor, directions: Tensor) -> Tensor:
    """Mean squared distance of the sketched covariance from the identity.

    1/K² · ‖Sᵀ C S − I‖_F² with S (D, K) = ``directions`` with orthonormal columns, K ≤ D.
    Source: "Weak-SIGReg", arXiv 2603.05924 (sketched covariance towards the identity); its exact
    normaliser is not verified here.
    """
    sketched = z.to(directions.dtype) @ directions
    covariance = covariance_matrix(sketched)
    return (covariance - torch.eye(len(covariance), device=z.device)).square().mean()


def vicreg_terms(z: Tensor) -> Tensor:
    """½ · variance term + 1/25 · covariance over D: VICReg's 25 : 1, halved as in its code.

    Source: Bardes et al., arXiv 2105.04906, and facebookresearch/vicreg.
    """
    return 0.5 * variance_penalty(z) + (z.shape[1] - 1) / 25 * covariance_penalty(z)


def weight_decay(model: nn.Module) -> Tensor:
    """½ Σ ‖W‖² over weight matrices and kernels, biases and norms left out."""
    squares = [p.square().sum() for p in model.parameters() if p.requires_grad and p.ndim > 1]
    return 0.5 * torch.stack(squares).sum()


class Rival(NamedTuple):
    """A regulariser: what its strength means, where it comes from, and where it acts."""

    description: str
    source: str
    place: str  # "layers", "sketch" (of layers), "output", "weights", "dropout" or "nowhere"
    penalty: Callable[[Tensor], Tensor] = torch.zeros_like


RIVALS: dict[str, Rival] = {
    "none": Rival("no regularisation", "", "nowhere"),
    "weight-decay": Rival(
        "half the squared norm of the weights", "Krogh and Hertz, 1991", "weights"
    ),
    "dropout": Rival(
        "share of features set to 0 at each layer", "Srivastava et al., JMLR 2014", "dropout"
    ),
    "decov": Rival("squared covariances of features", "arXiv 1511.06068", "layers", decov),
    "spectral-decoupling": Rival(
        "half the squared norm of the logits", "arXiv 2011.09468", "output", spectral_decoupling
    ),
    "weak-sigreg": Rival("sketched covariance towards the identity", "arXiv 2603.05924", "sketch"),
    "vicreg": Rival(
        "VICReg's variance and covariance terms", "arXiv 2105.04906", "layers", vicreg_terms
    ),
}


class AttachedRival:
    """The handle of a rival, with the interface of ``Regularization`` as far as it applies."""

    def __init__(
        self, name: str, model: nn.Module, strength: float, layers: Layers, seed: int
    ) -> None:
        self.name = name
        self.rival = _known(name)
        self._model = model
        self._pending: list[Tensor] = []
        self._penalty: Tensor | None = None
        self._seed = seed
        self._generator = torch.Generator().manual_seed(seed)
        self.set_strength(strength)
        places: dict[str, Sequence[str]] = {"output": ("",), "weights": (), "nowhere": ()}
        found = places.get(self.rival.place)
        self.layer_names = tuple(resolve_layers(model, layers) if found is None else found)
        self._hooks = [
            model.get_submodule(layer).register_forward_hook(self._hook)
            for layer in self.layer_names
        ]

    def set_strength(self, strength: float) -> None:
        """Change the factor on the penalty, or the share that dropout drops."""
        self.strength = checked_weight("strength", strength)
        if self.rival.place == "dropout" and self.strength >= 1:
            raise ConfigError(
                f"expected a share from 0 up to but not 1, got {strength!r}", field="strength"
            )

    def begin_step(self, step: int) -> None:
        """Let the sketches of a step depend on the seed and the step alone."""
        self._generator.manual_seed(self._seed * STEPS_APART + step)

    def penalty(self) -> Tensor:
        """Strength times the penalty of all training forwards since the last call."""
        if self.rival.place == "weights" and self.strength > 0:
            return self.strength * weight_decay(self._model)
        if self._pending:
            self._penalty = torch.stack(self._pending).sum()
            self._pending = []
        idle = self._penalty is None or self.strength == 0
        return torch.zeros(()) if idle else self._penalty  # type: ignore[return-value]

    def remove(self) -> None:
        """Take the rival off the model."""
        for hook in self._hooks:
            hook.remove()
        self._hooks, self._pending, self._penalty = [], [], None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()

    def _hook(self, module: nn.Module, args: Any, output: Tensor) -> Tensor | None:
        if not (module.training and torch.is_grad_enabled() and self.strength > 0):
            return None
        if self.rival.place == "dropout":
            return functional.dropout(output, self.strength)
        if not recomputing():
            self._pending.append(self.strength * self._value(output))
        return None

    def _value(self, output: Tensor) -> Tensor:
        with torch.autocast(output.device.type, enabled=False):
            if self.rival.place == "output":
                return spectral_decoupling(output)
            require_features(output)
            rows = to_rows(output)
            rows = rows.to(statistics_dtype(rows.dtype))
            if self.rival.place == "sketch":
                return weak_sigreg(rows, self._directions(rows))
            value: Tensor = self.rival.penalty(rows)
            return value

    def _directions(self, rows: Tensor) -> Tensor:
        size = rows.shape[1]
        drawn = torch.randn(size, min(size, SKETCHED_DIRECTIONS), generator=self._generator)
        orthonormal: Tensor = torch.linalg.qr(drawn)[0]
        return orthonormal.to(rows)


def attach_rival(
    name: str,
    model: nn.Module,
    *,
    strength: float,
    layers: Layers = "blocks",
    seed: int = 0,
) -> AttachedRival:
    """Regularise ``model`` by the rival ``name`` of ``RIVALS``.

    Args:
        name: a key of ``RIVALS``.
        model: any module; for "spectral-decoupling" its output is taken as the logits.
        strength: factor on the rival's penalty; for "dropout" the share that is dropped.
        layers: where the rivals that act on features act, as in ``attach``.
        seed: of the generator that draws sketches.

    Raises ``ConfigError`` for a rival that does not exist or a strength that is negative.
    """
    return AttachedRival(name, model, strength, layers, seed)


def _known(name: str) -> Rival:
    if name not in RIVALS:
        raise ConfigError(f"expected one of {', '.join(RIVALS)}, got {name!r}", field="regularizer")
    return RIVALS[name]
