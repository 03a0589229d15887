"""The training loop: read it top to bottom.

    for every step:  do what was asked  →  forward, loss + penalty, backward, update  →  report

What is asked between two steps (a weight, the learning rate, pause, stop) takes effect at the
boundary between them and is acknowledged with the number of steps done so far. Nothing in a step
waits for the device; numbers come to the host at report steps only.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from vcr_core.config import RunConfig, get_value, live_fields, override
from vcr_core.datasets.batches import batch_indices
from vcr_core.errors import ConfigError, TrainingDivergedError
from vcr_core.store import Command, CommandKind, Report, RunState
from vcr_core.training.channel import Channel
from vcr_core.training.environment import environment
from vcr_core.training.evaluation import Evaluation, evaluate
from vcr_core.training.experiment import Experiment
from vcr_core.training.telemetry import (
    effective_ranks,
    fetch_arrays,
    fetch_numbers,
    gradient_numbers,
    layer_arrays,
    layer_numbers,
)

PAUSE_POLL_SECONDS = 0.05


@dataclass(frozen=True)
class Outcome:
    """How a run ended: its last evaluation, the steps done and the seconds they took."""

    state: RunState
    step: int
    seconds: float
    evaluation: Evaluation


class Clock:
    """Seconds of training, pauses left out."""

    def __init__(self) -> None:
        self._spent = 0.0
        self._since: float | None = time.perf_counter()

    @property
    def seconds(self) -> float:
        running = time.perf_counter() - self._since if self._since is not None else 0.0
        return self._spent + running

    def pause(self) -> None:
        self._spent, self._since = self.seconds, None

    def resume(self) -> None:
        self._since = time.perf_counter()


class Trainer:
    """One run of one experiment. Use :func:`train`."""

    def __init__(self, experiment: Experiment, channel: Channel) -> None:
        self.experiment = experiment
        self.channel = channel
        self.live: RunConfig = experiment.config
        self.step = 0
        self.clock = Clock()
        self.stopped = False
        self._loss_sum = torch.zeros((), device=experiment.device)
        self._losses = 0

    def run(self) -> Outcome:
        """Train to the end, or until stopped."""
        experiment = self.experiment
        self.channel.started(
            total_steps=experiment.cadence.total_steps,
            environment=environment(experiment.device),
        )
        evaluation = self._evaluate()
        evaluated_at = 0
        for batch in self._batches():
            self._obey()
            if self.stopped:
                break
            self._train_step(batch)
            if self.step in experiment.cadence.probes:
                evaluation, evaluated_at = self._evaluate(), self.step
        if evaluated_at != self.step:
            evaluation = self._evaluate()
        state = RunState.STOPPED if self.stopped else RunState.FINISHED
        return Outcome(state, self.step, self.clock.seconds, evaluation)

    def _batches(self) -> Iterator[Tensor]:
        """Indices of the images of every step, (N,), the same for every run with this seed."""
        config, count = self.experiment.config, len(self.experiment.train_images)
        for epoch in range(config.training.epochs):
            batches = batch_indices(count, config.training.batch_size, epoch, config.seed)
            yield from batches.to(self.experiment.device)

    def _train_step(self, batch: Tensor) -> None:
        experiment = self.experiment
        self.step += 1
        reporting = self.step in experiment.cadence.reports
        experiment.regularization.record = reporting
        self._set_learning_rate()
        experiment.model.train()
        loss = experiment.objective(experiment, batch, self.step)
        penalty = experiment.penalty()
        ratios = self._gradient_ratios(loss)
        experiment.optimizer.zero_grad(set_to_none=True)
        (loss + penalty).backward()  # type: ignore[no-untyped-call]
        experiment.optimizer.step()
        self._loss_sum += loss.detach()
        self._losses += 1
        if reporting:
            self._report(penalty.detach(), ratios)

    def _gradient_ratios(self, loss: Tensor) -> Mapping[str, Tensor]:
        """‖penalty gradient‖ / ‖task gradient‖ by layer, now and then; 0 where no weight pulls."""
        weights, regularization = self.live.regularizer, self.experiment.regularization
        if self.step not in self.experiment.cadence.gradients:
            return {}
        if weights.variance_weight == 0 and weights.covariance_weight == 0:
            return dict.fromkeys(regularization.layer_names, torch.zeros(()))
        return regularization.gradient_ratios(loss)

    def _set_learning_rate(self) -> None:
        for group in self.experiment.optimizer.param_groups:
            group["lr"] = self._learning_rate()

    def _learning_rate(self) -> float:
        """The learning rate of this step: what is set now, times the schedule's share of it."""
        settings = self.live.optimizer
        if settings.schedule == "constant":
            return settings.learning_rate
        done = (self.step - 1) / self.experiment.cadence.total_steps
        return settings.learning_rate * 0.5 * (1.0 + math.cos(math.pi * done))

    # ------------------------------------------------------------ what goes out

    def _report(self, penalty: Tensor, ratios: Mapping[str, Tensor]) -> None:
        """Losses first: where they are not finite the rest cannot be measured."""
        with torch.no_grad():
            losses = fetch_numbers(
                {"loss/task": self._loss_sum / self._losses, "loss/penalty": penalty},
                self.experiment.device,
            )
            self._check_finite(sum(losses.values()))
            wanted = self.step in self.experiment.cadence.snapshots
            arrays = layer_arrays(self.experiment.regularization) if wanted else {}
            measured = self._measurements() | effective_ranks(arrays) | gradient_numbers(ratios)
            numbers = fetch_numbers(measured, self.experiment.device)
        self._loss_sum.zero_()
        self._losses = 0
        report = Report(self.step, {**losses, **numbers}, fetch_arrays(arrays))
        self.channel.report(report, seconds=self.clock.seconds)

    def _measurements(self) -> dict[str, Tensor | float | int]:
        """Terms, knobs and spreads of this step; still on the device."""
        weights = self.live.regularizer
        terms = list(self.experiment.regularization.terms().values())
        return {
            "loss/variance": torch.stack([term.variance for term in terms]).sum(),
            "loss/covariance": torch.stack([term.covariance for term in terms]).sum(),
            "optimizer/learning_rate": self._learning_rate(),
            "regularizer/variance_weight": weights.variance_weight,
            "regularizer/covariance_weight": weights.covariance_weight,
            **layer_numbers(
                self.experiment.regularization, target_std=weights.target_std, eps=weights.eps
            ),
        }

    def _check_finite(self, loss: float) -> None:
        if not math.isfinite(loss):
            raise TrainingDivergedError(
                f"expected a finite loss, got {loss} by step {self.step}: lower the learning rate "
                f"({self.live.optimizer.learning_rate:g}) or the weights "
                f"({self.live.regularizer.variance_weight:g}, "
                f"{self.live.regularizer.covariance_weight:g})"
            )

    def _evaluate(self) -> Evaluation:
        """Source accuracy and every transfer probe, now."""
        if self._losses:
            self._check_finite(float(self._loss_sum))
        evaluation = evaluate(self.experiment)
        self.channel.report(Report(self.step, evaluation.numbers(), {}), seconds=self.clock.seconds)
        return evaluation

    # ------------------------------------------------------------- what comes in

    def _obey(self) -> None:
        """Apply what was asked since the last step; wait here while paused."""
        paused = False
        while True:
            for command in self.channel.commands():
                paused = self._apply(command, paused=paused)
            if not paused or self.stopped:
                return
            time.sleep(PAUSE_POLL_SECONDS)

    def _apply(self, command: Command, *, paused: bool) -> bool:
        """Carry out one command and acknowledge it; returns whether the run is paused now."""
        reason = None
        match command.kind:
            case CommandKind.SET:
                reason = self._set(command.payload)
            case CommandKind.PAUSE:
                if not paused:
                    self._switch(RunState.PAUSED)
                paused = True
            case CommandKind.RESUME:
                if paused:
                    self._switch(RunState.RUNNING)
                paused = False
            case CommandKind.STOP:
                self.stopped = True
                if paused:
                    self._switch(RunState.RUNNING)
                paused = False
        self.channel.settle(command, step=self.step, reason=reason)
        return paused

    def _switch(self, state: RunState) -> None:
        if state is RunState.PAUSED:
            self.clock.pause()
        else:
            self.clock.resume()
        self.channel.state(state, step=self.step, seconds=self.clock.seconds)

    def _set(self, payload: Mapping[str, Any]) -> str | None:
        """Turn a knob; returns why not, where that cannot be done."""
        field, value = str(payload.get("field")), payload.get("value")
        if field not in live_fields():
            return f"'{field}' cannot change while a run trains; {', '.join(live_fields())} can"
        try:
            self.live = override(self.live, {field: value})
        except ConfigError as error:
            return str(error)
        section, _, name = field.partition(".")
        if section == "regularizer":
            self.experiment.regularization.set_weights(**{name: get_value(self.live, field)})
        return None


def train(experiment: Experiment, channel: Channel) -> Outcome:
    """Train an experiment, telling ``channel`` how it goes and doing what it asks.

    Raises:
        TrainingDivergedError: the loss was no longer finite at a report.
    """
    try:
        return Trainer(experiment, channel).run()
    finally:
        experiment.remove()
