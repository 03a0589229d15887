"""What the browser is told once: the charts as drawings, both themes, and where Plotly lies."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from vcr_core.figures import ArrayKey, Chart, Panel, Readout, RunLine, SeriesKey, Trace
from vcr_core.figures.drawing import (
    MOST_DOTS,
    describe,
    draw_layout,
    draw_trace,
    shows_steps,
)
from vcr_core.figures.theme import THEMES
from vcr_core.live_view.language import ENGLISH, Language, Say
from vcr_core.live_view.tips import tips_spec
from vcr_core.live_view.words import WORDS, translated_chart, translated_run
from vcr_core.store import Run
from vcr_core.verdicts import SENTENCES


@dataclass(frozen=True)
class Choice:
    """Buttons above the enlarged layer, of which one is pressed: (value, label) each."""

    id: str
    label: str
    options: tuple[tuple[str, str], ...]
    value: str


@dataclass(frozen=True)
class Network:
    """The row of layers: whose they are, in which order, and which one is enlarged."""

    runs: tuple[Run, ...]
    lines: tuple[RunLine, ...]
    layers: tuple[str, ...]
    selected: str
    total_steps: int = 0


@dataclass(frozen=True)
class View:
    """All that one live view shows.

    ``step`` is where it starts (None: at the newest). ``space_plays``: the space bar plays the run
    back, as the page around has no use for it.
    """

    charts: tuple[Chart, ...]
    network: Network | None = None
    choices: tuple[Choice, ...] = ()
    step: int | None = None
    space_plays: bool = True

    def outline(self) -> tuple[object, ...]:
        """What the drawings depend on: changes where they have to be sent again."""
        network = self.network
        layers = (network.layers, network.selected, network.total_steps) if network else ()
        return (self.charts, self.choices, layers, self.space_plays)


@dataclass
class Drawings:
    """Layouts and traces of a page, each once: most panels look like another one."""

    all: list[Mapping[str, Any]] = field(default_factory=list)
    _places: dict[str, int] = field(default_factory=dict)

    def place(self, drawing: Mapping[str, Any]) -> int:
        """Where a drawing stands in the list."""
        text = json.dumps(drawing, sort_keys=True)
        if text not in self._places:
            self._places[text] = len(self.all)
            self.all.append(drawing)
        return self._places[text]


def page_spec(
    view: View, known: Iterable[Chart] = (), *, language: Language = ENGLISH
) -> dict[str, Any]:
    """All charts of a page, their legend, words and the themes, ready for JSON.

    In ``layout`` and ``drawing`` of its charts stand places in ``drawings``. Of a chart that the
    browser has (``known``) only the id is told.
    """
    drawings, had = Drawings(), {chart.id: chart for chart in known}
    say = language.say
    charts = [translated_chart(chart, say) for chart in view.charts]
    lines = view.network.lines if view.network else ()
    runs = dict.fromkeys([trace.run for chart in charts for trace in chart.traces()])
    runs = dict.fromkeys([*(translated_run(line, say) for line in lines), *runs])
    return {
        "themes": THEMES,
        "words": {name: say(text) for name, text in WORDS.items()},
        "tips": tips_spec(language),
        "runs": [_run_spec(run) for run in runs],
        "charts": [
            {"id": chart.id} if had.get(chart.id) == original else _chart_spec(chart, drawings)
            for chart, original in zip(charts, view.charts, strict=True)
        ],
        "drawings": drawings.all,
        "network": _network_spec(view.network, say) if view.network else None,
        "choices": [_choice_spec(choice, say) for choice in view.choices],
        "step": view.step,
        "space_plays": view.space_plays,
        "most_dots": MOST_DOTS,
    }


def source_id(source: SeriesKey | ArrayKey) -> str:
    """The name under which numbers travel to the browser: unique per series or array."""
    return "/".join(source) if isinstance(source, SeriesKey) else ":".join(source)


def _network_spec(network: Network, say: Say) -> dict[str, Any]:
    return {
        "layers": network.layers,
        "runs": [run.id for run in network.lines],
        "selected": network.selected,
        "total": network.total_steps,
        "verdicts": [say(text) for text in SENTENCES.values()],
    }


def _choice_spec(choice: Choice, say: Say) -> dict[str, Any]:
    options = [[value, say(label)] for value, label in choice.options]
    return {
        "id": choice.id,
        "label": say(choice.label),
        "options": options,
        "value": choice.value,
    }


def _run_spec(run: RunLine) -> dict[str, Any]:
    return {"id": run.id, "label": run.label, "tone": run.tone, "dash": run.dash}


def _chart_spec(chart: Chart, drawings: Drawings) -> dict[str, Any]:
    has_matrices = any(trace.kind == "heatmap" for trace in chart.traces())
    return {
        "id": chart.id,
        "title": chart.title,
        "help": chart.help,
        "size": chart.size,
        "height": chart.height,
        "compact": chart.compact,
        "place": chart.place,
        "colourbar": has_matrices,
        "panels": [_panel_spec(chart, panel, drawings) for panel in chart.panels],
    }


def _panel_spec(chart: Chart, panel: Panel, drawings: Drawings) -> dict[str, Any]:
    return {
        "id": panel.id,
        "title": panel.title,
        "tag": panel.tag,
        "alt": describe(chart, panel),
        "highlighted": panel.highlighted,
        "square": any(trace.kind == "heatmap" for trace in panel.traces),
        "marks": shows_steps(panel),
        "labels": shows_steps(panel) and not chart.compact,
        "traces": [_trace_spec(chart, trace, drawings) for trace in panel.traces],
        "readouts": [_readout_spec(readout) for readout in panel.readouts],
        "layout": drawings.place(draw_layout(panel, compact=chart.compact)),
    }


def _trace_spec(chart: Chart, trace: Trace, drawings: Drawings) -> dict[str, Any]:
    return {
        "kind": trace.kind,
        "run": trace.run.id,
        "source": source_id(trace.source),
        "minus": source_id(trace.minus) if trace.minus else None,
        "order": source_id(trace.order) if trace.order else None,
        "drawing": drawings.place(draw_trace(trace, compact=chart.compact)),
    }


def _readout_spec(readout: Readout) -> dict[str, Any]:
    return {
        "run": readout.run.id,
        "source": source_id(readout.source),
        "format": readout.format,
        "caption": readout.caption,
    }
