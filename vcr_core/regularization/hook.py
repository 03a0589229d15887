"""The forward hook of one layer: hands its features on and notes their penalty."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from vcr_core.errors import FeatureError, PenaltyNotAddedError
from vcr_core.regularization.checkpointing import recomputing
from vcr_core.regularization.function import (
    Found,
    Measured,
    Passage,
    Visit,
    measure_only,
    penalized_identity,
    visited,
)
from vcr_core.regularization.penalty import Readings
from vcr_core.regularization.settings import Strength

MOST_PENDING = 64


class LayerMoments(NamedTuple):
    """Mean (D,), unbiased covariance (D, D) and number of samples of one layer, detached.

    ``count`` is a scalar tensor where statistics were taken over several processes.
    """

    mean: Tensor
    covariance: Tensor
    count: int  # type: ignore[assignment]


class AttachedLayer:
    """The forward hook of one layer, and what it saw last.

    ``step``      steps so far: a step ends when its penalties are collected
    ``resting``   whether this step goes without a penalty, because only every k-th has one
    ``draws``     chooses this step's samples, where not all are used
    ``pending``   penalties of forwards that ``Regularization.penalty`` has not summed yet
    ``visits``    those forwards, outside compiled code, as long as they may have to be measured
    ``readings``  of the last measured forward
    ``moments``   of the last forward under ``record``
    ``output``    of the last forward under ``record``: the regularised features, in their graph
    """

    def __init__(self, name: str, strength: Strength, *, seed: int = 0) -> None:
        self.name = name
        self.strength = strength
        self.seed = seed
        self.record = False
        self.has_run = False
        self.ran_without_grad = False
        self.forget()
        self.go_to(0)

    def forget(self) -> None:
        """Drop everything seen."""
        self.pending: list[Tensor] = []
        self.visits: list[Visit] = []
        self.last_visit: Visit | None = None
        self.readings: Readings | None = None
        self.moments: LayerMoments | None = None
        self.output: Tensor | None = None

    def settle(self) -> None:
        """Measure what waits to be."""
        for visit in self.visits:
            self.readings = visit.settle().readings
        self.visits.clear()

    def collect(self) -> list[Tensor]:
        """The pending penalties, which are pending no longer: the end of a step's forwards."""
        self.settle()
        pending, self.pending = self.pending, []
        self.go_to(self.step + self.ran)
        return pending

    def go_to(self, step: int) -> None:
        """The next forwards belong to ``step``."""
        self.step, self.ran = step, False
        self.resting = self._rests_at(step)
        self.draws = self._draws_of(step)

    def __call__(self, module: nn.Module, args: Any, output: Any) -> Any:
        """Forward hook: ``None`` where the output stays as it is."""
        self.has_run = True
        if not module.training:
            return None
        if not torch.is_grad_enabled():
            self.ran_without_grad = True
            return None
        if isinstance(output, Tensor):
            return self._pass(output)
        if not isinstance(output, (tuple, list)) or not isinstance(output[0], Tensor):
            raise FeatureError(
                f"layer {self.name!r}: expected a tensor, or a tuple whose first element is one, "
                f"got {type(output).__name__}: attach to a layer inside it"
            )
        return _with_first(output, self._pass(output[0]))

    def __reduce__(self) -> tuple[Any, ...]:
        """A copied or pickled model is not regularised: only the attached one is."""
        return AttachedLayer, (self.name, Strength(0, 0))

    def _pass(self, z: Tensor) -> Tensor:
        if recomputing():
            return self._pass_again(z)
        self.ran, self.ran_without_grad = True, False
        if self.resting or not (self.strength.active and z.requires_grad):
            self._observe(z)
            return z
        if torch.compiler.is_compiling():
            return self._pass_compiled(z)
        self._require_previous_penalty()
        visit = self._visit(self.draws)
        output, value = visited(z, visit)
        self.last_visit = visit
        self.pending.append(value)
        self.visits.append(visit)
        if self.record:
            self.moments = self._moments(visit.settle())
            self.output = output
        return output

    def _pass_compiled(self, z: Tensor) -> Tensor:
        options = self.strength.options
        weights = self.strength.weights(times=options.every)
        measured = penalized_identity(z, weights, options, self._passage(), self.draws)
        self.pending.append(measured.value)
        self.readings = measured.readings
        if self.record:
            self.moments = self._moments(measured)
            self.output = measured.output
        return measured.output

    def _pass_again(self, z: Tensor) -> Tensor:
        """A checkpoint's recomputation: the same tensors are saved again, nothing is noted."""
        step = self.step if self.ran else self.step - 1  # penalty() may have ended it since
        if self._rests_at(step) or not (self.strength.active and z.requires_grad):
            return z
        if self.ran_without_grad:
            raise RuntimeError(
                f"layer {self.name!r} ran under torch.utils.checkpoint(use_reentrant=True), which "
                "hides its penalty from the loss: use use_reentrant=False"
            )
        return visited(z, self._visit(None), later=True)[0]  # the first forward is measured

    def _visit(self, draws: Tensor | None) -> Visit:
        strength, options = self.strength, self.strength.options
        return Visit(strength.weights(times=options.every), options, self._passage(), draws)

    def _passage(self) -> Passage:
        return Passage(layer=self.name, moments=self.record)

    def _draws_of(self, step: int) -> Tensor | None:
        """What chooses the samples of ``step``."""
        if self.strength.options.max_samples is None:
            return None
        return torch.tensor((self.seed << 32) + step)

    def _rests_at(self, step: int) -> bool:
        return step % self.strength.options.every != 0

    def _observe(self, z: Tensor) -> None:
        """No penalty at this step: measure where asked to, change nothing."""
        if not self.resting:
            self.readings = None
        self.moments = self.output = None
        if self.record:
            options = self.strength.options
            measured = measure_only(z, options, self._passage(), self.draws)
            self.readings, self.moments = measured.readings, self._moments(measured)
            self.output = z

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


def _with_first(output: Any, first: Tensor) -> Any:
    """``None`` where the first element is what it was, else the tuple with it replaced."""
    if first is output[0]:
        return None
    if hasattr(output, "_replace"):
        return output._replace(**{output._fields[0]: first})
    return type(output)((first, *output[1:]))
