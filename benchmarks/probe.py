"""Time of linear probes: beside scikit-learn, along a path of strengths, and during a run.

    python benchmarks/probe.py fit --l2 1e-3 --out docs/results/probe.json
    python benchmarks/probe.py path          --out docs/results/probe.json
    python benchmarks/probe.py online        --out docs/results/probe.json

Each part writes its medians and spreads into the same file, with the machine and the versions.
Seconds are those of the processor in this process, with one thread unless ``--threads`` says
otherwise: what else the machine does counts little.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from regularizer import machine
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits
from torch import Tensor

from vcr_core.presets import find_preset
from vcr_core.store import Report
from vcr_core.training.experiment import Experiment, prepare
from vcr_core.training.loop import train
from vcr_core.training.recorder import Recorder
from vcr_core.transfer import FrozenFeatures, fit_path, fit_probe
from vcr_core.transfer.path import STRENGTHS
from vcr_core.transfer.probe import ProbeData, on_same_images, stack_weights

TRAIN, TEST, FEATURES, CLASSES, LATENT = 50_000, 10_000, 512, 100, 96


def features(seed: int = 0) -> tuple[Tensor, Tensor]:
    """Correlated ReLU features (N, D) of a mixture of Gaussians, and classes (N,)."""
    draws = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=draws)

    n = TRAIN + TEST
    labels = torch.randint(CLASSES, (n,), generator=draws)
    means = normal(CLASSES, LATENT) * torch.logspace(0.2, -1, LATENT)
    z = means[labels] + 2.5 * normal(n, LATENT) * torch.logspace(0, -0.7, LATENT)
    mixing = normal(LATENT, FEATURES) / LATENT**0.5
    return torch.relu(z @ mixing + 0.3 * normal(FEATURES) + 0.15 * normal(n, FEATURES)), labels


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds of the processor, and what came of it."""
    start = time.process_time()
    found = work()
    return time.process_time() - start, found


def spread(seconds: Sequence[float]) -> dict[str, float]:
    """Median, least, most, and how many."""
    return {
        "median": round(statistics.median(seconds), 4),
        "min": round(min(seconds), 4),
        "max": round(max(seconds), 4),
        "n": len(seconds),
    }


def measure_fit(trials: int, l2: float) -> dict[str, Any]:
    """One probe against scikit-learn's LogisticRegression: float32, same strength and tolerance."""
    x, y = features()
    train, test = slice(0, TRAIN), slice(TRAIN, None)
    ours, theirs = [], []
    for _ in range(trials):
        seconds, probe = timed(lambda: fit_probe(x[train], y[train], num_classes=CLASSES, l2=l2))
        ours.append(seconds)
        seconds, (scaler, oracle) = timed(lambda: scikit_learn(x[train], y[train], l2))
        theirs.append(seconds)
    return {
        "samples": TRAIN,
        "features": FEATURES,
        "classes": CLASSES,
        "ours_seconds": spread(ours),
        "scikit_learn_seconds": spread(theirs),
        "times_faster": round(statistics.median(theirs) / statistics.median(ours), 2),
        "evaluations": {"ours": probe.iterations, "scikit_learn": int(oracle.n_iter_[0])},
        "test_accuracy": {
            "ours": round(probe.accuracy(x[test], y[test]), 4),
            "scikit_learn": round(oracle.score(scaler.transform(x[test].numpy()), y[test]), 4),
        },
    }


def scikit_learn(x: Tensor, y: Tensor, l2: float) -> tuple[StandardScaler, LogisticRegression]:
    """The same probe by scikit-learn, run until its own tolerance (1e-4, ours in float32)."""
    scaler = StandardScaler().fit(x.numpy())
    z = scaler.transform(x.numpy())
    return scaler, LogisticRegression(C=1 / (l2 * len(x)), max_iter=2000).fit(z, y.numpy())


