"""How often a training step, a report and a probe make the host wait for an accelerator.

    python benchmarks/transfers.py --before PATH --out docs/results/transfers.json

Counted on the device of ``tests/devices``, which computes on the CPU and writes down where a GPU
would have kept the host waiting; so the counts are no measurement of a GPU. ``--before`` is a
checkout of an older version, to be counted as well. ``reads`` are numbers that came to the host,
``sends`` numbers that went to the device from memory that is not pinned, ``looks`` operations that
have to know a number: how large their result is, or whether they failed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from statistics import fmean
from typing import Any

ROOT = Path(__file__).parents[1]
PRESETS = ("sprites-shape", "digits-parity")
STEPS = 40
NAMES = {"read": "reads", "event": "reads", "send": "sends", "shape": "looks"}

Counts = dict[str, int]


def count(preset: str, steps: int) -> dict[str, Any]:
    """Waits of a preset's first steps and of two probes after them, in this process."""
    sys.path.insert(0, str(ROOT / "tests" / "devices"))
    import lagging_device
    import torch

    from vcr_core.presets import find_preset
    from vcr_core.training import experiment
    from vcr_core.training.loop import Trainer
    from vcr_core.training.recorder import Recorder

    found: dict[str, list[Counts]] = {}
    experiment.pick_device = lambda _: torch.device(lagging_device.NAME)
    with lagging_device.lagging_device() as device:
        trainer = Trainer(experiment.prepare(find_preset(preset).config), Recorder())
        for _ in range(steps):
            device.forget()
            trainer.train_step()
            found.setdefault(kind_of_step(trainer), []).append(counted(device))
        for kind in ("first probe", "next probe"):
            device.forget()
            trainer.evaluate()
            found[kind] = [counted(device)]
    return {kind: summary(each) for kind, each in found.items()}


def kind_of_step(trainer: Any) -> str:
    """What a step does beside learning."""
    if trainer.step in trainer.control.cadence.snapshots:
        return "report with matrices"
    return "report" if trainer.step in trainer.control.cadence.reports else "step between reports"


def counted(device: Any) -> Counts:
    """Waits by kind, those of the probes' solver apart."""
    counts = dict.fromkeys((*NAMES.values(), "of the solver"), 0)
    for wait in device.waits:
        solver = wait.place.startswith("lbfgs.py")
        counts["of the solver" if solver else NAMES[wait.kind]] += 1
    counts["sends"] += len(device.staged)
    return counts | {"all": sum(counts.values())}


def summary(found: list[Counts]) -> dict[str, Any]:
    """How many there were, and the mean number of waits of each kind."""
    means = {kind: round(fmean(each[kind] for each in found), 2) for kind in found[0]}
    return {"counted": len(found), **means}


def in_fresh_process(preset: str, steps: int, package: Path) -> dict[str, Any]:
    """The same for the package in another folder."""
    command = [sys.executable, __file__, "--count", preset, "--steps", str(steps)]
    environment = os.environ | {"PYTHONPATH": str(package), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def commit(package: Path) -> str:
    """Which version a checkout is of."""
    command = ["git", "-C", str(package), "rev-parse", "--short", "HEAD"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def printed(preset: str, versions: Mapping[str, Mapping[str, Any]]) -> None:
    """A table on the terminal."""
    for kind in versions["now"]:
        waits = {version: found[kind]["all"] for version, found in versions.items()}
        print(
            f"{preset:>16}  {kind:22}", *(f"{name} {value:7.2f}" for name, value in waits.items())
        )


def main() -> None:
    """Count, print, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--before", type=Path, help="a checkout of an older version")
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--count", choices=PRESETS, help="count one preset in this process")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    if options.count:
        print(json.dumps(count(options.count, options.steps)))
        return
    packages = {"before": options.before, "now": ROOT}
    rows = {}
    for preset in PRESETS:
        rows[preset] = {
            version: in_fresh_process(preset, options.steps, package)
            for version, package in packages.items()
            if package is not None
        }
        printed(preset, rows[preset])
    if options.out:
        result = {
            "device": "the one of tests/devices",
            "before": commit(options.before) if options.before else None,
            "steps": options.steps,
            "presets": rows,
        }
        options.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
