"""Other regularisers behind one selector, to be compared with ours at the same place.

    rival = attach_rival("decov", model, strength=0.1)
    loss = task_loss(model(x), y) + rival.penalty()

Every rival's penalty is a formula on the features (N, D) of a layer, on the logits (N, K) or on the
weights; the samples of maps and tokens are counted as ours are. Plain autograd, no fast path.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple, Self, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional

from vcr_core.errors import (
    ConfigError,
    FeatureError,
    LayerNotMeasuredError,
    PenaltyNotAddedError,
)
from vcr_core.regularization.attempts import failed, is_nested
from vcr_core.regularization.axes import layout_of, stated_sizes
from vcr_core.regularization.checkpointing import in_reentrant_checkpoint, recomputing
from vcr_core.regularization.compiled import OUTSIDE, leave_to_python, never_traced
from vcr_core.regularization.contract import Missing, StepContract, why_unmeasured
from vcr_core.regularization.layouts import canonical
from vcr_core.regularization.options import (
    checked_seed,
    checked_weight,
    require_axis,
    require_one_of,
)
from vcr_core.regularization.outputs import called, features_in, with_features
from vcr_core.regularization.rival_hooks import (
    RivalHook,
    RivalLayer,
    Visit,
    out_of_checkpoints,
    require_free,
)
from vcr_core.regularization.samples import draw_seed, require_features, require_floats, to_rows
from vcr_core.regularization.terms import (
    covariance_matrix,
    covariance_penalty,
    statistics_dtype,
    variance_penalty,
)
from vcr_core.regularization.where import Layers, matching_names, resolve_layers

SKETCHED_DIRECTIONS = 64
STEPS_APART = 1_000_003  # between the sketches of two seeds
MOST_PENDING = 64  # forwards of a layer whose penalty nobody asks for


def decov(z: Tensor) -> Tensor:
    """½ (‖C‖_F² − ‖diag C‖²) with C over N, not N − 1.

    Source: Cogswell et al., "Reducing Overfitting in Deep Networks by Decorrelating
    Representations", arXiv 1511.06068, equation 1.
    """
    count, size = z.shape
    return 0.5 * size * (size - 1) * (1 - 1 / count) ** 2 * covariance_penalty(z)


def spectral_decoupling(logits: Tensor) -> Tensor:
    """½ · mean over samples of ‖logits‖², (N, K).

    Source: Pezeshki et al., "Gradient Starvation: A Learning Proclivity in Neural Networks",
    arXiv 2011.09468, section 3.
    """
    return 0.5 * logits.to(statistics_dtype(logits.dtype)).square().sum(dim=-1).mean()


def weak_sigreg(z: Tensor, directions: Tensor) -> Tensor:
    """Mean squared distance of the sketched covariance from the identity.

    1/K² · ‖Sᵀ C S − I‖_F² with S (D, K) = ``directions`` with orthonormal columns, K ≤ D.

    Source: "Weak-SIGReg", arXiv 2603.05924, after its authors' code (kreasof-ai/sigreg), which has
    another normaliser. There the penalty is λ · ‖S C Sᵀ − I‖_F: the norm, not its square, and not
    divided by K²; S holds normal numbers over √D, and is left out where D ≤ 64. No factor alone
    translates one into the other. With d the norm at hand, a strength s here pulls as hard as
    λ = 2 s d / K² there; where features have collapsed d is √K, so that λ = 2 s / K^1.5. Of a
    penalty λ · ‖·‖_F² without K², λ = s / K². Their code also averages over layers; ours sums.
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
    """½ Σ ‖W‖² over weight matrices and kernels that train, biases and norms left out.

    0 where there are none. In float32 or float64, on the first one's device.
    """
    weights = [p for p in model.parameters() if p.requires_grad and p.ndim > 1]
    if not weights:
        return torch.zeros(())
    squares = [p.to(statistics_dtype(p.dtype)).square().sum() for p in weights]
    return 0.5 * torch.stack([each.to(weights[0].device) for each in squares]).sum()


