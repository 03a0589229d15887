"""Charts as Plotly drawings in plain dictionaries, with colour tokens and without numbers.

Both the browser and :func:`vcr_core.figures.to_figure` draw from what is made here, so a chart
looks the same live, in a notebook and in an export. Plotly itself is not needed for it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from typing import Any

from vcr_core.figures.derived import BINS, WIDEST_SPREAD
from vcr_core.figures.history import Mark
from vcr_core.figures.parts import Axis, Chart, Guide, Panel, Trace
from vcr_core.figures.theme import FONT

Drawing = dict[str, Any]

LABELLED_MARKS = 2
MOST_DOTS = 40  # of a line; more run into each other, and cost the browser more than all else


def draw_trace(trace: Trace, *, compact: bool = False) -> Drawing:
    """A trace's looks; x and y (or z) are filled in by whoever has the numbers."""
    if trace.kind == "heatmap":
        return _heatmap(trace)
    if trace.kind == "timeline":
        return _timeline()
    drawing: Drawing = {
        "type": "scatter",
        "mode": "lines",
        "name": as_text(trace.label),
        "line": {"color": f"${trace.run.tone}", "dash": trace.run.dash, "width": 2.4},
        "hovertemplate": f"{as_text(trace.label)} <b>%{{y}}</b><extra></extra>",
        "connectgaps": True,
    }
    if trace.kind in {"band", "band-edge"}:
        drawing["line"] = {"width": 0, "color": f"${trace.run.tone}"}
        drawing |= {"hoverinfo": "skip", "showlegend": False}
        del drawing["hovertemplate"]
    if trace.kind == "band":
        drawing |= {"fill": "tonexty", "fillcolor": f"${trace.run.tone}-soft"}
    if trace.dots:
        drawing |= {"mode": "lines+markers", "marker": {"size": 5, "color": f"${trace.run.tone}"}}
    if compact and trace.kind == "line":
        drawing["hovertemplate"] = "<b>%{y}</b><extra></extra>"
    return drawing


def as_text(label: str) -> str:
    """A label in which Plotly sees neither markup nor places to fill in."""
    return escape(label, quote=False).replace("%{", "%&#123;")


def _heatmap(trace: Trace) -> Drawing:
    return {
        "type": "heatmap",
        "name": as_text(trace.label),
        "colorscale": "$diverging",
        "showscale": False,
        "hovertemplate": "features %{y} and %{x}: <b>%{z:.3f}</b><extra></extra>",
    }


def _timeline() -> Drawing:
    width = WIDEST_SPREAD / BINS
    return {
        "type": "heatmap",
        "colorscale": "$sequential",
        "showscale": False,
        "y0": width / 2,
        "dy": width,
        "zmin": 0,
        "zmax": 0.5,
        "hovertemplate": "step %{x}, spread %{y:.2f}: <b>%{z:.0%}</b><extra></extra>",
    }


def draw_layout(panel: Panel, *, compact: bool = False) -> Drawing:
    """A panel's axes and margins."""
    layout: Drawing = {
        "uirevision": _view_of(panel),
        "autosize": True,
        "showlegend": False,
        "font": {"family": FONT, "size": 11 if compact else 12, "color": "$muted"},
        "paper_bgcolor": "$paper",
        "plot_bgcolor": "$paper",
        "hovermode": "x" if compact else "x unified",
        "hoverlabel": {
            "bgcolor": "$paper",
            "bordercolor": "$axis",
            "font": {"family": FONT, "size": 11 if compact else 12, "color": "$ink"},
        },
        "modebar": {"bgcolor": "$paper", "color": "$muted", "activecolor": "$ink"},
        "dragmode": "zoom",
        "shapes": [],
        "annotations": [],
    }
    if any(trace.kind == "heatmap" for trace in panel.traces):
        return layout | _square_layout()
    layout |= {
        "margin": {"l": 36, "r": 8, "t": 6, "b": 22}
        if compact
        else {"l": 44, "r": 12, "t": 34, "b": 24},
        "xaxis": _axis(panel.x, compact=compact) | {"hoverformat": "~g"},
        "yaxis": _axis(panel.y, compact=compact),
    }
    if panel.guide is not None:
        layout["shapes"] = [_guide_line(panel.guide)]
        layout["annotations"] = [] if compact else [_guide_label(panel.guide)]
    return layout


