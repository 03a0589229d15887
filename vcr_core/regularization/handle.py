"""``Regularization``: the handle of a regulariser that is attached to a model."""

from __future__ import annotations

import math
import weakref
from collections.abc import Iterable, Mapping, Sequence
from types import EllipsisType, TracebackType
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor, nn

from vcr_core.errors import FeatureError, LayerNotFoundError, LayerNotMeasuredError
from vcr_core.regularization.attempts import watch_attempts
from vcr_core.regularization.compiled import never_traced
from vcr_core.regularization.contract import Missing, StepContract
from vcr_core.regularization.function import Passage, penalized_identity, total_of
from vcr_core.regularization.hook import AttachedLayer, LayerMoments
from vcr_core.regularization.later import LateNumbers
from vcr_core.regularization.options import PenaltyOptions
from vcr_core.regularization.penalty import Readings, exact_weights, why_not_finite
from vcr_core.regularization.settings import Factor, checked_factor
from vcr_core.regularization.table import table_of
from vcr_core.regularization.where import factors_of


class LayerTerms(NamedTuple):
    """The unweighted terms of one layer, detached scalars on the layer's device."""

    variance: Tensor
    covariance: Tensor


class _Checked(NamedTuple):
    """The penalties of one step, kept until their finiteness is looked at."""

    pending: list[tuple[str, Tensor]]  # layer and penalty
    variances: dict[str, Tensor]  # (D,) of each layer's features
    total: Tensor
    step: int

    def detached(self) -> _Checked:
        """Without the graph."""
        pending = [(name, part.detach()) for name, part in self.pending]
        return self._replace(pending=pending, total=self.total.detach())

    def complaint(self) -> str:
        """Which layers' penalties are not finite, and whether the features or their size did it."""
        lost = [name for name, part in self.pending if not part.detach().isfinite()]
        bad = list(dict.fromkeys(lost or [name for name, _ in self.pending]))
        more = f" and {len(bad) - 1} more" if bad[1:] else ""
        where = f"at training step {self.step} in layer {bad[0]!r}{more}"
        why = why_not_finite(self.variances.get(bad[0]), where)
        return f"{why} weights, or attach with nonfinite='skip' to train on without its penalty"


