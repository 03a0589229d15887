"""Writes tiny videos as HMDB51 lays them out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import av
import numpy as np

LISTS = "testTrainMulti_7030_splits"
ACTIONS = ("clap", "jump", "smile")
HEIGHT, WIDTH = 24, 32


def write_video(path: Path, frames: Sequence[int] | int = 20, *, tint: int = 0) -> None:
    """A video whose every frame is one level of grey; by default frame t is 10 t + tint.

    With Motion JPEG every frame is a picture of its own, so the levels come back as they were.
    """
    levels = [10 * t + tint for t in range(frames)] if isinstance(frames, int) else frames
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=25)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuvj420p"
        stream.codec_context.qmin = stream.codec_context.qmax = 2
        for level in levels:
            pixels = np.full((HEIGHT, WIDTH, 3), level, dtype=np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())


def write_hmdb51(
    root: Path, *, actions: Sequence[str] = ACTIONS, train: int = 6, test: int = 3
) -> Path:
    """Videos of some actions, and the lists of two splits; the second swaps the two uses."""
    (root / LISTS).mkdir(parents=True)
    for place, action in enumerate(actions):
        names = [f"{action} #{number} (of one).avi" for number in range(train + test)]
        for number, name in enumerate(names):
            write_video(root / action / name, tint=20 * place + number)
        uses = [1] * train + [2] * test
        write_video(root / action / "unused.avi", 3)
        for split, shown in ((1, uses), (2, uses[::-1])):
            lines = [f"{name} {use} " for name, use in zip(names, shown, strict=True)]
            text = "\n".join([*lines, "unused.avi 0", ""])
            (root / LISTS / f"{action}_test_split{split}.txt").write_text(text)
    return root
