"""The training loop: read it top to bottom.

    for every step:  do what was asked  →  forward, loss + penalty, backward, update  →  report

What is asked between two steps (a weight, the learning rate, pause, stop) takes effect at the
boundary between them and is acknowledged with the number of steps done so far. Nothing in a step
waits for the device; numbers come to the host at report steps only.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from vcr_core.datasets.batches import batch_indices
from vcr_core.device_copies import send
from vcr_core.errors import ConfigError
from vcr_core.store import Command, CommandKind, Report, RunState
from vcr_core.training.channel import Channel
from vcr_core.training.checkpoint import Checkpoint
from vcr_core.training.clock import Clock
from vcr_core.training.control import Control
from vcr_core.training.environment import environment
from vcr_core.training.evaluation import Evaluation, evaluate
from vcr_core.training.experiment import Experiment
from vcr_core.training.keeper import Keeper
from vcr_core.training.ranks import Ranks
from vcr_core.training.reporting import LossMean, check_finite, gradient_ratios, step_report
from vcr_core.training.schedule import learning_rate
from vcr_core.training.state import below, restore, state_of, tensors_of

POLL_SECONDS = 0.05
#: Probes may take this share of the time, or this many seconds of a whole run, unnoticed.
PROBE_SHARE = 0.25
PROBE_ALLOWANCE_SECONDS = 2.0


@dataclass(frozen=True)
class Outcome:
    """How a run ended: the steps done, the seconds they took, and its last evaluation.

    Interrupted and aborted runs are not evaluated once more.
    """

    state: RunState
    step: int
    seconds: float
    evaluation: Evaluation | None


class Trainer:
    """One run of one experiment. Use :func:`train`.

    ``at_leisure=False`` leaves out all waiting: pauses and slow motion are then only history.
    """

    def __init__(
        self,
        experiment: Experiment,
        channel: Channel,
        *,
        keeper: Keeper | None = None,
        at_leisure: bool = True,
        ranks: Ranks | None = None,
    ) -> None:
        self.experiment = experiment
        self._ranks = ranks
        self._learner = experiment if ranks is None else ranks.learner(experiment)
        self.channel = channel
        self.control = Control(experiment)
        self.step = 0
        self.clock = Clock()
        self._keeper = keeper
        self._at_leisure = at_leisure
        self._last_command = 0
        self._reported = True  # twins begin together
        self._losses = LossMean(experiment.device)
        self._epoch: tuple[int, Tensor] | None = None
        self._probes: dict[int, Tensor] = {}

    # ------------------------------------------------------------------ the run

    def run(self) -> Outcome:
        """Train to the end, or until asked to end."""
        self.channel.started(
            total_steps=self.control.cadence.total_steps,
            environment=environment(self.experiment.device),
        )
        evaluation = self.evaluate() if self.step == 0 else None
        evaluated_at = self.step
        while not self._ends():
            self.train_step()
            if self.step in self.control.cadence.probes:
                evaluation, evaluated_at = self.evaluate(), self.step
        if self.channel.is_interrupted(self.step):
            return self._interrupted()
        if self.control.knobs.ending == "abort":
            return Outcome(RunState.STOPPED, self.step, self.clock.seconds, None)
        if evaluation is None or evaluated_at != self.step:
            evaluation = self.evaluate()
        self._keep(wait=True)
        state = RunState.STOPPED if self.control.knobs.ending else RunState.FINISHED
        return Outcome(state, self.step, self.clock.seconds, evaluation)

    def _ends(self) -> bool:
        """At a step boundary: do what was asked, keep a checkpoint, wait where that was asked."""
        self._review()
        began = time.monotonic()
        while not self.channel.is_interrupted(self.step):
            self._obey()
            if self.control.knobs.ending:
                return True
            held, rest = self._pauses(began)
            if self.is_over and not held:
                return True
            if not held:
                self._keep_if_due()
            if not held and not rest:
                return False
            if held:
                with self.clock.waiting():
                    time.sleep(held)
            else:
                time.sleep(rest)
        return True

    def _pauses(self, began: float) -> tuple[float, float]:
        """Seconds after which to look again: for the twin, and for a pause or slow motion."""
        knobs = self.control.knobs
        rest = 0.0
        if self._at_leisure:
            left = began + knobs.slow - time.monotonic()
            rest = POLL_SECONDS if knobs.paused else max(0.0, min(POLL_SECONDS, left))
        pauses = self.channel.holds(self.step, reported=self._reported), rest
        return pauses if self._ranks is None else self._ranks.same(pauses)

    def train_step(self) -> Tensor:
        """One step on the next batch; returns its task loss, still on the device."""
        experiment, live = self.experiment, self.control.live
        batch = self._batch()
        self.step += 1
        reporting, showing = self.control.begin_step(self.step)
        self._reported = reporting
        experiment.regularization.record = reporting
        rate = self._set_learning_rate()
        experiment.model.train()
        loss = self._learner.task_loss(batch, self.step)
        penalty = experiment.penalty()
        ratios: Mapping[str, Tensor] = {}
        if self.step in self.control.cadence.gradients:
            ratios = gradient_ratios(live, experiment.regularization, loss, experiment.scaler)
        experiment.optimizer.zero_grad(set_to_none=True)
        experiment.scaler.scale(loss + penalty).backward()  # type: ignore[no-untyped-call]
        self._update()
        self._losses.add(loss if self._ranks is None else self._ranks.mean(loss))
        if reporting:
            report = step_report(
                self.step,
                live,
                experiment.regularization,
                losses=self._losses,
                penalty=experiment.reported_penalty(penalty),
                learning_rate=rate,
                ratios=ratios,
                with_arrays=showing,
            )
            self.channel.report(report, seconds=self.clock.seconds)
        return loss.detach()

    def _update(self) -> None:
        """Follow the gradients; with averaged weights, take the new ones in."""
        experiment, clip = self.experiment, self.control.live.optimizer.clip
        if clip:
            experiment.scaler.unscale_(experiment.optimizer)
            torch.nn.utils.clip_grad_norm_(experiment.model.parameters(), clip, foreach=True)
        experiment.scaler.step(experiment.optimizer)
        experiment.scaler.update()
        if experiment.average is not None:
            experiment.average.update(experiment.model, step=self.step)

    def evaluate(self) -> Evaluation:
        """Source accuracy and every transfer probe, now.

        Probes start from the last ones; those at the end from zero, so that a result does not
        depend on how often one looked.
        """
        if self._losses.count:
            check_finite(float(self._losses.total), step=self.step, live=self.control.live)
        with self.clock.probe():
            starts = None if self.is_over else self._probes
            evaluation = evaluate(self.experiment, starts=starts)
        self.channel.report(Report(self.step, evaluation.numbers(), {}), seconds=self.clock.seconds)
        self._reported = True
        return evaluation

    def ask(self, kind: CommandKind | str, **payload: Any) -> None:
        """Ask something of the run between two steps, without a channel; pauses are left out.

        Raises:
            ConfigError: it cannot be done.
        """
        command = Command(0, "", CommandKind(kind), payload, 0.0, "requested", None, None)
        reason = self.control.apply(command, step=self.step)
        if reason is not None:
            raise ConfigError(reason)

    @property
    def is_over(self) -> bool:
        """Whether all steps are done, or the run was asked to end."""
        return bool(self.control.knobs.ending) or self.step >= self.control.cadence.total_steps

    def _batch(self) -> Tensor:
        """Indices of the images of the next step, (N,), the same for every run with this seed."""
        epoch, place = divmod(self.step, self.control.cadence.steps_per_epoch)
        if self._epoch is None or self._epoch[0] != epoch:
            config, count = self.experiment.config, len(self.experiment.train_images)
            sizes = config.training
            batches = batch_indices(
                count, sizes.batch_size, epoch, config.seed, repeats=sizes.repeats
            )
            self._epoch = epoch, send(batches, self.experiment.device)
        batch = self._epoch[1][place]
        return batch if self._ranks is None else self._ranks.part(batch)

    def _set_learning_rate(self) -> float:
        rate = learning_rate(
            self.control.live.optimizer,
            step=self.step,
            total_steps=self.control.cadence.total_steps,
        )
        for group in self.experiment.optimizer.param_groups:
            group["lr"] = rate
        return rate

    # ------------------------------------------------------------- what comes in

    def _obey(self) -> None:
        """Apply what was asked since the last step, in order."""
        for command in self.channel.commands(self.step):
            total = self.control.cadence.total_steps
            reason = self.control.apply(command, step=self.step)
            self._last_command = max(self._last_command, command.id)
            self.channel.settle(command, step=self.step, reason=reason)
            if self.control.cadence.total_steps != total:
                self._say_state()
            self._follow_pause()
        self._follow_pause()
        if self.control.checkpoint_wanted:
            self.control.checkpoint_wanted = False
            self._keep(wait=False, asked_for=True)

    def _follow_pause(self) -> None:
        """Stop or start the clock where the run was paused or goes on, and say so."""
        if not self._at_leisure or self.control.knobs.paused != self.clock.runs:
            return
        if self.control.knobs.paused:
            self.clock.pause()
            self._say_state()
            self._keep(wait=True)
        else:
            self.clock.resume()
            self._say_state()

    def _say_state(self) -> None:
        self.channel.state(
            RunState.RUNNING if self.clock.runs else RunState.PAUSED,
            step=self.step,
            seconds=self.clock.seconds,
            total_steps=self.control.cadence.total_steps,
        )

    def _review(self) -> None:
        """Now and then: make fewer probes where they take too long; the same for both twins."""
        cadence = self.control.cadence
        if self.step not in cadence.reviews:
            return
        command = self.channel.agree({"probes_every": self.probes_every()}, step=self.step)
        if command is not None:
            reason = self.control.apply(command, step=self.step)
            self.channel.settle(command, step=self.step, reason=reason)

    def probes_every(self) -> int:
        """The smallest power of 2 that keeps the rest of the probes within their share."""
        step_seconds = (self.clock.seconds - self.clock.probing) / max(1, self.step)
        planned = self.experiment.config.transfer.probes
        training = step_seconds * self.control.cadence.totals[0]
        allowed = max(PROBE_SHARE * training, PROBE_ALLOWANCE_SECONDS)
        every = 1
        while planned / every * self.clock.last_probe > allowed and every < planned:
            every *= 2
        return every

    # ------------------------------------------------------------------ checkpoints

    def _interrupted(self) -> Outcome:
        self._keep(wait=True)
        return Outcome(RunState.INTERRUPTED, self.step, self.clock.seconds, None)

    def _keep_if_due(self) -> None:
        if self._keeper is not None and self._keeper.is_due and not self.control.knobs.paused:
            self._keep(wait=False)

    def _keep(self, *, wait: bool, asked_for: bool = False) -> None:
        if self._keeper is not None:
            self.channel.flush()
            self._keeper.keep(self.checkpoint, wait=wait, asked_for=asked_for)

    def checkpoint(self) -> Checkpoint:
        """All that decides the rest of the run."""
        tensors = tensors_of(self.experiment)
        tensors |= {f"probe/{place}": kept.cpu() for place, kept in self._probes.items()}
        tensors["loss/total"] = self._losses.total.detach().to("cpu", copy=True)
        state: dict[str, Any] = {
            **state_of(self.experiment),
            "control": self.control.state(),
            "losses": self._losses.count,
            "seconds": self.clock.seconds,
            "probing": self.clock.probing,
            "last_probe": self.clock.last_probe,
            "last_command": self._last_command,
        }
        return Checkpoint(self.step, tensors, state)

    def resume(self, checkpoint: Checkpoint) -> None:
        """Go on from a checkpoint of the same configuration as if nothing had happened.

        Raises:
            CheckpointError: it is of another configuration, network or optimiser.
        """
        restore(self.experiment, checkpoint.tensors, checkpoint.state)
        state = checkpoint.state
        self.step = checkpoint.step
        device = self.experiment.device
        kept = below("probe/", checkpoint.tensors)
        self._probes = {int(place): each.to(device) for place, each in kept.items()}
        self._losses.total.copy_(checkpoint.tensors["loss/total"])
        self._losses.count = state["losses"]
        self._last_command = state["last_command"]
        self.control.restore(state["control"])
        self.clock = Clock(state["seconds"])
        self.clock.probing, self.clock.last_probe = state["probing"], state["last_probe"]


def train(
    experiment: Experiment,
    channel: Channel,
    *,
    keeper: Keeper | None = None,
    start: Checkpoint | None = None,
    at_leisure: bool = True,
    ranks: Ranks | None = None,
) -> Outcome:
    """Train an experiment, telling ``channel`` how it goes and doing what it asks.

    Args:
        keeper: keeps checkpoints; None keeps none.
        start: the checkpoint to go on from.
        at_leisure: False leaves out pauses and slow motion.
        ranks: the processes that share the run.

    Raises:
        TrainingDivergedError: the loss was no longer finite at a report.
        CheckpointError: ``start`` is of another configuration, network or optimiser.
    """
    try:
        trainer = Trainer(experiment, channel, keeper=keeper, at_leisure=at_leisure, ranks=ranks)
        if start is not None:
            trainer.resume(start)
        return trainer.run()
    finally:
        experiment.remove()