class Regularization:
    """The handle that ``attach`` returns. A context manager: leaving it removes the regulariser.

    ``record``: while true, training forwards also keep each layer's moments, even where the
    weights are 0; while false nothing D×D is kept between steps.

    A copy or pickle of the model alone is a plain network; copied together with its handle it is
    regularised by the handle's copy. ``print(handle)`` shows the layers as a table.
    """

    def __init__(
        self, model: nn.Module, layers: Sequence[AttachedLayer], *, missing: Missing = "raise"
    ) -> None:
        self._model: nn.Module | None = model
        self._layers = {layer.name: layer for layer in layers}
        self._contract = StepContract(layers, missing)
        self._hooks = [
            model.get_submodule(layer.name).register_forward_hook(layer) for layer in layers
        ]
        self._hooks += watch_attempts(model, layers)
        self._record = False
        self._step = 0
        self._wake()

    def _wake(self) -> None:
        for layer in self._layers.values():
            layer.dormant, layer.owner = False, weakref.ref(self)
        self._forget()

    def _forget(self) -> None:
        self._penalty: Tensor | None = None
        self._unchecked: LateNumbers[_Checked] | None = None

    def __getstate__(self) -> dict[str, Any]:
        """What a copy or a pickle carries on: everything but the step that is under way."""
        kept = ("_model", "_layers", "_contract", "_hooks", "_record", "_step")
        return {name: getattr(self, name) for name in kept}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        if self._hooks:
            self._wake()
        else:
            self._forget()

    def __repr__(self) -> str:
        if self._model is None:
            return "a regulariser that was removed from its model"
        return table_of(self._model, self._layers)

    @property
    def layer_names(self) -> tuple[str, ...]:
        """The regularised layers, in the order of the model."""
        return tuple(self._layers)

    @property
    def options(self) -> Mapping[str, PenaltyOptions]:
        """What the penalty of each layer depends on, apart from its weights."""
        return {name: layer.strength.options for name, layer in self._layers.items()}

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
                layer.moments = layer.output = None

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
        changes: dict[str, float | None] = {}
        if target_std is not None:
            changes["target_std"] = target_std
        if not isinstance(threshold, EllipsisType):
            changes["threshold"] = threshold
        for chosen in self._choose(layer):
            chosen.strength.set_weights(variance_weight, covariance_weight)
            chosen.strength.set_options(**changes)
        self._forget_idle_penalty()

    def set_factors(self, factors: Mapping[str, Factor]) -> None:
        """Replace every layer's share of the weights from the next forward on.

        ``factors`` are the ``layer_factors`` of ``attach``: layers that no name or pattern matches
        go back to 1. Raises ``ConfigError`` for bad numbers and ``LayerNotFoundError`` for a name
        or pattern that matches no attached layer; nothing is changed then.
        """
        found = factors_of(self.layer_names, factors)
        checked = {name: checked_factor(factor) for name, factor in found.items()}
        for name, factor in checked.items():
            self._layers[name].strength.set_factor(factor)
        self._forget_idle_penalty()

    def _forget_idle_penalty(self) -> None:
        if not any(each.strength.active for each in self._layers.values()):
            self._penalty = None

    @never_traced("call handle.penalty() outside of the compiled function")
    def penalty(self) -> Tensor:
        """Σ over layers of α · l_var + β · l_cov: add it to the loss of every training step.

        With ``every`` = k it is k times that at every k-th step and 0 at the others.

        Covers all training forwards since the last call; called again without a forward it returns
        the same tensor. A plain zero where all weights are 0, and a zero after forwards in
        ``eval()`` or under ``no_grad``.

        Raises ``FeatureError``, naming layer and step, where features were NaN or Inf (unless
        ``nonfinite="skip"``; on an accelerator a few calls late, so that no step waits for it).

        Raises ``LayerNotMeasuredError``, saying what can be the cause, where a layer with a weight
        was not measured since the last step: here where others were or no forward came by at all,
        and in the backward of a loss that this zero was added to. ``missing="ignore"`` of
        ``attach`` allows it everywhere, ``sometimes`` at the layers that it names.
        """
        if torch.is_grad_enabled():
            return self._penalty_now()
        with torch.inference_mode(False), torch.enable_grad():  # it may join a loss later
            return self._penalty_now()

    def _penalty_now(self) -> Tensor:
        layers = self._layers.values()
        if not any(layer.ran for layer in layers):
            self._penalty = self._contract.without_forward(self._penalty)
            return self._penalty
        self._step += 1
        complaint = self._contract.end_step()
        resting = any(layer.resting for layer in layers)
        pending = [(layer.name, value) for layer in layers for value in layer.collect()]
        self._penalty = None
        if complaint:
            raise LayerNotMeasuredError(complaint)
        if pending:
            self._penalty = total_of([value for _, value in pending])
            variances = {name: read.variances for name, read in self._readings().items()}
            self._check_finite(_Checked(pending, variances, self._penalty, self._step))
        elif not self._contract.holds:
            return torch.zeros(())
        elif resting:
            self._penalty = self._contract.rightful_zero(self._device())
        else:
            self._penalty = self._contract.zero("frozen")
        return self._penalty

    def _device(self) -> torch.device:
        return next((x.device for x in self._layers.values() if x.device), torch.device("cpu"))

    def discard(self) -> None:
        """Forget the forwards so far: their penalty is meant to join no loss."""
        for layer in self._layers.values():
            layer.collect()
            layer.last_visit = None
        self._penalty = self._contract.rightful_zero(self._device())

    def terms(self, *, debiased: bool = False) -> dict[str, LayerTerms]:
        """Each layer's unweighted terms at its last measured forward; no transfer to the host.

        ``debiased`` subtracts from the covariance term what independent features would show with
        this number of samples (see ``noise_floors``); it can then be slightly negative.
        """
        found = {}
        for name, read in self._readings().items():
            variance, covariance = read.terms()
            floor = read.noise_floor() if debiased else 0
            found[name] = LayerTerms(variance, covariance - floor)
        return found

    def mean_penalty(self) -> Tensor:
        """Σ over layers of α · l_var + β · l_cov at the last measured forward, detached.

        What ``penalty()`` comes to per step, also where ``every`` leaves this step without one.
        """
        parts = []
        for name, read in self._readings().items():
            strength = self._layers[name].strength
            alpha, beta = exact_weights(
                strength.weights(), strength.options, read.variances.shape[0], read.count
            )
            variance, covariance = read.terms()
            parts.append((alpha * variance + beta * covariance).reshape(()))
        return torch.stack(parts).sum() if parts else torch.zeros(())

    def noise_floors(self) -> dict[str, Tensor]:
        """Mean of s_i² s_j² / (n − 1): the covariance term of independent features, per layer.

        With ``max_samples`` = m the term is inflated by about this much, n being m then.
        """
        return {name: read.noise_floor() for name, read in self._readings().items()}

    def active_hinge_shares(self) -> dict[str, Tensor]:
        """Share of each layer's features whose standard deviation is below the target."""
        options = self.options
        return {name: read.active_hinges(options[name]) for name, read in self._readings().items()}

    def moments(self) -> dict[str, LayerMoments]:
        """Each layer's moments at its last forward under ``record``; no transfer to the host."""
        found = {name: layer.moments for name, layer in self._layers.items()}
        return {name: moments for name, moments in found.items() if moments is not None}

    def gradient_ratios(self, task_loss: Tensor) -> dict[str, Tensor]:
        """‖gradient of a layer's penalty‖ / ‖gradient of the task loss‖ at each layer's output.

        Args:
            task_loss: the loss of the last forward, *without* the penalty; its graph is kept.

        For reports: it takes a backward of its own. Needs ``record`` during the forward. A ratio
        far below 1 everywhere says that the regulariser is idle. Layers behind which nothing
        trains are left out; raises ``FeatureError`` where that leaves none.
        """
        found = {name: layer.output for name, layer in self._layers.items()}
        seen = {name: output for name, output in found.items() if output is not None}
        if not seen:
            raise FeatureError(
                "expected a training forward under handle.record = True before gradient_ratios(), "
                "got none: set handle.record = True before the forward, and run it uncompiled"
            )
        outputs = {name: output for name, output in seen.items() if output.requires_grad}
        if not outputs or not task_loss.requires_grad:
            frozen = ", ".join(seen) if not outputs else "the task loss"
            raise FeatureError(
                f"expected something that trains to compare gradients at, got none at {frozen}: "
                "unfreeze parameters up to an attached layer, or attach to a layer after them"
            )
        task = _task_gradients(task_loss, list(outputs.values()))
        ratios = {}
        for (name, output), gradient in zip(outputs.items(), task, strict=True):
            if gradient is not None:
                penalty = self._penalty_gradient(name, output)
                ratios[name] = penalty.norm() / gradient.to(penalty.dtype).norm()
        return ratios

    def state_dict(self) -> dict[str, int]:
        """How many steps each layer has counted, and ``""`` all together: samples are drawn by it.

        Weights and options are not in it: they belong to the configuration.
        """
        return {"": self._step} | {name: layer.step for name, layer in self._layers.items()}

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Go on counting where another handle on the same layers stopped.

        Raises ``LayerNotFoundError`` for a layer that the regulariser is not attached to.
        """
        for name in state.keys() - {""}:
            self._choose(name)
        self._step = state.get("", 0)
        for name, layer in self._layers.items():
            layer.go_to(state.get(name, 0))

    def remove(self) -> None:
        """Take the regulariser off the model, without a trace. May be called twice."""
        for hook in self._hooks:
            hook.remove()
        for layer in self._layers.values():
            layer.forget()
            layer.dormant = True  # code that was compiled with the hook is guarded by this
        self._hooks, self._model = [], None
        self._contract.attached = False
        self._forget()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.remove()

    def _readings(self) -> dict[str, Readings]:
        for layer in self._layers.values():
            layer.settle()
        found = {name: layer.readings for name, layer in self._layers.items()}
        return {name: readings for name, readings in found.items() if readings is not None}

    def _penalty_gradient(self, name: str, output: Tensor) -> Tensor:
        layer = self._layers[name]
        strength = layer.strength
        z = layer.features_of(output.detach()).requires_grad_()
        with torch.enable_grad():
            value = penalized_identity(z, strength.weights(), strength.options, Passage(layer=name))
        gradient: Tensor = torch.autograd.grad(value.value, z)[0]
        return gradient.to(value.value.dtype)

    def check_finite(self) -> None:
        """Raise now what ``penalty()`` would raise later: where the device is still at work, wait.

        Raises ``FeatureError``, naming layer and step, where features were NaN or Inf.
        """
        _require_finite(self._unchecked.all() if self._unchecked else ())

    def _check_finite(self, now: _Checked) -> None:
        """Raise for the layers whose penalty is not finite; on an accelerator a few steps late."""
        if now.total.is_cpu:
            _require_finite([(now.total.item(), now)])
            return
        self._unchecked = self._unchecked or LateNumbers()
        self._unchecked.add(now.total, now.detached())
        _require_finite(self._unchecked.arrived())

    def _choose(self, layer: str | None) -> Sequence[AttachedLayer]:
        if layer is None:
            return tuple(self._layers.values())
        if layer not in self._layers:
            known = ", ".join(self._layers)
            raise LayerNotFoundError(
                f"the regulariser is not attached to {layer!r}: it is attached to {known}"
            )
        return (self._layers[layer],)


def _task_gradients(task_loss: Tensor, outputs: Sequence[Tensor]) -> Sequence[Tensor | None]:
    try:
        return torch.autograd.grad(task_loss, outputs, retain_graph=True, allow_unused=True)
    except RuntimeError as error:
        if "second time" not in str(error):
            raise
        raise FeatureError(
            "expected a task loss whose backward is still to come, got one that is over: call "
            "gradient_ratios() before loss.backward(), or pass it retain_graph=True"
        ) from error


def _require_finite(arrived: Iterable[tuple[float, _Checked]]) -> None:
    lost = next((each for total, each in arrived if not math.isfinite(total)), None)
    if lost is not None:
        raise FeatureError(lost.complaint())
