"""``attach``: the regulariser on the layers of any model, in one line.

handle = attach(model, variance_weight=1.0, covariance_weight=1.0)
loss = task_loss(model(x), y) + handle.penalty()
loss.backward()
"""

from __future__ import annotations

from collections.abc import Sequence
from types import EllipsisType, TracebackType
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor, nn

from vcr_core.errors import LayerNotFoundError
from vcr_core.regularization.function import penalized_identity, row_statistics
from vcr_core.regularization.samples import sample_count
from vcr_core.regularization.settings import Strength
from vcr_core.regularization.terms import covariance_term, variance_term
from vcr_core.regularization.where import resolve_layers


class LayerTerms(NamedTuple):
    """The unweighted terms of one layer, detached scalars on the layer's device."""

    variance: Tensor
    covariance: Tensor


class LayerMoments(NamedTuple):
    """Mean (D,), unbiased covariance (D, D) and number of samples of one layer, detached."""

    mean: Tensor
    covariance: Tensor
    count: int  # type: ignore[assignment]


class AttachedLayer:
    """The forward hook of one layer, and what it saw last."""

    def __init__(self, name: str, strength: Strength) -> None:
        self.name = name
        self.strength = strength
        self.record = False
        self.pending: list[Tensor] = []
        self.last_terms: Tensor | None = None
        self.last_moments: LayerMoments | None = None

    def __call__(self, module: nn.Module, args: Any, output: Any) -> Any:
        """Forward hook: hand the features on, and note their penalty."""
        if not module.training or not torch.is_grad_enabled():
            return None
        if isinstance(output, (tuple, list)):
            first = self._regularize(output[0])
            return None if first is output[0] else _with_first(output, first)
        return self._regularize(output)

    def _regularize(self, z: Tensor) -> Tensor:
        if not (self.strength.active and z.requires_grad):
            if self.record:
                self.last_terms = None
                mean, covariance = row_statistics(z.detach(), layer=self.name)
                self.last_moments = LayerMoments(mean, covariance, sample_count(z))
            return z
        measured = penalized_identity(
            z, self.strength.weights(), self.strength.options, layer=self.name
        )
        if torch.compiler.is_compiling() or not _in_backward():
            self.pending.append(measured.value)
            self.last_terms = measured.terms
            if self.record:
                self.last_moments = LayerMoments(
                    measured.mean, measured.covariance, sample_count(z)
                )
        return measured.output

    def terms(self) -> LayerTerms | None:
        """The terms of the last measured forward, if there was one."""
        if self.last_terms is not None:
            return LayerTerms(self.last_terms[0], self.last_terms[1])
        if self.last_moments is None:
            return None
        covariance, options = self.last_moments.covariance, self.strength.options
        return LayerTerms(
            variance_term(covariance.diagonal(), target_std=options.target_std, eps=options.eps),
            covariance_term(covariance, threshold=options.threshold),
        )

    def forget(self) -> None:
        """Drop everything seen."""
        self.pending, self.last_terms, self.last_moments = [], None, None


