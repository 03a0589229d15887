"""TensorBoard: one folder a run, with scalars, pictures and the settings as text."""

from __future__ import annotations

import json
import time
from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from vcr_core import paths
from vcr_core.mirrors.pictures import picture, png
from vcr_core.store import Run, Snapshot


def open_mirror(destination: str | None) -> TensorBoard:
    """Write below the folder ``destination``, by default one beside the store."""
    return TensorBoard(Path(destination) if destination else paths.home() / "mirrors/tensorboard")


class TensorBoard:
    """Writes event files, which `tensorboard --logdir` shows."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def open(self, run: Run, known_as: str) -> RunFolder:
        """A new event file in the run's folder; TensorBoard joins the files of a folder."""
        there = RunFolder(self.folder / run.id)
        if not known_as:
            settings = json.dumps(dict(run.config_tree), indent=1)
            text = "\n".join(f"    {line}" for line in settings.splitlines())
            there.add(0, _text("settings", text))
        return there


class RunFolder:
    """One run there."""

    def __init__(self, folder: Path) -> None:
        self.known_as = folder.name
        self._writer = EventFileWriter(str(folder))

    def numbers(self, step: int, values: dict[str, float]) -> None:
        """Scalars of a step."""
        self.add(step, *(Summary.Value(tag=name, simple_value=values[name]) for name in values))

    def matrix(self, snapshot: Snapshot) -> None:
        """A picture, named after its layer and kind."""
        pixels = picture(snapshot)
        image = Summary.Image(
            height=pixels.shape[0],
            width=pixels.shape[1],
            colorspace=3,
            encoded_image_string=png(pixels),
        )
        self.add(snapshot.step, Summary.Value(tag=f"{snapshot.layer}/{snapshot.kind}", image=image))

    def flush(self) -> None:
        """Write what is buffered."""
        self._writer.flush()

    def close(self, run: Run) -> None:
        """End the event file; a later one goes on."""
        self._writer.close()

    def add(self, step: int, *values: Summary.Value) -> None:
        """Write summaries of a step."""
        summary = Summary(value=values)
        self._writer.add_event(Event(wall_time=time.time(), step=step, summary=summary))


def _text(tag: str, text: str) -> Summary.Value:
    plugin = SummaryMetadata.PluginData(plugin_name="text")
    tensor = TensorProto(
        dtype="DT_STRING",
        string_val=[text.encode()],
        tensor_shape=TensorShapeProto(dim=[TensorShapeProto.Dim(size=1)]),
    )
    return Summary.Value(
        tag=f"{tag}/text_summary", metadata=SummaryMetadata(plugin_data=plugin), tensor=tensor
    )
