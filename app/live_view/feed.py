"""What one viewer's browser has been sent, and what it has to be sent next.

Every message that carries something has a ``sequence`` number and names the one it ``follows``.
A browser that missed one (a dropped tick, a remount after a change of page) asks for a resend;
the feed then forgets what it sent, and its next message is ``fresh``: the drawings and all numbers
from the start. A message without news repeats the last sequence number.
"""

from __future__ import annotations

import base64
import uuid
from collections.abc import Sequence
from typing import Any

import numpy as np

from app.live_view.spec import page_spec, source_id
from vcr_core.figures import START, ArrayKey, Chart, Cursor, History, Mark, SeriesKey, read_history
from vcr_core.figures.drawing import draw_marks
from vcr_core.figures.history import Array, colour_limit
from vcr_core.store import Store

Message = dict[str, Any]


class Feed:
    """One per viewer; lives in the viewer's session."""

    def __init__(self) -> None:
        self.id = uuid.uuid4().hex[:8]
        self.sequence = 0
        self.forget()

    def forget(self, *_: object) -> None:
        """Start over with the next message: the browser has a gap."""
        self._fresh = True
        self._cursor: Cursor = START
        self._charts: tuple[Chart, ...] | None = None
        self._sent: dict[SeriesKey, int] = {}
        self._marks: tuple[Mark, ...] = ()

    def next_message(self, charts: Sequence[Chart], store: Store) -> Message:
        """The drawings if they changed, and everything newer than what was sent before."""
        news = read_history(store, charts, self._cursor)
        self._cursor = news.cursor
        content = self._content(tuple(charts), news)
        message: Message = {"feed": self.id, "follows": self.sequence}
        if content:
            self.sequence += 1
            message |= content
        if self._fresh:
            message["fresh"] = True
            self._fresh = False
        return message | {"sequence": self.sequence}

    def _content(self, charts: tuple[Chart, ...], news: History) -> Message:
        content: Message = {}
        if charts != self._charts:
            content["spec"] = page_spec(charts)
            self._charts = charts
        if news.series:
            content["series"] = self._series(news)
        if news.arrays:
            content["arrays"] = {
                source_id(key): packed(key, array) for key, array in news.arrays.items()
            }
        if news.marks != self._marks:
            content["marks"] = draw_marks(news.marks)
            self._marks = news.marks
        return content

    def _series(self, news: History) -> Message:
        """New points by series; ``from`` is how many the browser has before them."""
        for key in news.backlog:
            self._sent.pop(key, None)
        message: Message = {}
        for key, series in news.series.items():
            start = self._sent.get(key, 0)
            values = [None if value is None else rounded(value) for value in series.values]
            message[source_id(key)] = {"from": start, "x": series.steps, "y": values}
            self._sent[key] = start + len(values)
        return message


def rounded(value: float) -> float:
    """Six significant digits: what a chart can show, at half the bytes."""
    return float(f"{value:.6g}")


def packed(key: ArrayKey, array: Array) -> Message:
    """An array as base64 of little-endian int16 with a scale: a sixth of its JSON.

    The smallest int16 stands for "not a finite number".
    """
    values = np.asarray(array.values, dtype=np.float64)
    finite = np.isfinite(values)
    largest = float(np.abs(values[finite]).max()) if finite.any() else 0.0
    scale = largest / 32767 if largest > 0 else 1.0
    whole = np.where(finite, np.round(np.where(finite, values, 0.0) / scale), -32768)
    return {
        "step": array.step,
        "shape": list(values.shape),
        "scale": scale,
        "limit": rounded(colour_limit(key, array.values)),
        "data": base64.b64encode(whole.astype("<i2").tobytes()).decode("ascii"),
    }