def _view_of(panel: Panel) -> str:
    """``uirevision``, constant while the same runs are shown: zoom survives every update."""
    return " ".join(dict.fromkeys(trace.run.id for trace in panel.traces))


def _square_layout() -> Drawing:
    bare = {"visible": False, "constrain": "domain", "fixedrange": False}
    return {
        "margin": {"l": 0, "r": 0, "t": 0, "b": 0},
        "hovermode": "closest",
        "xaxis": bare,
        "yaxis": bare | {"scaleanchor": "x", "autorange": "reversed"},
    }


def _axis(axis: Axis, *, compact: bool) -> Drawing:
    drawing: Drawing = {
        "type": "log" if axis.log else "linear",
        "gridcolor": "$grid",
        "linecolor": "$axis",
        "zeroline": False,
        "nticks": 4 if compact else 6,
        "automargin": False,
        "tickfont": {"color": "$muted"},
    }
    if axis.title and not compact:
        drawing["title"] = {"text": axis.title, "standoff": 6, "font": {"color": "$muted"}}
    if axis.prefix:
        drawing |= {"tickprefix": axis.prefix, "showtickprefix": "first"}
    if axis.range is not None:
        drawing["range"] = list(axis.range)
    elif axis.from_zero:
        drawing["rangemode"] = "tozero"
    if axis.format:
        drawing["tickformat"] = axis.format
        drawing["hoverformat"] = ".1%" if axis.format.endswith("%") else axis.format
    else:
        drawing["hoverformat"] = ".4~g"
    return drawing


def _guide_line(guide: Guide) -> Drawing:
    return {
        "type": "line",
        "xref": "paper",
        "x0": 0,
        "x1": 1,
        "yref": "y",
        "y0": guide.value,
        "y1": guide.value,
        "line": {"color": "$muted", "width": 1, "dash": "dot"},
    }


def _guide_label(guide: Guide) -> Drawing:
    return {
        "text": guide.label,
        "xref": "paper",
        "x": 1,
        "xanchor": "right",
        "yref": "y",
        "y": guide.value,
        "yanchor": "bottom",
        "showarrow": False,
        "font": {"size": 11, "color": "$muted"},
    }


def draw_marks(marks: Sequence[Mark], translate: Callable[[str], str] = str) -> Drawing:
    """Thin vertical lines for every knob that was turned, and labels above the newest ones."""
    texts = [mark.said(translate) for mark in marks]
    newest = list(zip(marks, texts, strict=True))[-LABELLED_MARKS:]
    return {
        "shapes": [_mark_line(mark) for mark in marks],
        "annotations": [
            _mark_label(mark, text, row) for row, (mark, text) in enumerate(reversed(newest))
        ],
        "texts": texts,
    }


def _mark_line(mark: Mark) -> Drawing:
    return {
        "type": "line",
        "xref": "x",
        "x0": mark.step,
        "x1": mark.step,
        "yref": "paper",
        "y0": 0,
        "y1": 1,
        "line": {"color": "$mark", "width": 1.2, "dash": "dot"},
    }


def _mark_label(mark: Mark, text: str, row: int) -> Drawing:
    return {
        "text": text,
        "xref": "x",
        "x": mark.step,
        "xanchor": "auto",
        "yref": "paper",
        "y": 1,
        "yshift": 14 * row,
        "yanchor": "bottom",
        "showarrow": False,
        "font": {"size": 11, "color": "$mark"},
    }


def shows_steps(panel: Panel) -> bool:
    """Whether the panel's x axis is the training step, so that marks belong on it."""
    return all(trace.kind in {"line", "band", "band-edge", "timeline"} for trace in panel.traces)


def describe(chart: Chart, panel: Panel) -> str:
    """What a screen reader says for a panel."""
    runs = ", ".join(dict.fromkeys(trace.run.label for trace in panel.traces))
    what = f"{chart.title}: {panel.title}" if panel.title else chart.title
    return f"{what}, {runs}. {chart.help}"
