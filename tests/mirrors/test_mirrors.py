"""What a mirror wrote, read back with the reader of each tool."""

from __future__ import annotations

import io
import json
import math
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from vcr_core.cli import app
from vcr_core.config import RunConfig
from vcr_core.errors import ConfigError, UnknownRunError
from vcr_core.mirrors import mirror_runs, open_mirror
from vcr_core.mirrors.pictures import picture
from vcr_core.store import Report, RunState, Snapshot, Store, open_store

MATRIX = np.array([[1.0, -1.0], [0.0, np.nan]], dtype=np.float32)
NAMES = ("loss/task", "transfer/digits:digit")


def write(store: Store, run_id: str, *steps: int) -> None:
    for step in steps:
        numbers = {NAMES[0]: 1.0 / step, NAMES[1]: float("nan") if step == 2 else 0.125 * step}
        arrays = {("blocks.0", "correlation"): MATRIX, ("blocks.0", "std"): MATRIX[0]}
        store.write_reports(run_id, [Report(step, numbers, arrays)], progress={"step": step})


def expected(*steps: int) -> list[tuple[int, float]]:
    return [(step, pytest.approx(1.0 / step)) for step in steps]


@pytest.fixture
def run_id(store: Store) -> str:
    """A finished run with three reports."""
    made = store.create_run(RunConfig(seed=7), name="first try")
    write(store, made, 1, 2, 3)
    store.update_run(made, state=RunState.FINISHED.value)
    return made


def test_a_picture_is_red_above_blue_below_white_at_zero_and_grey_where_nothing_is() -> None:
    pixels = picture(Snapshot(1, "run", 1, "layer", "correlation", MATRIX))
    assert pixels.shape == (256, 256, 3)
    corners = [tuple(map(int, pixels[row, column])) for row in (0, -1) for column in (0, -1)]
    assert corners == [(178, 24, 43), (33, 102, 172), (255, 255, 255), (128, 128, 128)]


def read_tensorboard(folder: Path) -> Any:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    reader = EventAccumulator(str(folder), size_guidance={"images": 0, "scalars": 0})
    reader.Reload()
    return reader


def test_tensorboard_shows_scalars_pictures_and_settings(
    store: Store, run_id: str, tmp_path: Path
) -> None:
    mirror = open_mirror("tensorboard", str(tmp_path))
    assert mirror_runs(store, [run_id], mirror, place="here") == {run_id: (6, 3)}
    reader = read_tensorboard(tmp_path / run_id)
    assert [(e.step, e.value) for e in reader.Scalars(NAMES[0])] == expected(1, 2, 3)
    other = [event.value for event in reader.Scalars(NAMES[1])]
    assert other[0] == 0.125
    assert math.isnan(other[1])
    images = reader.Images("blocks.0/correlation")
    assert [image.step for image in images] == [1, 2, 3]
    pixels = np.asarray(Image.open(io.BytesIO(images[0].encoded_image_string)))
    assert tuple(map(int, pixels[0, 0])) == (178, 24, 43)
    (text,) = reader.Tensors("settings/text_summary")
    assert RunConfig(**json.loads(text.tensor_proto.string_val[0])) == RunConfig(seed=7)


def test_a_mirror_goes_on_where_it_was(store: Store, tmp_path: Path) -> None:
    run_id = store.create_run(RunConfig(), state=RunState.RUNNING)
    for steps, count in (((1, 2), (4, 2)), ((3,), (2, 1)), ((), (0, 0))):
        write(store, run_id, *steps)
        mirror = open_mirror("tensorboard", str(tmp_path))
        assert mirror_runs(store, [run_id], mirror, place="here") == {run_id: count}
    reader = read_tensorboard(tmp_path / run_id)
    assert [(e.step, e.value) for e in reader.Scalars(NAMES[0])] == expected(1, 2, 3)


