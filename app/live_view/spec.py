"""What the browser is told once: the charts as drawings, both themes, and where Plotly lies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vcr_core.figures import ArrayKey, Chart, Panel, Readout, RunLine, SeriesKey, Trace
from vcr_core.figures.drawing import describe, draw_layout, draw_trace, shows_steps
from vcr_core.figures.theme import THEMES


def page_spec(charts: Sequence[Chart]) -> dict[str, Any]:
    """All charts of a page, their legend and the themes, ready for JSON."""
    runs = dict.fromkeys(trace.run for chart in charts for trace in chart.traces())
    return {
        "themes": THEMES,
        "runs": [_run_spec(run) for run in runs],
        "charts": [_chart_spec(chart) for chart in charts],
    }


def source_id(source: SeriesKey | ArrayKey) -> str:
    """The name under which numbers travel to the browser: unique per series or array."""
    return "/".join(source) if isinstance(source, SeriesKey) else ":".join(source)


def _run_spec(run: RunLine) -> dict[str, Any]:
    return {"id": run.id, "label": run.label, "tone": run.tone, "dash": run.dash}


def _chart_spec(chart: Chart) -> dict[str, Any]:
    has_matrices = any(trace.kind == "heatmap" for trace in chart.traces())
    return {
        "id": chart.id,
        "title": chart.title,
        "help": chart.help,
        "size": chart.size,
        "height": chart.height,
        "compact": chart.compact,
        "colourbar": has_matrices,
        "panels": [_panel_spec(chart, panel) for panel in chart.panels],
    }


def _panel_spec(chart: Chart, panel: Panel) -> dict[str, Any]:
    return {
        "id": panel.id,
        "title": panel.title,
        "tag": panel.tag,
        "alt": describe(chart, panel),
        "highlighted": panel.highlighted,
        "square": any(trace.kind == "heatmap" for trace in panel.traces),
        "marks": shows_steps(panel),
        "labels": shows_steps(panel) and not chart.compact,
        "traces": [_trace_spec(chart, trace) for trace in panel.traces],
        "readouts": [_readout_spec(readout) for readout in panel.readouts],
        "layout": draw_layout(panel, compact=chart.compact),
    }


def _trace_spec(chart: Chart, trace: Trace) -> dict[str, Any]:
    return {
        "kind": trace.kind,
        "run": trace.run.id,
        "source": source_id(trace.source),
        "drawing": draw_trace(trace, compact=chart.compact),
    }


def _readout_spec(readout: Readout) -> dict[str, Any]:
    return {
        "run": readout.run.id,
        "source": source_id(readout.source),
        "format": readout.format,
        "caption": readout.caption,
    }
