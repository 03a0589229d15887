"""The forward hook of one layer: hands its features on and notes their penalty."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from vcr_core.errors import LayerNotMeasuredError, PenaltyNotAddedError
from vcr_core.regularization.axes import Layout, StatedSizes, layout_of
from vcr_core.regularization.checkpointing import in_reentrant_checkpoint, recomputing
from vcr_core.regularization.compiled import OUTSIDE, never_traced, traced_identity
from vcr_core.regularization.contract import Unmeasured, why_unmeasured
from vcr_core.regularization.function import (
    Found,
    Measured,
    Passage,
    Visit,
    measure_only,
    visited,
)
from vcr_core.regularization.layouts import canonical, restored
from vcr_core.regularization.outputs import features_in, with_features
from vcr_core.regularization.penalty import Readings
from vcr_core.regularization.samples import draw_seed, require_floats
from vcr_core.regularization.settings import Strength

MOST_PENDING = 64


class LayerMoments(NamedTuple):
    """Mean (D,), unbiased covariance (D, D) and number of samples of one layer, detached.

    ``count`` is a scalar tensor where statistics were taken over several processes.
    """

    mean: Tensor
    covariance: Tensor
    count: int  # type: ignore[assignment]


class Axes(NamedTuple):
    """What is known of a layer's axes: what the network states, and what the caller said."""

    stated: StatedSizes
    feature_axis: int | None = None
    batch_first: bool | None = None


def nobody() -> None:
    """The owner of a layer without a handle."""


