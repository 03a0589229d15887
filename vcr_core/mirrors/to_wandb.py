"""Weights & Biases: one run a run, in the project ``vcr-lab``; offline unless WANDB_MODE=online."""

from __future__ import annotations

import os
from pathlib import Path

import wandb

from vcr_core import paths
from vcr_core.mirrors.pictures import picture
from vcr_core.store import Run, Snapshot

PROJECT = "vcr-lab"


def open_mirror(destination: str | None) -> WeightsAndBiases:
    """Write below the folder ``destination``, by default one beside the store."""
    folder = Path(destination) if destination else paths.home() / "mirrors"
    folder.mkdir(parents=True, exist_ok=True)
    return WeightsAndBiases(folder)


class WeightsAndBiases:
    """Writes what `wandb sync` sends."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def open(self, run: Run, known_as: str) -> WandbRun:
        """Begin or go on with the run of the same id."""
        settings = wandb.Settings(
            mode=os.environ.get("WANDB_MODE", "offline"),
            silent=True,
            console="off",
            x_disable_stats=True,
            x_disable_meta=True,
        )
        there = wandb.init(
            project=PROJECT,
            id=run.id,
            name=run.name or f"{run.preset} {run.id}",
            group=run.pair_id,
            config=dict(run.config_tree),
            dir=str(self.folder),
            resume="allow" if known_as else None,
            reinit="create_new",
            settings=settings,
        )
        there.define_metric("*", step_metric="step")
        return WandbRun(there)


class WandbRun:
    """One run there. Its step is a value of its own, which may go back when a run is resumed."""

    def __init__(self, run: wandb.Run) -> None:
        self.known_as = str(run.id)
        self._run = run

    def numbers(self, step: int, values: dict[str, float]) -> None:
        """One row of the run's history."""
        self._run.log({"step": step, **values})

    def matrix(self, snapshot: Snapshot) -> None:
        """A picture, named after its layer and kind."""
        image = wandb.Image(picture(snapshot))
        self._run.log({"step": snapshot.step, f"{snapshot.layer}/{snapshot.kind}": image})

    def flush(self) -> None:
        """Nothing to do: the library's own process writes what it is given."""

    def close(self, run: Run) -> None:
        """Have everything written, and say whether the run failed."""
        self._run.finish(exit_code=1 if run.error else 0)
