"""MLflow: one MLflow run a run, in the experiment ``vcr-lab``; matrices are logged images."""

from __future__ import annotations

import os
import re
import time

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # before the import, which reads it

from mlflow.entities import Metric, Param, RunStatus
from mlflow.tracking import MlflowClient

from vcr_core import paths
from vcr_core.mirrors.pictures import flat, picture
from vcr_core.store import Run, RunState, Snapshot

EXPERIMENT = "vcr-lab"
METRICS_AT_A_TIME = 1000  # what MLflow takes in one call
PARAMS_AT_A_TIME = 100
LONGEST_PARAM = 500
STATUS = {
    RunState.FINISHED: RunStatus.FINISHED,
    RunState.STOPPED: RunStatus.KILLED,
    RunState.FAILED: RunStatus.FAILED,
}


def open_mirror(destination: str | None) -> MLflow:
    """Write to the tracking address ``destination``; by default ``MLFLOW_TRACKING_URI``, or a
    folder beside the store.
    """
    folder = (paths.home() / "mirrors" / "mlflow").as_uri()
    return MLflow(destination or os.environ.get("MLFLOW_TRACKING_URI") or folder)


class MLflow:
    """Writes through MLflow's client; names get the letters that MLflow allows."""

    def __init__(self, address: str) -> None:
        self.client = MlflowClient(tracking_uri=address)
        found = self.client.get_experiment_by_name(EXPERIMENT)
        self._experiment = (
            found.experiment_id if found else self.client.create_experiment(EXPERIMENT)
        )
        self._run = ""
        self._pending: list[Metric] = []

    def open(self, run: Run, known_as: str) -> str:
        """Begin an MLflow run with the settings as parameters, or open the one that is there."""
        if known_as:
            self._run = known_as
            self.client.update_run(known_as, status=RunStatus.to_string(RunStatus.RUNNING))
            return known_as
        made = self.client.create_run(
            self._experiment,
            run_name=run.name or f"{run.preset} {run.id}",
            tags={"vcr-lab.run": run.id, "vcr-lab.role": run.role.value},
        )
        self._run = str(made.info.run_id)
        settings = flat(dict(run.config_tree))
        params = [Param(_allowed(name), settings[name][:LONGEST_PARAM]) for name in settings]
        for start in range(0, len(params), PARAMS_AT_A_TIME):
            self.client.log_batch(self._run, params=params[start : start + PARAMS_AT_A_TIME])
        return self._run

    def numbers(self, step: int, values: dict[str, float]) -> None:
        """Metrics of a step, sent some hundred at a time."""
        now = round(1000 * time.time())
        self._pending += [Metric(_allowed(name), values[name], now, step) for name in values]
        while len(self._pending) >= METRICS_AT_A_TIME:
            self._send()

    def _send(self) -> None:
        part, self._pending = (
            self._pending[:METRICS_AT_A_TIME],
            self._pending[METRICS_AT_A_TIME:],
        )
        self.client.log_batch(self._run, metrics=part)

    def matrix(self, snapshot: Snapshot) -> None:
        """A logged image, named after its layer and kind."""
        key = _allowed(f"{snapshot.layer}/{snapshot.kind}")
        self.client.log_image(self._run, picture(snapshot), key=key, step=snapshot.step)

    def close(self, run: Run) -> None:
        """Send what waits, and say how the run ended."""
        while self._pending:
            self._send()
        if run.state.is_over:
            self.client.set_terminated(self._run, RunStatus.to_string(STATUS[run.state]))


def _allowed(name: str) -> str:
    return re.sub(r"[^\w\-. /]", "_", name)
