"""Checkpoints: tensors in a safetensors file, everything else in a JSON file beside it.

    <root>/<run>/00000120.safetensors    the tensors
    <root>/<run>/00000120.json           step, state, and the tensors' size and SHA-256

The JSON file is written last and completes the checkpoint: one that was cut short lacks it, or
names a size or sum that its tensors do not have, and the one before is used. On a local disk both
are written aside, flushed to the disk and renamed. ``root`` is a folder or any fsspec address.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fsspec

from vcr_core import paths
from vcr_core.errors import CheckpointError

if TYPE_CHECKING:
    from torch import Tensor

    from vcr_core.store import Run

FORMAT = 1


@dataclass(frozen=True)
class Checkpoint:
    """A run after ``step`` steps: tensors on the CPU, and plain data."""

    step: int
    tensors: Mapping[str, Tensor]
    state: Mapping[str, Any]


class Folder:
    """The checkpoints of one run."""

    def __init__(self, address: str) -> None:
        """Raises ``CheckpointError`` where no such address can be used."""
        self.address = address.rstrip("/")
        try:
            self._files, self._root = fsspec.core.url_to_fs(self.address)
        except (ImportError, ValueError) as error:
            raise CheckpointError(
                f"expected a folder or an fsspec address for checkpoints, got '{address}' "
                f"({error}): mend VCR_LAB_CHECKPOINTS"
            ) from error
        protocol = self._files.protocol
        self._local = "file" in ((protocol,) if isinstance(protocol, str) else protocol)

    @classmethod
    def of(cls, run: Run) -> Folder:
        """Where the checkpoints of a run lie, or will lie."""
        return cls(run.checkpoint or f"{paths.checkpoint_address().rstrip('/')}/{run.id}")

    # ------------------------------------------------------------------ writing

    def write(self, checkpoint: Checkpoint) -> int:
        """Keep a checkpoint; returns its bytes.

        Raises:
            CheckpointError: it cannot be written; what was kept before stays.
        """
        from safetensors.torch import save

        data = save(dict(checkpoint.tensors))
        note = {
            "format": FORMAT,
            "step": checkpoint.step,
            "bytes": len(data),
            "sha256": hashlib.sha256(data).hexdigest(),
            "state": dict(checkpoint.state),
        }
        self.write_raw(note, data)
        return len(data)

    def write_raw(self, note: Mapping[str, Any], data: bytes) -> None:
        """Keep a checkpoint that :meth:`read_raw` gave.

        Raises:
            CheckpointError: it cannot be written; what was kept before stays.
        """
        name = f"{note['step']:08d}"
        try:
            self._files.makedirs(self._root, exist_ok=True)
            self._put(f"{name}.safetensors", data)
            self._put(f"{name}.json", json.dumps(note).encode())
        except OSError as error:
            raise CheckpointError(
                f"cannot keep a checkpoint in {self.address}: {error.strerror or error}. The run "
                "goes on; free some space or choose another place with VCR_LAB_CHECKPOINTS"
            ) from error

    def _put(self, name: str, data: bytes) -> None:
        target = f"{self._root}/{name}"
        if not self._local:
            self._files.pipe_file(target, data)
            return
        aside = Path(f"{target}.part")
        try:
            with aside.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            aside.replace(target)
        finally:
            aside.unlink(missing_ok=True)

    def remove(self, step: int) -> None:
        """Throw a checkpoint away: first the note that makes it one."""
        for ending in ("json", "safetensors"):
            path = f"{self._root}/{step:08d}.{ending}"
            if self._files.exists(path):
                self._files.rm_file(path)

    # ------------------------------------------------------------------ reading

    def steps(self) -> list[int]:
        """The steps of the checkpoints that were completed, in order."""
        if not self._files.isdir(self._root):
            return []
        names = [str(path).rpartition("/")[2] for path in self._files.ls(self._root, detail=False)]
        return sorted(int(name[:-5]) for name in names if name.endswith(".json"))

    def size(self, step: int) -> int:
        """The bytes that a checkpoint takes."""
        path = f"{self._root}/{step:08d}.safetensors"
        return int(self._files.size(path) or 0) if self._files.exists(path) else 0

    def read(self, step: int) -> Checkpoint:
        """The checkpoint of a step.

        Raises:
            CheckpointError: there is none, it was cut short, or it is of a newer VCR Lab.
        """
        from safetensors.torch import load

        note, data = self.read_raw(step)
        return Checkpoint(note["step"], load(data), note["state"])

    def read_raw(self, step: int) -> tuple[dict[str, Any], bytes]:
        """The note and the bytes of the tensors of a checkpoint, both seen to be whole.

        Raises:
            CheckpointError: there is none, it was cut short, or it is of a newer VCR Lab.
        """
        where = f"the checkpoint of step {step} in {self.address}"
        try:
            note = json.loads(self._files.cat_file(f"{self._root}/{step:08d}.json"))
            data = self._files.cat_file(f"{self._root}/{step:08d}.safetensors")
        except (OSError, ValueError) as error:
            raise CheckpointError(f"{where} is missing or was cut short: use another") from error
        if note["format"] > FORMAT:
            raise CheckpointError(f"{where} was made by a newer VCR Lab: update VCR Lab")
        if len(data) != note["bytes"] or hashlib.sha256(data).hexdigest() != note["sha256"]:
            raise CheckpointError(
                f"{where} is damaged: expected {note['bytes']} bytes with the sum "
                f"{note['sha256'][:12]}, got {len(data)} that do not fit: use another"
            )
        return note, data

    def newest_raw(self) -> tuple[int, bytes] | None:
        """Step and safetensors bytes of the last whole checkpoint; None where there is none."""
        for step in reversed(self.steps()):
            try:
                return step, self.read_raw(step)[1]
            except CheckpointError:
                continue
        return None

    def newest(self) -> Checkpoint | None:
        """The last checkpoint that is whole; None where there is none."""
        return next(self._whole(), None)

    def _whole(self) -> Iterator[Checkpoint]:
        for step in reversed(self.steps()):
            try:
                checkpoint = self.read(step)
            except CheckpointError:
                continue
            yield checkpoint
