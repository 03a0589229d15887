"""VCR for nearly nothing: what estimators that look at less cost, and what they keep of the gain.

python benchmarks/light_budget.py --out docs/results/light_budget.json

Every estimator trains every preset with the same seeds. The gain is the mean accuracy of the
preset's highlighted probes less that of its unregularised twin. The result file grows run by run
and is taken up where it stopped; ``--times`` measures the step ratios (on a quiet machine).
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from regularizer import machine
from regularizer_step import NETWORKS, training_step

from vcr_core import models
from vcr_core.config import RunConfig, override
from vcr_core.presets import PRESETS
from vcr_core.regularization import attach
from vcr_core.regularization.bench import take_turns
from vcr_core.training.experiment import prepare
from vcr_core.training.loop import train

LABS = ("sprites-shape", "digits-parity", "fashion-coarse")


class Estimator(NamedTuple):
    """Which samples at which steps, and how strong there relative to every sample and step."""

    samples: int | None = None
    every: int = 1
    strength: float = 1


FULL, WITHOUT = "full", "none"  # the second is the twin without the penalty
ESTIMATORS: dict[str, Estimator] = {
    WITHOUT: Estimator(strength=0),
    FULL: Estimator(),
    "1024 drawn": Estimator(1024),
    "4096 drawn": Estimator(4096),
    "all, every 4th step, x4": Estimator(every=4, strength=4),
    "1024 drawn, every 2nd step, x2": Estimator(1024, every=2, strength=2),
    "1024 drawn, every 4th step, x1": Estimator(1024, every=4, strength=1),
    "1024 drawn, every 4th step, x4": Estimator(1024, every=4, strength=4),
    "1024 drawn, every 8th step, x8": Estimator(1024, every=8, strength=8),
}


class Silence:
    """A channel that nobody listens to."""

    def commands(self, step: int) -> tuple[()]:
        """Nobody asks for anything."""
        return ()

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *args, **kwargs: None


def one_run(preset: str, estimator: str, seed: int) -> dict[str, Any]:
    """Train a preset with an estimator; its source and probe accuracies at the end."""
    config = override(PRESETS[preset].config, {"seed": seed, "telemetry.reports": 2})
    config = override(config, {"telemetry.snapshots": 1, "transfer.probes": 1})
    config = config.baseline() if estimator == WITHOUT else config
    experiment = with_estimator(config, ESTIMATORS[estimator])
    outcome = train(experiment, Silence())
    return {
        "preset": preset,
        "estimator": estimator,
        "seed": seed,
        "source": outcome.evaluation.source_accuracy,
        "transfer": dict(outcome.evaluation.transfer),
        "steps": outcome.step,
    }


def with_estimator(config: RunConfig, estimator: Estimator) -> Any:
    """The experiment of ``config`` with another share of samples and steps."""
    experiment = prepare(config)
    experiment.regularization.remove()
    settings = config.regularizer
    handle = attach(
        experiment.model,
        variance_weight=settings.variance_weight * estimator.strength / estimator.every,
        covariance_weight=settings.covariance_weight * estimator.strength / estimator.every,
        layers=config.layer_names,
        target_std=settings.target_std,
        eps=settings.eps,
        max_samples=estimator.samples,
        every=estimator.every,
        seed=config.seed,
    )
    return dataclasses.replace(experiment, regularization=handle)


def step_ratio(estimator: str, network: tuple[Any, ...], trials: int) -> dict[str, float]:
    """Time of as many steps as its interval with the estimator divided by as many without."""
    label, name, shape, batch = network
    chosen = ESTIMATORS[estimator]
    model = models.build(name, in_shape=shape, num_classes=4, seed=0).train()
    twin = models.build(name, in_shape=shape, num_classes=4, seed=0).train()
    steps = {
        "without": training_step(twin, (batch, *shape), 0.0),
        "with": training_step(
            model,
            (batch, *shape),
            1.0,
            max_samples=chosen.samples,
            every=chosen.every,
        ),
    }
    contenders = {key: _repeat(step, chosen.every) for key, step in steps.items()}
    times = take_turns(contenders, trials=trials, device="cpu")
    ratios = [one / other for one, other in zip(times["with"], times["without"], strict=True)]
    low, middle, high = (round(x, 3) for x in statistics.quantiles(ratios, n=4))
    print(f"{label:>38} {estimator:>30}: {middle:.3f} ({low:.3f} to {high:.3f})", flush=True)
    return {"ratio": middle, "low": low, "high": high, "trials": trials}


def _repeat(step: Callable[[], object], times: int) -> Callable[[], object]:
    def run() -> None:
        for _ in range(times):
            step()

    return run


def summary(runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Per preset and estimator: gain, and its paired difference to the full estimator's gain."""
    score = {
        (run["preset"], run["estimator"], run["seed"]): statistics.fmean(
            run["transfer"][target] for target in PRESETS[run["preset"]].highlights
        )
        for run in runs
    }
    table: dict[str, Any] = {}
    for preset in LABS:
        for estimator in ESTIMATORS:
            seeds = [s for p, e, s in score if (p, e) == (preset, estimator)]
            seeds = [s for s in seeds if {(preset, WITHOUT, s), (preset, FULL, s)} <= score.keys()]
            if len(seeds) < 2 or estimator == WITHOUT:
                continue
            gains = [score[preset, estimator, s] - score[preset, WITHOUT, s] for s in seeds]
            changes = [score[preset, estimator, s] - score[preset, FULL, s] for s in seeds]
            table.setdefault(preset, {})[estimator] = {
                "n": len(seeds),
                "gain": round(statistics.fmean(gains), 4),
                "gain_se": round(_standard_error(gains), 4),
                "less_than_full": round(-statistics.fmean(changes), 4),
                "less_than_full_se": round(_standard_error(changes), 4),
            }
    return table


def _standard_error(values: Sequence[float]) -> float:
    return statistics.stdev(values) / math.sqrt(len(values))


def main() -> None:
    """Train what is missing in the result file, or measure times; write after every run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--seeds", type=int, nargs="*", default=list(range(5)))
    parser.add_argument("--presets", nargs="*", default=LABS)
    parser.add_argument("--estimators", nargs="*", default=list(ESTIMATORS))
    parser.add_argument("--times", action="store_true", help="measure step ratios instead")
    parser.add_argument("--networks", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--trials", type=int, default=21)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    torch.set_num_threads(1)
    result = json.loads(options.out.read_text()) if options.out.exists() else {}
    result = {"machine": machine("cpu"), "summary": {}, "step_ratios": {}, "runs": []} | result
    if options.times:
        result["machine_of_times"] = machine("cpu")
        for place in options.networks:
            for estimator in options.estimators:
                ratios = step_ratio(estimator, NETWORKS[place], options.trials)
                result["step_ratios"].setdefault(NETWORKS[place][0], {})[estimator] = ratios
                write(result, options.out)
        return
    done = {(run["preset"], run["estimator"], run["seed"]) for run in result["runs"]}
    for seed in options.seeds:
        for estimator in options.estimators:
            for preset in options.presets:
                if (preset, estimator, seed) not in done:
                    result["runs"].append(one_run(preset, estimator, seed))
                    write(result, options.out)


def write(result: dict[str, Any], out: Path) -> None:
    """The whole result, with its summary brought up to date."""
    result["summary"] = summary(result["runs"])
    out.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
