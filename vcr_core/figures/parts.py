"""What charts are made of: data that says what is shown, in which words, from which numbers.

A :class:`Chart` has one or more :class:`Panel`; a panel has traces, and each trace names the series
or the array of a run that it shows. The same definitions feed the live page
(:mod:`vcr_core.live_view`), notebooks and exports (:func:`vcr_core.figures.to_figure`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

TraceKind = Literal["line", "band-edge", "band", "heatmap", "timeline", "profile"]
Size = Literal["full", "half", "quarter"]
Place = Literal["hero", "layer", "training"]


class SeriesKey(NamedTuple):
    """A number of a run over its steps."""

    run: str
    name: str


class ArrayKey(NamedTuple):
    """The newest matrix or vector of a layer of a run."""

    run: str
    layer: str
    kind: str


@dataclass(frozen=True)
class RunLine:
    """How a run looks in every chart: its name, its colour (a token of the theme), its dash."""

    id: str
    label: str
    tone: str
    dash: str = "solid"


@dataclass(frozen=True)
class Trace:
    """One line, one edge of a band, or one heatmap.

    A ``band`` is filled down to the ``band-edge`` that stands right before it. ``dots`` marks each
    measurement, for what is measured rarely. Of a ``heatmap``, ``minus`` is subtracted, and
    ``order`` names the array with the places of its rows and columns. A ``timeline`` is a heatmap
    over the steps.
    """

    kind: TraceKind
    run: RunLine
    source: SeriesKey | ArrayKey
    label: str = ""
    dots: bool = False
    minus: ArrayKey | None = None
    order: ArrayKey | None = None

    def sources(self) -> Iterator[SeriesKey | ArrayKey]:
        """Everything that has to be read to draw it."""
        yield self.source
        yield from filter(None, (self.minus, self.order))


@dataclass(frozen=True)
class Axis:
    """Range, number format (d3) and scale of an axis; ``prefix`` stands before its numbers."""

    title: str = ""
    prefix: str = ""
    range: tuple[float, float] | None = None
    format: str = ""
    log: bool = False
    from_zero: bool = False


@dataclass(frozen=True)
class Readout:
    """The latest value of a series, written beside the panel's title."""

    run: RunLine
    source: SeriesKey
    format: Literal["percent", "number"] = "number"
    caption: str = ""


@dataclass(frozen=True)
class Guide:
    """A dotted horizontal line to compare with: a target, or what guessing would reach."""

    value: float
    label: str


@dataclass(frozen=True)
class Panel:
    """One small plot: a title, its traces and its axes."""

    id: str
    title: str
    traces: tuple[Trace, ...]
    y: Axis = Axis()
    x: Axis = Axis()
    tag: str = ""
    readouts: tuple[Readout, ...] = ()
    guide: Guide | None = None
    highlighted: bool = False


@dataclass(frozen=True)
class Chart:
    """Panels under one title, with one sentence for a person who has not read the paper."""

    id: str
    title: str
    help: str
    panels: tuple[Panel, ...]
    size: Size = "half"
    height: int = 230
    compact: bool = False
    place: Place = "training"

    def traces(self) -> Iterator[Trace]:
        """All traces of all panels."""
        for panel in self.panels:
            yield from panel.traces

    def sources(self) -> set[SeriesKey | ArrayKey]:
        """Everything that has to be read to draw the chart."""
        readouts = (readout.source for panel in self.panels for readout in panel.readouts)
        drawn = (source for trace in self.traces() for source in trace.sources())
        return {*drawn, *readouts}
