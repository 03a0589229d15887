"""From charts and their history to Plotly figures: for notebooks, exports and tests."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vcr_core.figures.charts import ArrayKey, Chart, Panel, SeriesKey, Trace
from vcr_core.figures.drawing import draw_layout, draw_marks, draw_trace, shows_steps
from vcr_core.figures.history import History, Series, colour_limit
from vcr_core.figures.theme import FONT, THEMES, Theme, ThemeName, resolve

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

WIDEST = 4


def to_figure(chart: Chart, history: History, *, theme: ThemeName = "light") -> Figure:
    """The chart as a Plotly figure, its panels as subplots."""
    from plotly.subplots import make_subplots

    palette = THEMES[theme]
    columns = min(len(chart.panels), WIDEST) or 1
    rows = max(math.ceil(len(chart.panels) / columns), 1)
    figure = make_subplots(rows=rows, cols=columns, subplot_titles=_titles(chart))
    for index, panel in enumerate(chart.panels):
        row, column = index // columns + 1, index % columns + 1
        for trace in panel.traces:
            drawing = _filled(trace, chart, history, palette, compact=chart.compact)
            drawing["showlegend"] = index == 0 and trace.kind in {"line", "profile"}
            figure.add_trace(drawing, row=row, col=column)
        _apply_axes(figure, panel, history, palette, row=row, column=column)
    figure.update_layout(
        title={"text": f"{chart.title}<br><sup>{_wrapped(chart.help)}</sup>"},
        height=120 + rows * (chart.height + 60),
        paper_bgcolor=palette["paper"],
        plot_bgcolor=palette["paper"],
        font={"family": FONT, "color": palette["ink"]},
        legend={"orientation": "h", "y": -0.08},
        margin={"t": 110},
    )
    return figure


def plotly_folder() -> Path:
    """The folder of the installed Plotly package that holds ``plotly.min.js``."""
    from importlib.util import find_spec

    found = find_spec("plotly")
    if found is None or not found.submodule_search_locations:
        raise ModuleNotFoundError("plotly is not installed: pip install plotly")
    return Path(found.submodule_search_locations[0]) / "package_data"


def _titles(chart: Chart) -> list[str]:
    return [f"{panel.tag}: {panel.title}" if panel.tag else panel.title for panel in chart.panels]


def _wrapped(text: str, width: int = 110) -> str:
    from textwrap import wrap

    return "<br>".join(wrap(text, width))


def _filled(
    trace: Trace, chart: Chart, history: History, palette: Theme, *, compact: bool
) -> dict[str, Any]:
    drawing: dict[str, Any] = resolve(draw_trace(trace, compact=compact), palette)
    if isinstance(trace.source, SeriesKey):
        series = history.series.get(trace.source, Series())
        return drawing | {"x": series.steps, "y": series.values}
    array = history.arrays.get(trace.source)
    if array is None:
        return drawing
    if trace.kind == "profile":
        return drawing | {"x": list(range(1, len(array.values) + 1)), "y": array.values}
    limit = _shared_limit(chart, history)
    return drawing | {"z": array.values, "zmin": -limit, "zmax": limit}


def _shared_limit(chart: Chart, history: History) -> float:
    """One colour range for all matrices of a chart, so that they can be compared."""
    sources = [trace.source for trace in chart.traces() if isinstance(trace.source, ArrayKey)]
    limits = [
        colour_limit(source, history.arrays[source].values)
        for source in sources
        if source in history.arrays
    ]
    return max(limits, default=1.0)


def _apply_axes(
    figure: Figure, panel: Panel, history: History, palette: Theme, *, row: int, column: int
) -> None:
    layout = resolve(draw_layout(panel), palette)
    figure.update_xaxes(layout["xaxis"], row=row, col=column)
    figure.update_yaxes(
        {name: value for name, value in layout["yaxis"].items() if name != "scaleanchor"},
        row=row,
        col=column,
    )
    if panel.guide is not None:
        figure.add_hline(
            panel.guide.value,
            line={"color": palette["muted"], "dash": "dot", "width": 1},
            row=row,
            col=column,
        )
    if shows_steps(panel):
        for line in resolve(draw_marks(history.marks), palette)["shapes"]:
            figure.add_vline(line["x0"], line=line["line"], row=row, col=column)