def test_a_mirror_follows_a_live_run_to_its_end(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vcr_core.mirrors.copying.LOOK_SECONDS", 0.02)
    run_id = store.create_run(RunConfig(), state=RunState.RUNNING)
    steps = range(1, 21)

    def train() -> None:
        for step in steps:
            write(store, run_id, step)
            time.sleep(0.01)
        store.update_run(run_id, state=RunState.FINISHED.value)

    trainer = threading.Thread(target=train)
    trainer.start()
    mirror = open_mirror("tensorboard", str(tmp_path))
    written = mirror_runs(store, [run_id], mirror, place="here", follow=True)
    trainer.join()
    assert written == {run_id: (40, 20)}
    reader = read_tensorboard(tmp_path / run_id)
    assert [(e.step, e.value) for e in reader.Scalars(NAMES[0])] == expected(*steps)


@pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")  # MLflow's own
@pytest.mark.parametrize("kind", ["folder", pytest.param("database", marks=pytest.mark.slow)])
def test_mlflow_shows_metrics_parameters_and_images(
    store: Store, run_id: str, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.chdir(tmp_path)
    from mlflow.tracking import MlflowClient

    address = (tmp_path / "tracking").as_uri()
    if kind == "database":
        address = f"sqlite:///{tmp_path / 'tracking.sqlite'}"
    mirror = open_mirror("mlflow", address)
    assert mirror_runs(store, [run_id], mirror, place="here") == {run_id: (6, 3)}
    client = MlflowClient(tracking_uri=address)
    experiment = client.get_experiment_by_name("vcr-lab")
    assert experiment is not None
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.run_name == "first try"
    assert run.info.status == "FINISHED"
    assert run.data.tags["vcr-lab.run"] == run_id
    assert run.data.params["seed"] == "7"
    history = client.get_metric_history(run.info.run_id, NAMES[0])
    assert sorted((metric.step, metric.value) for metric in history) == expected(1, 2, 3)
    renamed = client.get_metric_history(run.info.run_id, "transfer/digits_digit")
    assert len(renamed) == 3
    images = [
        artifact.path
        for artifact in client.list_artifacts(run.info.run_id, "images")
        if artifact.path.endswith(".png")
    ]
    assert len(images) == 3
    pixels = np.asarray(Image.open(client.download_artifacts(run.info.run_id, images[0])))
    assert tuple(map(int, pixels[0, 0])) == (178, 24, 43)


def wandb_records(file: Path) -> Iterator[Any]:
    """The records of an offline run: the library's own message type, in a LevelDB log.

    The library reads the log with a program of its own that only sends it on. The log is made of
    blocks of 32 KiB; a record is in one or more chunks, each with checksum, length and kind.
    """
    from wandb.proto.wandb_internal_pb2 import Record

    data, at, parts = file.read_bytes(), 7, b""
    while at + 7 <= len(data):
        if 32768 - at % 32768 < 7:
            at += 32768 - at % 32768
            continue
        length, kind = struct.unpack_from("<HB", data, at + 4)
        parts += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in {1, 4}:  # a whole record, or the last part of one
            record = Record()
            record.ParseFromString(parts)
            parts = b""
            yield record


@pytest.mark.slow
def test_weights_and_biases_offline_holds_history_and_images(run_id: str, tmp_path: Path) -> None:
    """In a process of its own: the library starts a service that outlives what uses it."""
    code = "import sys; from vcr_core.cli import main; main()"
    words = ["mirror", run_id, "--to", "wandb", "--at", str(tmp_path), "--json"]
    done = subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["runs"] == {run_id: {"numbers": 6, "matrices": 3}}

    (file,) = tmp_path.glob("wandb/offline-run-*/*.wandb")
    rows, settings = [], {}
    for record in wandb_records(file):
        if record.WhichOneof("record_type") == "history":
            items = record.history.item
            rows.append(
                {(i.key or "/".join(i.nested_key)): json.loads(i.value_json) for i in items}
            )
        elif record.WhichOneof("record_type") == "run":
            settings = {item.key: item.value_json for item in record.run.config.update}
    losses = [(row["step"], row[NAMES[0]]) for row in rows if NAMES[0] in row]
    assert losses == expected(1, 2, 3)
    assert json.loads(settings["seed"]) == 7
    path = "blocks.0/correlation/path"
    images = [(row["step"], row[path]) for row in rows if path in row]
    assert [step for step, _ in images] == [1, 2, 3]
    pixels = np.asarray(Image.open(file.parent / "files" / images[0][1]))
    assert tuple(map(int, pixels[0, 0])) == (178, 24, 43)


def test_all_runs_are_mirrored_where_none_is_named(run_id: str, tmp_path: Path) -> None:
    second = open_store().create_run(RunConfig())
    words = ["mirror", "--to", "tensorboard", "--at", str(tmp_path)]
    said = CliRunner().invoke(app, words, catch_exceptions=False).stdout
    assert f"{run_id}: 6 numbers, 3 matrices → tensorboard" in said
    assert (tmp_path / second).is_dir()
    again = CliRunner().invoke(app, words, catch_exceptions=False).stdout
    assert again == "nothing new to write\n"


def test_unknown_mirrors_and_runs_are_refused(store: Store, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="out of tensorboard, mlflow, wandb, got 'paper'"):
        open_mirror("paper")
    mirror = open_mirror("tensorboard", str(tmp_path / "there"))
    with pytest.raises(UnknownRunError):
        mirror_runs(store, ["nobody"], mirror, place="here")
    assert not (tmp_path / "there").exists()


@pytest.mark.parametrize("name", ["tensorboard", "mlflow", "wandb"])
def test_a_missing_library_is_named_with_the_command_that_installs_it(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, f"vcr_core.mirrors.to_{name}", raising=False)
    for module in [module for module in sys.modules if module.partition(".")[0] == name]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ConfigError, match=rf"pip install \"vcr-lab\[{name}\]\""):
        open_mirror(name)
