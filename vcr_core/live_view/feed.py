"""What one viewer's browser has been sent, and what it has to be sent next.

Every message that carries something has a ``sequence`` number and names the one it ``follows``.
A browser that missed one (a dropped tick, a remount after a change of page) asks for a resend;
the feed then forgets what it sent, and its next message is ``fresh``: the drawings and all numbers
from the start. A message without news repeats the last sequence number.

Matrices of the past are sent when the browser wants them: somebody moves through the run.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from typing import Any

from vcr_core.figures import (
    START,
    ArrayKey,
    Chart,
    Cursor,
    History,
    LayerReader,
    Mark,
    Readable,
    Recent,
    SeriesKey,
    read_history,
    read_past,
)
from vcr_core.figures.drawing import draw_marks
from vcr_core.live_view.language import ENGLISH, Language, Say
from vcr_core.live_view.packing import Message, packed, packed_frame, rounded
from vcr_core.live_view.spec import Network, View, page_spec, source_id
from vcr_core.store import Store

MOST_PAST_STEPS = 6


class Feed:
    """One per viewer; kept as long as the viewer looks."""

    def __init__(self) -> None:
        self.id = uuid.uuid4().hex[:8]
        self.sequence = 0
        self._wanted: tuple[int, ...] = ()
        self.forget()

    def forget(self, *_: object) -> None:
        """Start over with the next message: the browser has a gap."""
        self._fresh = True
        self._cursor: Cursor = START
        self._outline: tuple[object, ...] | None = None
        self._drawn: tuple[Language | None, Sequence[Chart]] = (None, ())
        self._sent: dict[SeriesKey, int] = {}
        self._marks: tuple[Mark, ...] = ()
        self._layers: tuple[object, LayerReader] | None = None
        self._recent: Recent | None = None

    def want(self, steps: Iterable[Any]) -> None:
        """Send the matrices of these steps along with the next message."""
        whole = [step for step in steps if isinstance(step, int) and 0 <= step < 2**40]
        self._wanted = tuple(whole[:MOST_PAST_STEPS])

    def next_message(self, view: View, store: Store, language: Language = ENGLISH) -> Message:
        """The drawings if they changed, and everything newer than what was sent before."""
        self._recent = recent = self._recent or Recent(store)
        recent.look()
        news = read_history(recent, view.charts, self._cursor)
        self._cursor = news.cursor
        content = self._content(view, news, recent, language)
        message: Message = {"feed": self.id, "follows": self.sequence}
        if content:
            self.sequence += 1
            message |= content
        if self._fresh:
            message["fresh"] = True
            self._fresh = False
        return message | {"sequence": self.sequence}

    def _content(self, view: View, news: History, store: Readable, language: Language) -> Message:
        content: Message = {}
        outline = view.outline(), language
        if outline != self._outline:
            content["spec"] = self._spec(view, language)
            self._outline = outline
        if news.series:
            content["series"] = self._series(news)
        if news.arrays:
            content["arrays"] = {
                source_id(key): packed(key, array) for key, array in news.arrays.items()
            }
        if frames := self._frames(view.network, store, language.say):
            content["frames"] = frames
        if self._wanted:
            content["past"] = past(view.charts, self._wanted, store)
            content["answered"] = list(self._wanted)
            self._wanted = ()
        if news.marks != self._marks:
            content["marks"] = draw_marks(news.marks, language.say)
            self._marks = news.marks
        return content

    def _spec(self, view: View, language: Language) -> Message:
        """The drawings; those that the browser has in this language, by their names."""
        spoken, charts = self._drawn
        self._drawn = language, view.charts
        return page_spec(view, charts if spoken == language else (), language=language)

    def _frames(self, network: Network | None, store: Readable, say: Say) -> Message:
        """New frames of the row of layers, by run and layer."""
        if network is None:
            return {}
        shown = tuple(run.id for run in network.runs)
        if self._layers is None or self._layers[0] != shown:
            self._layers = shown, LayerReader(network.runs)
        message: Message = {}
        for frame in self._layers[1].news(store):
            name = f"{frame.run}:{frame.layer}"
            message.setdefault(name, []).append(packed_frame(frame, say))
        return message

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


def past(charts: Iterable[Chart], steps: Iterable[int], store: Readable) -> list[Message]:
    """The arrays of all charts as they were at some steps."""
    sources = set().union(*(chart.sources() for chart in charts))
    keys = [
        source
        for source in sorted(s for s in sources if isinstance(s, ArrayKey))
        if source.kind != "order"
    ]
    return [
        {"source": source_id(key), "asked": step, **packed(key, array)}
        for step in steps
        for key, array in read_past(store, keys, step).items()
    ]
