"""What a person should see, said in words with this run's own numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.state import Watched
from vcr_core.store import Run, RunState

NOTICEABLE = 0.02

STATES = {
    RunState.QUEUED: "waiting for a free worker",
    RunState.STARTING: "preparing data and network",
    RunState.RUNNING: "training",
    RunState.PAUSED: "paused",
    RunState.INTERRUPTED: "interrupted, can be resumed",
    RunState.FINISHED: "finished",
    RunState.STOPPED: "stopped, results kept",
    RunState.FAILED: "failed",
}
DEVICES = {"cpu": "CPU", "cuda": "GPU (CUDA)", "mps": "GPU (MPS)"}


def progress_line(run: Run) -> str:
    """``step 120 of 460 · about 12 s left · CPU, 1 thread``."""
    parts = [STATES[run.state]]
    if run.total_steps:
        parts.append(f"step {run.step} of {run.total_steps}")
    if run.state is RunState.RUNNING and run.step and run.training_seconds:
        left = run.training_seconds / run.step * (run.total_steps - run.step)
        parts.append(f"about {duration(left)} left")
    if run.state.is_over and run.training_seconds:
        parts.append(f"{duration(run.training_seconds)} of training")
    if run.environment:
        threads = run.environment["threads"]
        device = DEVICES.get(run.environment["device"], run.environment["device"])
        parts.append(f"{device}, {threads} thread{'s' if threads != 1 else ''}")
    return " · ".join(parts)


def duration(seconds: float) -> str:
    """Seconds as a person says them."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min"


def pair_summary(pair: Watched) -> list[str]:
    """What became of a finished pair, a sentence a line; empty while a result is missing."""
    baseline, main = pair.baseline, pair.main
    if baseline is None or not baseline.result or not main.result:
        return []
    source = main.config.data.source
    before, after = baseline.result["source_accuracy"], main.result["source_accuracy"]
    lines = [f"**{named(source)}**, the task they learned: {before:.3f} without, {after:.3f} with."]
    gains = _gains(baseline.result, main.result)
    for title, sign in (("Kept better", 1), ("Paid for it", -1), ("About the same", 0)):
        chosen = [
            f"**{named(name)}** {without:.2f} without, {with_:.2f} with"
            for name, (without, with_) in gains.items()
            if noticeable(with_ - without) == sign
        ]
        if chosen:
            lines.append(f"{title}: {'; '.join(chosen)}.")
    if baseline.step != main.step:
        lines.append(
            f"They ended at different steps ({baseline.step} without, {main.step} with): "
            "part of the difference may come from that."
        )
    ranks = baseline.result["effective_rank"], main.result["effective_rank"]
    lines.append(
        f"The features use about **{ranks[0]:.0f}** independent directions without "
        f"and **{ranks[1]:.0f}** with."
    )
    return lines


def single_summary(run: Run) -> list[str]:
    """What became of a single run."""
    if not run.result:
        return []
    shown = ", ".join(
        f"**{named(name)}** {accuracy:.2f}" for name, accuracy in run.result["transfer"].items()
    )
    return [
        f"**{named(run.config.data.source)}**, the task it learned: "
        f"{run.result['source_accuracy']:.3f}.",
        f"Linear probes read from its features: {shown}.",
        f"The features use about **{run.result['effective_rank']:.0f}** independent directions.",
    ]


def named(target: str) -> str:
    """A target's name for people: ``digits:digit`` is ``Digit (digits)``."""
    dataset, _, factor = target.rpartition(":")
    words = factor[:1].upper() + factor[1:]
    return f"{words} ({dataset})" if dataset else words


def noticeable(gain: float) -> int:
    """1 for a gain worth naming, -1 for a loss, 0 for neither."""
    if abs(gain) <= NOTICEABLE:
        return 0
    return 1 if gain > 0 else -1


def _gains(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, tuple[float, float]]:
    """Every target's accuracy without and with, the largest difference first."""
    both = {
        name: (before["transfer"][name], accuracy)
        for name, accuracy in after["transfer"].items()
        if name in before["transfer"]
    }
    return dict(sorted(both.items(), key=lambda item: -abs(item[1][1] - item[1][0])))
