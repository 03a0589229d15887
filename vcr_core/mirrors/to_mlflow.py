"""MLflow: one MLflow run a run, in the experiment ``vcr-lab``; matrices are logged images."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # before the import, which reads it

from mlflow.entities import Metric, Param, RunStatus
from mlflow.tracking import MlflowClient

from vcr_core import paths
from vcr_core.mirrors.pictures import flat, picture
from vcr_core.store import Run, RunState, Snapshot

EXPERIMENT = "vcr-lab"
SQLITE = "sqlite:///"
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
    SQLite file beside the store.
    """
    folder = paths.home() / "mirrors"
    folder.mkdir(exist_ok=True)
    own = f"sqlite:///{(folder / 'mlflow.sqlite').as_posix()}"
    return MLflow(destination or os.environ.get("MLFLOW_TRACKING_URI") or own)


class MLflow:
    """Writes through MLflow's client; names get the letters that MLflow allows."""

    def __init__(self, address: str) -> None:
        self.client = MlflowClient(tracking_uri=address)
        found = self.client.get_experiment_by_name(EXPERIMENT)
        self._experiment = found.experiment_id if found else self._create(address)

    def _create(self, address: str) -> str:
        """A new experiment; beside a SQLite file MLflow would put pictures where one stands."""
        pictures = None
        if address.startswith(SQLITE):
            pictures = Path(f"{address.removeprefix(SQLITE)}.pictures").absolute().as_uri()
        return str(self.client.create_experiment(EXPERIMENT, artifact_location=pictures))

    def open(self, run: Run, known_as: str) -> MLflowRun:
        """Begin an MLflow run with the settings as parameters, or open the one that is there."""
        if known_as:
            self.client.update_run(known_as, status=RunStatus.to_string(RunStatus.RUNNING))
            return MLflowRun(self.client, known_as)
        made = self.client.create_run(
            self._experiment,
            run_name=run.name or f"{run.preset} {run.id}",
            tags={"vcr-lab.run": run.id, "vcr-lab.role": run.role.value},
        )
        settings = flat(dict(run.config_tree))
        params = [Param(_allowed(name), settings[name][:LONGEST_PARAM]) for name in settings]
        for start in range(0, len(params), PARAMS_AT_A_TIME):
            part = params[start : start + PARAMS_AT_A_TIME]
            self.client.log_batch(made.info.run_id, params=part)
        return MLflowRun(self.client, made.info.run_id)


class MLflowRun:
    """One run there."""

    def __init__(self, client: MlflowClient, known_as: str) -> None:
        self.known_as = known_as
        self._client = client
        self._pending: list[Metric] = []

    def numbers(self, step: int, values: dict[str, float]) -> None:
        """Metrics of a step, sent a thousand at a time."""
        now = round(1000 * time.time())
        self._pending += [Metric(_allowed(name), values[name], now, step) for name in values]
        if len(self._pending) >= METRICS_AT_A_TIME:
            self.flush()

    def matrix(self, snapshot: Snapshot) -> None:
        """A logged image, named after its layer and kind."""
        key = _allowed(f"{snapshot.layer}/{snapshot.kind}")
        self._client.log_image(self.known_as, picture(snapshot), key=key, step=snapshot.step)

    def flush(self) -> None:
        """Send what waits."""
        for start in range(0, len(self._pending), METRICS_AT_A_TIME):
            part = self._pending[start : start + METRICS_AT_A_TIME]
            self._client.log_batch(self.known_as, metrics=part)
        self._pending = []

    def close(self, run: Run) -> None:
        """Say how the run ended, if it did."""
        self.flush()
        if run.state.is_over:
            self._client.set_terminated(self.known_as, RunStatus.to_string(STATUS[run.state]))


def _allowed(name: str) -> str:
    return re.sub(r"[^\w\-. /]", "_", name)