def logits_in(output: Tensor, layer: str) -> Tensor:
    """Logits (n, K) in a model's output, where every location or token has its own.

    Raises ``FeatureError`` for an output that cannot be logits.
    """
    if not output.is_floating_point() or not 1 <= output.ndim <= 5:
        raise FeatureError(
            f"{called(layer)}: expected logits of shape (N, K), got {output.dtype} of shape "
            f"{tuple(output.shape)}: give it a model whose output is the logits"
        )
    return output[:, None] if output.ndim == 1 else to_rows(output)


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
    """The handle of a rival, with the interface of ``Regularization`` as far as it applies.

    A copy or pickle of the model alone is not regularised; copied together, the copy of the handle
    acts on the copy of the model.
    """

    _penalty: Tensor | None
    _pending: list[Tensor]
    _attempt: list[Tensor] | None  # of a compiled forward that has not ended

    def __init__(
        self,
        name: str,
        model: nn.Module,
        *,
        strength: float,
        layers: Layers,
        feature_axis: int | None,
        missing: Missing,
        sometimes: Sequence[str],
        seed: int,
    ) -> None:
        self.name = name
        self.rival = _known(name)
        self._seed = checked_seed(seed)
        self._generator = torch.Generator().manual_seed(self._seed)
        places: dict[str, Sequence[str]] = {"output": ("",), "weights": (), "nowhere": ()}
        found = places.get(self.rival.place)
        self.layer_names = tuple(resolve_layers(model, layers) if found is None else found)
        modules = {layer: model.get_submodule(layer) for layer in self.layer_names}
        for layer, module in modules.items():
            require_free(module, name, layer)
        self._model = model
        require_axis(feature_axis)
        self._feature_axis = feature_axis
        measured = self.layer_names if self.rival.place != "dropout" else ()
        optional = matching_names(self.layer_names, sometimes)
        self._layers = {layer: RivalLayer(layer, layer in optional) for layer in measured}
        require_one_of("missing", missing, get_args(Missing))
        self._contract = StepContract(tuple(self._layers.values()), missing)
        self.set_strength(strength)
        self._stated = {layer: stated_sizes(model, layer) for layer in modules if layer}
        self._layer_hooks = {layer: RivalHook(name) for layer in self.layer_names}
        self._before, self._after = RivalHook(name), RivalHook(name)
        self._handles = [
            modules[layer].register_forward_hook(hook) for layer, hook in self._layer_hooks.items()
        ]
        if self.layer_names:
            leave_to_python(RivalHook.__call__, AttachedRival._begin, AttachedRival._end)
            self._handles += [
                model.register_forward_pre_hook(self._before),
                model.register_forward_hook(self._after, always_call=True),
            ]
        self._forget()
        self._link()

    def set_strength(self, strength: float) -> None:
        """Change the factor on the penalty, or the share that dropout drops."""
        self.strength = checked_weight("strength", strength)
        if self.rival.place == "dropout" and self.strength >= 1:
            raise ConfigError(
                f"expected a share from 0 up to but not 1, got {strength!r}", field="strength"
            )
        for layer in self._layers.values():
            layer.active = self.strength > 0

    def begin_step(self, step: int) -> None:
        """Let the sketches of a step depend on the seed and the step alone."""
        number = self._seed * STEPS_APART + step
        self._generator.manual_seed(number if number < 2**63 else draw_seed(self._seed, step))

    @never_traced("call the rival's penalty() outside of the compiled function")
    def penalty(self) -> Tensor:
        """Strength times the penalty of all training forwards since the last call.

        A zero where there is none. Raises ``LayerNotMeasuredError`` for a step that went past a
        layer, as ``Regularization.penalty`` does, and ``PenaltyNotAddedError`` at the forward after
        one whose penalty joined no loss.
        """
        if torch.is_grad_enabled():
            return self._penalty_now()
        with torch.inference_mode(False), torch.enable_grad():  # it may join a loss later
            return self._penalty_now()

    def _penalty_now(self) -> Tensor:
        if self.rival.place == "weights" and self.strength > 0:
            return self.strength * weight_decay(self._model)
        if self.strength == 0 or not self._layers:
            return torch.zeros(())
        if not any(layer.ran for layer in self._layers.values()):
            self._penalty = self._contract.without_forward(self._penalty)
            return self._penalty
        complaint = self._contract.end_step()
        pending = self._collect()
        if complaint:
            raise LayerNotMeasuredError(complaint)
        if not pending:
            self._penalty = self._contract.zero("frozen")
            return self._penalty
        device = pending[0].device
        self._penalty = torch.stack([each.to(device) for each in pending]).sum()
        return self._penalty

    def _collect(self) -> list[Tensor]:
        """The penalties of a step, which ends."""
        for layer in self._layers.values():
            layer.ran, layer.unmeasured = False, None
        pending, self._penalty = self._pending + (self._attempt or []), None
        self._pending, self._attempt = [], None
        return pending

    def discard(self) -> None:
        """Forget the forwards so far: their penalty is meant to join no loss."""
        self._forget()
        self._penalty = self._contract.rightful_zero(torch.device("cpu"))

    def remove(self) -> None:
        """Take the rival off the model."""
        for handle in self._handles:
            handle.remove()
        self._handles = []
        self._contract.attached = False
        self._forget()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()

    def __copy__(self) -> Self:
        return self  # a second handle on the same hooks would count every forward twice

    def __getstate__(self) -> dict[str, Any]:
        passing = ("_pending", "_attempt", "_penalty", "_visits", "_starts", "_hidden")
        return {name: value for name, value in self.__dict__.items() if name not in passing}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._forget()
        self._link()

    def _link(self) -> None:
        for layer, hook in self._layer_hooks.items():
            hook.act = partial(self._hook, layer)
        self._before.act, self._after.act = self._begin, self._end

    def _forget(self) -> None:
        self._pending, self._attempt = [], None
        self._penalty = None
        self._visits: dict[str, Visit] = {}
        self._starts: list[tuple[int, Tensor | None]] = []
        self._hidden: set[str] = set()
        for layer in self._layers.values():
            layer.ran, layer.unmeasured = False, None

    def _begin(self, module: nn.Module, _: Any) -> None:
        """A forward of the model begins: see ``attempts.py``."""
        if torch.compiler.is_compiling():
            self._attempt = []
        else:
            self._begin_here(module)

    @never_traced(OUTSIDE)
    def _begin_here(self, module: nn.Module) -> None:
        if self._starts and not is_nested(module):
            self._go_back(*self._starts[0])
            self._starts.clear()
        state = self._generator.get_state() if self.rival.place == "sketch" else None
        self._starts.append((len(self._pending), state))

    def _end(self, _: nn.Module, __: Any, output: Any) -> None:
        """It ends. Where it failed, what its layers have noted is no part of the next attempt."""
        if torch.compiler.is_compiling():
            self._pending.extend(self._attempt or [])
            self._attempt = None
        else:
            self._end_here(output)

    @never_traced(OUTSIDE)
    def _end_here(self, output: Any) -> None:
        if self._starts:
            start = self._starts.pop()
            if failed(output) and not recomputing():
                self._go_back(*start)

    def _go_back(self, count: int, state: Tensor | None) -> None:
        del self._pending[count:]
        if state is not None:
            self._generator.set_state(state)

    def _hook(self, layer: str, module: nn.Module, args: Any, output: Any) -> Any:
        if self.strength == 0:
            return None
        if self.rival.place == "dropout":
            if not module.training:
                return None
            z = features_in(output, layer=layer)
            return with_features(output, functional.dropout(z, self.strength))
        if not (module.training and torch.is_grad_enabled()):
            self._layers[layer].unmeasured = why_unmeasured(module, output)
            if not torch.is_grad_enabled():
                self._hidden.add(layer)
            return None
        if recomputing():
            self._require_seen(layer)
            return None
        self._layers[layer].ran = True
        self._note(layer, features_in(output, layer=layer))
        return None

    def _note(self, layer: str, z: Tensor) -> None:
        if not z.requires_grad:
            require_floats(z, layer=layer)
            self._layers[layer].unmeasured = "frozen"
            return
        self._require_previous_penalty(layer)
        with out_of_checkpoints():
            penalty = self.strength * self._value(z, layer)
        (self._pending if self._attempt is None else self._attempt).append(penalty)
        if not torch.compiler.is_compiling():
            self._visits[layer] = Visit(z, penalty)

    def _require_seen(self, layer: str) -> None:
        if layer in self._hidden and in_reentrant_checkpoint():
            raise LayerNotMeasuredError(
                f"{called(layer)} ran under torch.utils.checkpoint(use_reentrant=True), which "
                f"hides the penalty of {self.name!r} from the loss: use use_reentrant=False"
            )

    def _require_previous_penalty(self, layer: str) -> None:
        last = self._visits.get(layer)
        most = MOST_PENDING * len(self.layer_names)
        if (last is not None and last.lost) or len(self._pending) >= most:
            self._forget()
            raise PenaltyNotAddedError(
                f"{called(layer)}: the penalty of {self.name!r} at the previous training forward "
                "was never added to a loss: add penalty() to it; where that forward was meant to "
                "go without, call discard() after it, or run it in eval() or no_grad()"
            )

    def _value(self, z: Tensor, layer: str) -> Tensor:
        with torch.autocast(z.device.type, enabled=False):
            if self.rival.place == "output":
                return spectral_decoupling(logits_in(z, layer))
            rows = self._rows(z, layer)
            rows = rows.to(statistics_dtype(rows.dtype))
            if self.rival.place == "sketch":
                return weak_sigreg(rows, self._directions(rows))
            value: Tensor = self.rival.penalty(rows)
            return value

    def _rows(self, z: Tensor, layer: str) -> Tensor:
        """The samples of a layer's features, (n, D)."""
        layout = layout_of(
            tuple(z.shape), self._stated[layer], layer=layer, feature_axis=self._feature_axis
        )
        features = canonical(z, layout._replace(batch_axis=0))
        require_features(features, layer=layer)
        return to_rows(features)

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
    feature_axis: int | None = None,
    missing: Missing = "raise",
    sometimes: Sequence[str] = (),
    seed: int = 0,
) -> AttachedRival:
    """Regularise ``model`` by the rival ``name`` of ``RIVALS``.

    Args:
        name: a key of ``RIVALS``.
        model: any module; for "spectral-decoupling" its output is taken as the logits.
        strength: factor on the rival's penalty; for "dropout" the share that is dropped.
        layers: where the rivals that act on features act, as in ``attach``.
        feature_axis: the axis of the layers' outputs that holds the features, as in ``attach``.
        missing, sometimes: what a step may leave out, as in ``attach``.
        seed: of the generator that draws sketches, below 2⁶⁴.

    Raises ``ConfigError`` for a rival that does not exist, a strength that is negative, or one that
    is attached there already, and ``LayerNotFoundError`` for layers that the model does not have.
    """
    return AttachedRival(
        name,
        model,
        strength=strength,
        layers=layers,
        feature_axis=feature_axis,
        missing=missing,
        sometimes=sometimes,
        seed=seed,
    )


def _known(name: str) -> Rival:
    if name not in RIVALS:
        raise ConfigError(f"expected one of {', '.join(RIVALS)}, got {name!r}", field="regularizer")
    return RIVALS[name]
