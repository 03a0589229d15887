"""Writes rows as a training run would, so that the live view can be tested without training."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vcr_core.config import RunConfig
from vcr_core.figures import (
    Chart,
    accuracy_chart,
    covariance_chart,
    loss_chart,
    penalty_chart,
    rank_chart,
    run_lines,
    spread_chart,
)
from vcr_core.live_view import Network
from vcr_core.store import CommandKind, Report, Run, RunState, Store

LAYERS = RunConfig().layer_names
TARGETS = ("colour", "texture", "background", "scale", "x-position", "y-position")
STEPS = 470
REPORT_EVERY = 6
PROBE_EVERY = 58
FINAL = {  # accuracies that such a pair of runs ends with: (without, with)
    "source/accuracy": (0.995, 0.99),
    "transfer/colour": (0.48, 0.98),
    "transfer/texture": (0.47, 0.41),
    "transfer/background": (0.47, 0.98),
    "transfer/scale": (0.89, 0.83),
    "transfer/x-position": (0.81, 0.85),
    "transfer/y-position": (0.80, 0.86),
}


def all_charts(runs: Sequence[Run], layer: str) -> tuple[Chart, ...]:
    """The charts of the lab's page for a pair of runs."""
    lines = run_lines(runs)
    chance = {"shape": 1 / 6} | dict.fromkeys(TARGETS, 0.2)
    return (
        accuracy_chart(lines, source="shape", targets=TARGETS, chance=chance, total_steps=STEPS),
        covariance_chart(lines, layer),
        spread_chart(lines, [layer], total_steps=STEPS),
        rank_chart(lines, total_steps=STEPS),
        loss_chart(lines, total_steps=STEPS),
        penalty_chart(lines, total_steps=STEPS),
    )


def network(runs: tuple[Run, Run], layer: str) -> Network:
    """The row of layers of a pair of runs."""
    return Network(runs, run_lines(runs), LAYERS, layer, STEPS)


class Feeder:
    """A pair of runs, written one report at a time."""

    def __init__(self, store: Store, *, features: int = 48) -> None:
        self.store = store
        self.runs = store.create_pair(RunConfig(), preset="sprites-shape")
        self.step = 0
        self.features = features
        self._random = np.random.default_rng(0)
        for run in self.runs:
            store.update_run(run, state=RunState.RUNNING.value, total_steps=STEPS)

    def charts(self, layer: str = LAYERS[-1]) -> tuple[Chart, ...]:
        """The charts of both runs."""
        return all_charts([self.store.run(run) for run in self.runs], layer)

    def report(self) -> int:
        """Write one report for both runs; returns its step."""
        step = self.step
        for regularized, run in enumerate(self.runs):
            metrics = self._metrics(step, regularized)
            report = Report(step, metrics, self._arrays(step, regularized))
            self.store.write_reports(run, [report], progress={"step": step})
        self.step += REPORT_EVERY
        return step

    def turn_knob(self, field: str, value: float) -> None:
        """A command to the regularised run, applied at the current step."""
        command = self.store.add_command(
            self.runs[1], CommandKind.SET, {"field": field, "value": value}
        )
        self.store.settle_command(command, applied_step=self.step)

    def _metrics(self, step: int, regularized: int) -> dict[str, float]:
        progress = 1 - np.exp(-4 * step / STEPS)
        noise = self._random.normal(0, 0.02)
        metrics = {
            "loss/task": 1.8 * np.exp(-7 * step / STEPS) + 0.02 + abs(noise),
            "loss/penalty": regularized * (1.6 * (1 - progress) + 0.4 + noise),
            "loss/variance": 2.0 - regularized * 1.7 * progress + noise,
            "loss/covariance": 0.2 + (1 - regularized) * 0.7 * progress + noise / 2,
            "optimizer/learning_rate": 3e-3,
            "regularizer/variance_weight": float(regularized),
            "regularizer/covariance_weight": float(regularized),
        }
        for depth, layer in enumerate(LAYERS):
            metrics |= self._layer(layer, depth, regularized, progress)
        if step % PROBE_EVERY < REPORT_EVERY:
            metrics |= {
                name: 0.3 + (finals[regularized] - 0.3) * progress**0.5 + noise / 3
                for name, finals in FINAL.items()
            }
            metrics["features/effective_rank"] = 18 + regularized * 20 * progress + 5 * noise
        return {name: float(value) for name, value in metrics.items()}

    def _layer(self, layer: str, depth: int, regularized: int, progress: float) -> dict[str, float]:
        middle = 0.9 - 0.18 * depth + (1 - 0.9 + 0.18 * depth) * regularized * progress
        width = 0.5 - 0.3 * regularized * progress
        quantiles = {"q05": -1.0, "q25": -0.4, "q50": 0.0, "q75": 0.5, "q95": 1.3}
        return {
            f"layer/{layer}/std_{name}": max(middle + width * place, 0.01)
            for name, place in quantiles.items()
        } | {
            f"layer/{layer}/effective_rank": 10 + 4 * depth + 20 * regularized * progress,
            f"layer/{layer}/rms_correlation": 0.35 - 0.27 * regularized * progress,
            f"layer/{layer}/active_hinges": 0.6 - 0.4 * regularized * progress,
            f"layer/{layer}/count": 8192.0,
        }

    def _arrays(self, step: int, regularized: int) -> dict[tuple[str, str], NDArray[np.float32]]:
        arrays = {}
        for layer in LAYERS:
            covariance = self._covariance(step, regularized)
            arrays[layer, "covariance"] = covariance
            arrays[layer, "std"] = np.sqrt(np.diagonal(covariance))
            arrays[layer, "spectrum"] = np.linalg.eigvalsh(covariance)[::-1].astype(np.float32)
        return arrays

    def _covariance(self, step: int, regularized: int) -> NDArray[np.float32]:
        fixed = np.random.default_rng(regularized)
        shared = fixed.normal(size=(400, 5)) @ fixed.normal(size=(5, self.features))
        strength = 0.5 if not regularized else 0.5 * np.exp(-6 * step / STEPS)
        sample = strength * shared + 0.7 * self._random.normal(size=(400, self.features))
        return np.cov(sample, rowvar=False).astype(np.float32)
