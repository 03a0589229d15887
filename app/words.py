"""What a person should see, said in words with this run's own numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.state import Watched
from app.texts import tr
from vcr_core.store import Run, RunState

NOTICEABLE = 0.02
UNEVEN = (
    "They ended at different steps ({before} without, {after} with): "
    "part of the difference may come from that."
)
DIRECTIONS = (
    "The features use about **{before:.0f}** independent directions without "
    "and **{after:.0f}** with."
)
MEASURED_ON = "A rank from n samples is n − 1 at most; this one is from {samples:,} images."
KEPT, PAID, SAME = "Kept better", "Paid for it", "About the same"

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
NAMES = {"without VCR": "Without VCR", "with VCR": "With VCR", "this run": "This run"}
TWINS = {"regularized": "With VCR", "baseline": "Without VCR"}
DEVICES = {"cpu": "CPU", "cuda": "GPU (CUDA)", "mps": "GPU (MPS)"}


def progress_line(run: Run) -> str:
    """``step 120 of 460 · about 12 s left · CPU, 1 thread``."""
    parts = [tr(STATES[run.state])]
    if run.total_steps:
        parts.append(tr("step {step} of {total}", step=run.step, total=run.total_steps))
    if run.state is RunState.RUNNING and run.step and run.training_seconds:
        left = run.training_seconds / run.step * (run.total_steps - run.step)
        parts.append(tr("about {time} left", time=duration(left)))
    if run.state.is_over and run.training_seconds:
        parts.append(tr("{time} of training", time=duration(run.training_seconds)))
    if run.environment:
        threads = run.environment["threads"]
        device = DEVICES.get(run.environment["device"], run.environment["device"])
        parts.append(tr("{device}, threads: {threads}", device=device, threads=threads))
    return " · ".join(parts)


def duration(seconds: float) -> str:
    """Seconds as a person says them."""
    if seconds < 90:
        return tr("{number} s", number=f"{seconds:.0f}")
    return tr("{number} min", number=f"{seconds / 60:.0f}")


def pair_summary(pair: Watched) -> list[str]:
    """What became of a finished pair, a sentence a line; empty while a result is missing."""
    baseline, main = pair.baseline, pair.main
    if baseline is None or not baseline.result or not main.result:
        return []
    before, after = baseline.result["source_accuracy"], main.result["source_accuracy"]
    lines = [
        tr(
            "**{task}**, the task they learned: {before:.3f} without, {after:.3f} with.",
            task=named(main.config.data.source),
            before=before,
            after=after,
        )
    ]
    gains = _gains(baseline.result, main.result)
    for title, sign in ((tr(KEPT), 1), (tr(PAID), -1), (tr(SAME), 0)):
        chosen = [
            tr(
                "**{task}** {before:.2f} without, {after:.2f} with",
                task=named(name),
                before=without,
                after=with_,
            )
            for name, (without, with_) in gains.items()
            if noticeable(with_ - without) == sign
        ]
        if chosen:
            lines.append(f"{title}: {'; '.join(chosen)}.")
    if baseline.step != main.step:
        lines.append(tr(UNEVEN, before=baseline.step, after=main.step))
    ranks = baseline.result["effective_rank"], main.result["effective_rank"]
    return [*lines, tr(DIRECTIONS, before=ranks[0], after=ranks[1]), *_measured_on(main)]


def single_summary(run: Run) -> list[str]:
    """What became of a single run."""
    if not run.result:
        return []
    shown = ", ".join(
        f"**{named(name)}** {accuracy:.2f}" for name, accuracy in run.result["transfer"].items()
    )
    return [
        tr(
            "**{task}**, the task it learned: {accuracy:.3f}.",
            task=named(run.config.data.source),
            accuracy=run.result["source_accuracy"],
        ),
        tr("Linear probes read from its features: {shown}.", shown=shown),
        tr(
            "The features use about **{rank:.0f}** independent directions.",
            rank=run.result["effective_rank"],
        ),
        *_measured_on(run),
    ]


def _measured_on(run: Run) -> list[str]:
    """How many images the rank of a run is from; empty for runs that did not keep it."""
    samples = run.result.get("rank_samples")
    return [tr(MEASURED_ON, samples=samples)] if samples else []


def named(target: str) -> str:
    """A target's name for people: ``digits:digit`` is ``Digit (digits)``."""
    dataset, _, factor = target.rpartition(":")
    words = tr(factor)
    words = words[:1].upper() + words[1:]
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