class AttachedLayer:
    """The forward hook of one layer, and what it saw last.

    ``dormant``     removed, or a copy without its handle: it leaves every forward alone
    ``owner``       gives the handle, or ``None`` where nobody holds it any more
    ``step``        steps so far: a step ends when its penalties are collected
    ``resting``     whether this step goes without a penalty, because only every k-th has one
    ``draws``       chooses this step's samples, where not all are used
    ``ran``         whether a training forward of this step came by, with gradients
    ``device``      of the last training forward
    ``ran_without_grad``  whether any forward had none
    ``unmeasured``  why the last forward of this step that was not measured was not
    ``pending``     penalties of forwards that ``Regularization.penalty`` has not summed yet
    ``attempt``     those of a compiled forward that has not ended yet, where one is under way
    ``visits``      those forwards, outside compiled code, as long as they may have to be measured
    ``readings``    of the last measured forward
    ``moments``     of the last forward under ``record``
    ``output``      of the last forward under ``record``: the regularised features, in their graph
    ``known_layout``  the last features' shape, and where their axes lie
    """

    def __init__(
        self, name: str, strength: Strength, axes: Axes, *, seed: int = 0, optional: bool = False
    ) -> None:
        self.name = name
        self.strength = strength
        self.axes = axes
        self.seed = seed
        self.optional = optional
        self.dormant = False
        self.owner: Callable[[], Any] = nobody
        self.record = False
        self.device: torch.device | None = None
        self.ran_without_grad = False
        self.forget()
        self.go_to(0)

    def forget(self) -> None:
        """Drop everything seen."""
        self.pending: list[Tensor] = []
        self.attempt: list[Tensor] | None = None
        self.visits: list[Visit] = []
        self.last_visit: Visit | None = None
        self.readings: Readings | None = None
        self.moments: LayerMoments | None = None
        self.output: Tensor | None = None
        self.known_layout: tuple[tuple[int, ...], Layout] | None = None

    def features_of(self, z: Tensor) -> Tensor:
        """An output of the layer in a layout of ``samples.py``."""
        return canonical(z, self._layout(z))

    def settle(self) -> None:
        """Measure what waits to be."""
        for visit in self.visits:
            self.readings = visit.settle().readings
        self.visits.clear()

    def collect(self) -> list[Tensor]:
        """The pending penalties, which are pending no longer: the end of a step's forwards."""
        self.settle()
        self.count_attempt()
        pending, self.pending = self.pending, []
        self.go_to(self.step + self.ran)
        return pending

    def count_attempt(self) -> None:
        """A compiled forward has ended: its penalties are pending."""
        if self.attempt is not None:
            self.pending.extend(self.attempt)
            self.attempt = None

    @property
    def active(self) -> bool:
        """Whether it has a weight."""
        return self.strength.active

    def go_to(self, step: int) -> None:
        """The next forwards belong to ``step``."""
        self.step, self.ran = step, False
        self.unmeasured: Unmeasured | None = None
        self.resting = self._rests_at(step)
        self.draws = self._draws_of(step)

    def __call__(self, module: nn.Module, args: Any, output: Any) -> Any:
        """Forward hook: ``None`` where the output stays as it is."""
        if self.dormant or torch.jit.is_tracing():  # type: ignore[attr-defined, no-untyped-call]
            return None
        if not (module.training and torch.is_grad_enabled()):
            self.unmeasured = why_unmeasured(module, output)
            self.ran_without_grad |= not torch.is_grad_enabled()
            return None
        z = features_in(output, layer=self.name)
        passed = self._pass(z)
        return None if passed is z else with_features(output, passed)

    def __getstate__(self) -> dict[str, Any]:
        """A copied or pickled layer forgets its forwards, and sleeps until its handle wakes it."""
        kept = ("name", "strength", "axes", "seed", "optional", "record", "step")
        return {name: getattr(self, name) for name in kept}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, dormant=True, owner=nobody, device=None)
        self.ran_without_grad = False
        self.forget()
        self.go_to(self.step)

    def _pass(self, z: Tensor) -> Tensor:
        if recomputing():
            return self._pass_again(z)
        self.ran, self.device = True, z.device
        if self.resting or not (self.active and z.requires_grad):
            self._observe(z)
            return z
        if torch.compiler.is_compiling():
            return self._pass_compiled(z)
        return self._pass_eager(z)

    @never_traced(OUTSIDE)
    def _pass_eager(self, z: Tensor) -> Tensor:
        self._require_previous_penalty()
        visit = self._visit(self.draws)
        layout = self._layout(z)
        output, value = visited(canonical(z, layout), visit)
        self.last_visit = visit
        self.pending.append(value)
        self.visits.append(visit)
        if self.record:
            self.moments = self._moments(visit.settle())
        output = restored(output, layout, z.ndim)
        self.output = output if self.record else None
        return output

    def _pass_compiled(self, z: Tensor) -> Tensor:
        options = self.strength.options
        weights = self.strength.weights(times=options.every)
        features = self.features_of(z)
        measured = traced_identity(features, weights, options, self._passage(), self.draws)
        (self.pending if self.attempt is None else self.attempt).append(measured.value)
        self.readings = measured.readings
        if self.record:
            self.moments = self._moments(measured)
        return z

    def _pass_again(self, z: Tensor) -> Tensor:
        """A checkpoint's recomputation: the same tensors are saved again, nothing is noted."""
        step = self.step if self.ran else self.step - 1  # penalty() may have ended it since
        if self._rests_at(step) or not (self.strength.active and z.requires_grad):
            return z
        if self.ran_without_grad and in_reentrant_checkpoint():
            raise LayerNotMeasuredError(
                f"layer {self.name!r} ran under torch.utils.checkpoint(use_reentrant=True), which "
                "hides its penalty from the loss: use use_reentrant=False"
            )
        layout = self._layout(z)
        visit = self._visit(None)  # the first forward is measured
        output, _ = visited(canonical(z, layout), visit, later=True)
        return restored(output, layout, z.ndim)

    def _layout(self, z: Tensor) -> Layout:
        """Where the features and the samples of ``z`` lie; looked up again for another shape."""
        shape = tuple(z.shape)
        if torch.compiler.is_compiling():
            return self._layout_of(shape)
        if self.known_layout is None or self.known_layout[0] != shape:
            self.known_layout = shape, self._layout_of(shape)
        return self.known_layout[1]

    def _layout_of(self, shape: tuple[int, ...]) -> Layout:
        options, axes = self.strength.options, self.axes
        order_matters = options.pooled or options.tokens != "all"
        layout = layout_of(
            shape,
            axes.stated,
            layer=self.name,
            feature_axis=axes.feature_axis,
            batch_first=axes.batch_first,
            order_matters=order_matters,
        )
        return layout if order_matters else layout._replace(batch_axis=0)

    def _visit(self, draws: Tensor | None) -> Visit:
        strength, options = self.strength, self.strength.options
        return Visit(strength.weights(times=options.every), options, self._passage(), draws)

    def _passage(self) -> Passage:
        return Passage(layer=self.name, moments=self.record)

    def _draws_of(self, step: int) -> Tensor | None:
        """What chooses the samples of ``step``."""
        if self.strength.options.max_samples is None:
            return None
        return torch.tensor(draw_seed(self.seed, step))

    def _rests_at(self, step: int) -> bool:
        return step % self.strength.options.every != 0

    def _observe(self, z: Tensor) -> None:
        """No penalty at this step: measure where asked to, change nothing."""
        if self.active and not z.requires_grad:
            self.unmeasured = "frozen"
            require_floats(z, layer=self.name)  # others never train, whatever is unfrozen
        if not self.resting:
            self.readings = None
        self.moments = self.output = None
        if self.record:
            features = self.features_of(z.detach())
            measured = self._measure_only(features)
            self.readings, self.moments = measured.readings, self._moments(measured)
            self.output = z

    def _measure_only(self, features: Tensor) -> Measured:
        options, passage = self.strength.options, self._passage()
        if torch.compiler.is_compiling():
            return traced_identity(features, torch.zeros(2), options, passage, self.draws)
        return measure_only(features, options, passage, self.draws)

    def _moments(self, measured: Measured | Found) -> LayerMoments | None:
        if measured.mean is None or measured.covariance is None:
            return None
        return LayerMoments(measured.mean, measured.covariance, measured.readings.count)

    def _require_previous_penalty(self) -> None:
        last = self.last_visit
        lost = last is not None and last.missed and not last.received
        if lost or len(self.pending) >= MOST_PENDING:
            self.forget()
            raise PenaltyNotAddedError(
                f"layer {self.name!r}: the penalty of the previous training forward was never "
                "added to a loss: add handle.penalty() to it; where that forward was meant to go "
                "without, call handle.discard() after it, or run it in eval() or no_grad()"
            )