class Regularization:
    """The handle that ``attach`` returns. A context manager: leaving it removes the regulariser.

    ``record``: while true, training forwards also keep each layer's moments, even where the
    weights are 0; while false nothing D×D is kept between steps.
    """

    def __init__(self, model: nn.Module, layers: Sequence[AttachedLayer]) -> None:
        self._layers = {layer.name: layer for layer in layers}
        self._hooks = [model.get_submodule(x.name).register_forward_hook(x) for x in layers]
        self._penalty: Tensor | None = None
        self._record = False

    @property
    def layer_names(self) -> tuple[str, ...]:
        """The regularised layers, in the order of the model."""
        return tuple(self._layers)

    @property
    def record(self) -> bool:
        """Whether forwards keep each layer's moments."""
        return self._record

    @record.setter
    def record(self, value: bool) -> None:
        self._record = value
        for layer in self._layers.values():
            layer.record = value
            if not value:
                layer.last_moments = None

    def set_weights(
        self,
        variance_weight: float | None = None,
        covariance_weight: float | None = None,
        *,
        target_std: float | None = None,
        threshold: float | EllipsisType | None = ...,
        layer: str | None = None,
    ) -> None:
        """Change weights or options from the next forward on; what is not given stays.

        ``threshold=None`` returns to the plain square. ``layer`` limits the change to one layer.
        Raises ``ConfigError`` for bad numbers, ``LayerNotFoundError`` for an unknown layer.
        """
        for chosen in self._choose(layer):
            chosen.strength.set_weights(variance_weight, covariance_weight)
            if target_std is not None:
                chosen.strength.set_target_std(target_std)
            if not isinstance(threshold, EllipsisType):
                chosen.strength.set_threshold(threshold)
        if not any(each.strength.active for each in self._layers.values()):
            self._penalty = None

    def penalty(self) -> Tensor:
        """Σ over layers of α · l_var + β · l_cov: add it to the loss of every training step.

        Covers all training forwards since the last call; called again without a forward it returns
        the same tensor. A plain zero where all weights are 0, or in ``eval()``.
        """
        values = [value for layer in self._layers.values() for value in layer.pending]
        for layer in self._layers.values():
            layer.pending = []
        if values:
            device = values[-1].device
            self._penalty = torch.stack([value.to(device) for value in values]).sum()
        return torch.zeros(()) if self._penalty is None else self._penalty

    def terms(self) -> dict[str, LayerTerms]:
        """Each layer's unweighted terms at its last measured forward; no transfer to the host."""
        found = {name: layer.terms() for name, layer in self._layers.items()}
        return {name: terms for name, terms in found.items() if terms is not None}

    def moments(self) -> dict[str, LayerMoments]:
        """Each layer's moments at its last forward under ``record``; no transfer to the host."""
        found = {name: layer.last_moments for name, layer in self._layers.items()}
        return {name: moments for name, moments in found.items() if moments is not None}

    def remove(self) -> None:
        """Take the regulariser off the model, without a trace. May be called twice."""
        for hook in self._hooks:
            hook.remove()
        for layer in self._layers.values():
            layer.forget()
        self._hooks, self._penalty = [], None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.remove()

    def _choose(self, layer: str | None) -> Sequence[AttachedLayer]:
        if layer is None:
            return tuple(self._layers.values())
        if layer not in self._layers:
            known = ", ".join(self._layers)
            raise LayerNotFoundError(
                f"the regulariser is not attached to {layer!r}: it is attached to {known}"
            )
        return (self._layers[layer],)


def attach(
    model: nn.Module,
    *,
    variance_weight: float,
    covariance_weight: float,
    layers: str | Sequence[str] = "blocks",
    target_std: float = 1.0,
    eps: float = 1e-4,
    threshold: float | None = None,
) -> Regularization:
    """Regularise layers of ``model`` through forward hooks.

    Args:
        model: any module; its forward stays bit-identical.
        variance_weight: α ≥ 0, exact convention (see ``terms.py``).
        covariance_weight: β ≥ 0, exact convention.
        layers: ``"blocks"``, ``"last"``, names or patterns (see ``resolve_layers``).
        target_std: γ, in the units of the features.
        eps: added to the variances inside the root.
        threshold: δ of the smooth-L1 form of the covariance term; ``None`` for the square.

    Returns a handle whose ``penalty()`` is to be added to the loss. Raises ``ConfigError`` for bad
    weights and ``LayerNotFoundError`` for layers that the model does not have.
    """
    names = resolve_layers(model, layers)
    return Regularization(
        model,
        [
            AttachedLayer(
                name,
                Strength(
                    variance_weight,
                    covariance_weight,
                    target_std=target_std,
                    eps=eps,
                    threshold=threshold,
                ),
            )
            for name in names
        ],
    )


def _in_backward() -> bool:
    """Whether this forward is a checkpoint's recomputation, inside a backward pass."""
    return torch._C._current_graph_task_id() != -1


def _with_first(output: Any, first: Tensor) -> Any:
    """The tuple ``output`` with its first element replaced, of the same type."""
    if hasattr(output, "_replace"):
        return output._replace(**{output._fields[0]: first})
    return type(output)((first, *output[1:]))