def measure_path(trials: int) -> dict[str, Any]:
    """A path of ten strengths against ten fits from zero by the same solver."""
    x, y = features()
    train, test = slice(0, TRAIN), slice(TRAIN, None)
    apart, along = [], []
    for _ in range(trials):
        seconds, separate = timed(
            lambda: [fit_probe(x[train], y[train], num_classes=CLASSES, l2=s) for s in STRENGTHS]
        )
        apart.append(seconds)
        seconds, (path,) = timed(lambda: fit_path(x[train], [y[train]], num_classes=[CLASSES]))
        along.append(seconds)
    return {
        "samples": TRAIN,
        "features": FEATURES,
        "classes": CLASSES,
        "strengths": [round(s, 6) for s in STRENGTHS],
        "separate_seconds": spread(apart),
        "path_seconds": spread(along),
        "times_faster": round(statistics.median(apart) / statistics.median(along), 2),
        "evaluations": {
            "separate": [probe.iterations for probe in separate],
            "path": [probe.iterations for probe in path],
        },
        "test_accuracy": {
            "separate": [round(probe.accuracy(x[test], y[test]), 4) for probe in separate],
            "path": [round(probe.accuracy(x[test], y[test]), 4) for probe in path],
        },
    }


class Watcher(Recorder):
    """Fits the probes of every report twice: from zero, and from the last ones."""

    def __init__(self, experiment: Experiment) -> None:
        super().__init__()
        self.experiment = experiment
        self.last: dict[int, Tensor] = {}
        self.seconds: dict[str, list[float]] = {"extraction": [], "from_zero": [], "warm": []}
        self.evaluations: dict[str, list[int]] = {"from_zero": [], "warm": []}

    def report(self, report: Report, *, seconds: float) -> None:
        """Repeat the work of a report's probes, where it has any."""
        if not any(name.startswith("transfer/") for name in report.metrics):
            return
        features_of = FrozenFeatures(self.experiment.model)
        groups = on_same_images(self.experiment.tasks)
        images = [
            i for task in self.experiment.tasks for i in (task.train_images, task.test_images)
        ]
        self.seconds["extraction"].append(timed(lambda: [features_of(i) for i in images])[0])
        for place, group in enumerate(groups):
            z = features_of(group[0].train_images)
            labels = [task.train_labels for task in group]
            classes = [len(task.class_names) for task in group]
            strengths = [self.experiment.config.transfer.l2] * len(group)
            starts = {"from_zero": None, "warm": self.last.get(place)}
            for name, start in starts.items():
                seconds, probes = timed(
                    lambda z=z, labels=labels, classes=classes, start=start, l2=strengths: (
                        ProbeData.of(z, labels, classes).solve(l2, start=start)
                    )
                )
                self.seconds[name].append(seconds)
                self.evaluations[name].append(max(probe.iterations for probe in probes))
            self.last[place] = stack_weights(probes)


def measure_online(preset: str) -> dict[str, Any]:
    """What probing costs during a run, and what starting from the last report's probes saves."""
    experiment = prepare(find_preset(preset).config)
    watcher = Watcher(experiment)
    whole, _ = timed(lambda: train(experiment, watcher))
    again = sum(sum(values) for values in watcher.seconds.values())
    totals = {name: sum(values) for name, values in watcher.seconds.items()}
    probing = totals["extraction"] + totals["from_zero"]
    training = whole - again - probing  # the run probed by itself as well
    return {
        "reports": len(watcher.seconds["extraction"]),
        "seconds_per_report": {name: spread(values) for name, values in watcher.seconds.items()},
        "evaluations": {k: statistics.mean(v) for k, v in watcher.evaluations.items()},
        "training_seconds": round(training, 2),
        "probing_share_of_training": round(probing / training, 3),
        "probing_share_with_warm_start": round(
            (totals["extraction"] + totals["warm"]) / training, 3
        ),
    }


def main() -> None:
    """Parse, measure, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("part", choices=("fit", "path", "online"))
    parser.add_argument("--trials", type=int, default=3)
    parser.add_argument("--l2", type=float, default=1e-3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    name = arguments.part
    if name == "online":
        found: dict[str, Any] = {p: measure_online(p) for p in ("sprites-shape", "digits-parity")}
    elif name == "path":
        found = measure_path(arguments.trials)
    else:
        name = f"fit, l2 = {arguments.l2:g}"
        with threadpool_limits(arguments.threads):  # scikit-learn has threads of its own
            found = measure_fit(arguments.trials, arguments.l2)
    about = machine("cpu") | {"scikit_learn": version("scikit-learn")}
    print(json.dumps(found, indent=1))
    if arguments.out:
        kept = json.loads(arguments.out.read_text()) if arguments.out.is_file() else {}
        kept[name] = {"machine": about, **found}
        arguments.out.write_text(json.dumps(kept, indent=1) + "\n")


if __name__ == "__main__":
    main()
