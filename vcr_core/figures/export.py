"""From charts and their history to Plotly figures: for notebooks, exports and tests."""

from __future__ import annotations

import math
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vcr_core.figures.drawing import (
    MOST_DOTS,
    as_text,
    draw_layout,
    draw_marks,
    draw_trace,
    shows_steps,
)
from vcr_core.figures.history import Array, History, Series, colour_limit
from vcr_core.figures.parts import ArrayKey, Chart, Panel, SeriesKey, Trace
from vcr_core.figures.theme import FONT, THEMES, Theme, ThemeName, resolve

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

WIDEST = 4


def to_figure(chart: Chart, history: History, *, theme: ThemeName = "light") -> Figure:
    """The chart as a Plotly figure, its panels as subplots."""
    import pandas  # noqa: F401  plotly looks for it: not while another thread is half-way there
    from plotly.subplots import make_subplots

    palette = THEMES[theme]
    columns = min(len(chart.panels), WIDEST) or 1
    rows = max(math.ceil(len(chart.panels) / columns), 1)
    figure = make_subplots(
        rows=rows,
        cols=columns,
        subplot_titles=[_title(panel) for panel in chart.panels],
        horizontal_spacing=0.2 / columns,
        vertical_spacing=0.55 / rows,
    )
    room_for_marks = 30 if len(chart.panels) == 1 else 0
    for title, axis in zip(figure.layout.annotations, figure.select_xaxes(), strict=False):
        title.update(x=axis.domain[0], xanchor="left", align="left", yshift=room_for_marks)
        title.font.size = 13
    for index, panel in enumerate(chart.panels):
        row, column = index // columns + 1, index % columns + 1
        for trace in panel.traces:
            drawing = _filled(trace, chart, history, palette)
            drawing["showlegend"] = index == 0 and trace.kind in {"line", "profile"}
            figure.add_trace(drawing, row=row, col=column)
        _apply_axes(figure, panel, palette, row=row, column=column)
        if shows_steps(panel):
            _apply_marks(figure, chart, history, palette, row=row, column=column)
    figure.update_layout(_page(chart, palette, rows))
    return figure


def _title(panel: Panel) -> str:
    tag = f"<span style='font-size:11px'>{as_text(panel.tag)}</span><br>" if panel.tag else ""
    return f"{tag}<b>{as_text(panel.title)}</b>"


def _page(chart: Chart, palette: Theme, rows: int) -> dict[str, Any]:
    sentence = "<br>".join(wrap(chart.help, 110))
    title = {"text": f"<b>{chart.title}</b>", "subtitle": {"text": sentence}}
    top, bottom = 150, 60
    return {
        "title": {**title, "x": 0.01, "y": 0.98, "yanchor": "top", "yref": "container"},
        "height": top + bottom + rows * chart.height + (rows - 1) * 90,
        "margin": {"t": top, "b": bottom, "l": 60, "r": 30},
        "paper_bgcolor": palette["paper"],
        "plot_bgcolor": palette["paper"],
        "font": {"family": FONT, "color": palette["ink"]},
        "legend": {
            "orientation": "h",
            "traceorder": "normal",
            "yref": "container",
            "y": 0.01,
            "yanchor": "bottom",
        },
    }


def plotly_folder() -> Path:
    """The folder of the installed Plotly package that holds ``plotly.min.js``."""
    from importlib.util import find_spec

    found = find_spec("plotly")
    if found is None or not found.submodule_search_locations:
        raise ModuleNotFoundError("plotly is not installed: pip install plotly")
    return Path(found.submodule_search_locations[0]) / "package_data"


def _filled(trace: Trace, chart: Chart, history: History, palette: Theme) -> dict[str, Any]:
    drawing: dict[str, Any] = resolve(draw_trace(trace), palette)
    if isinstance(trace.source, SeriesKey):
        series = history.series.get(trace.source, Series())
        if trace.dots and len(series.steps) > MOST_DOTS:
            drawing["mode"] = "lines"
        return drawing | {"x": series.steps, "y": series.values}
    array = history.arrays.get(trace.source)
    if array is None:
        return drawing
    if trace.kind == "profile":
        return drawing | {"x": list(range(1, len(array.values) + 1)), "y": array.values}
    if trace.kind == "timeline":
        return drawing | {"x": array.steps, "z": array.values.T}
    limit = _shared_limit(chart, history)
    return drawing | {"z": _matrix(trace, array, history), "zmin": -limit, "zmax": limit}


def _matrix(trace: Trace, array: Array, history: History) -> NDArray[np.float32]:
    """The values of a heatmap: minus another matrix, in the asked order of features."""
    values = array.values
    other = history.arrays.get(trace.minus) if trace.minus else None
    if other is not None:
        values = values - other.values
    order = history.arrays.get(trace.order) if trace.order else None
    if order is None or len(order.values) != len(values):
        return values
    places = order.values.astype(int)
    return np.asarray(values[np.ix_(places, places)])


def _shared_limit(chart: Chart, history: History) -> float:
    """One colour range for all matrices of a chart, so that they can be compared."""
    sources = [trace.source for trace in chart.traces() if isinstance(trace.source, ArrayKey)]
    limits = [
        colour_limit(source, history.arrays[source].values)
        for source in sources
        if source in history.arrays
    ]
    return max(limits, default=1.0)


def _apply_axes(figure: Figure, panel: Panel, palette: Theme, *, row: int, column: int) -> None:
    layout = resolve(draw_layout(panel), palette)
    figure.update_xaxes(layout["xaxis"], row=row, col=column)
    figure.update_yaxes(layout["yaxis"], row=row, col=column)
    if layout["yaxis"].get("scaleanchor"):
        figure.update_yaxes(scaleanchor=figure.data[-1].xaxis, row=row, col=column)
    if panel.guide is not None:
        line = {"color": palette["muted"], "dash": "dot", "width": 1}
        figure.add_hline(panel.guide.value, line=line, row=row, col=column)


def _apply_marks(
    figure: Figure, chart: Chart, history: History, palette: Theme, *, row: int, column: int
) -> None:
    marks = resolve(draw_marks(history.marks), palette)
    for line in marks["shapes"]:
        figure.add_vline(line["x0"], line=line["line"], row=row, col=column)
    if len(chart.panels) == 1:
        for label in marks["annotations"]:
            figure.add_annotation({**label, "yref": "y domain"}, row=row, col=column)
