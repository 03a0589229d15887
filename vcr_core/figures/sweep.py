"""What a study found, as one figure: the gain of every setting, and source against transfer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from vcr_core.figures.theme import FONT, THEMES, Theme, ThemeName

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from vcr_core.sweeps import Row, StudyTable

SOURCE, MEAN = "source", "mean transfer"  # measures of a table
MOST_SETTINGS = 40
ROW_PIXELS = 26
SMALLEST_HEIGHT = 420


def sweep_figure(table: StudyTable, *, theme: ThemeName = "light") -> Figure:
    """Left, the paired gain in mean transfer accuracy with its 95 % interval, best first (the best
    40 of many). Right, source against mean transfer accuracy, with the settings that no other
    beats in both joined by a line.
    """
    import pandas  # noqa: F401  plotly looks for it: not while another thread is half-way there
    from plotly.subplots import make_subplots

    palette = THEMES[theme]
    gaining = sorted(
        (row for row in table.rows if MEAN in row.gains), key=lambda row: row.gains[MEAN].mean
    )[-MOST_SETTINGS:]
    measured = [row for row in table.rows if MEAN in row.accuracies]
    figure = make_subplots(
        cols=2,
        subplot_titles=("Gain in transfer accuracy", "Source against transfer accuracy"),
        horizontal_spacing=0.12,
    )
    figure.add_trace(_gains(gaining, palette), row=1, col=1)
    figure.add_vline(x=0, line={"color": palette["muted"], "width": 1, "dash": "dot"}, col=1)
    for name, rows, colour in (
        ("setting", [row for row in measured if row.baseline is not None], "regularized"),
        ("compared with", [row for row in measured if row.baseline is None], "baseline"),
    ):
        figure.add_trace(_points(name, rows, palette[colour]), row=1, col=2)
    figure.add_trace(_front(table.front, palette), row=1, col=2)
    figure.update_layout(_layout(table, len(gaining), palette))
    _axes(figure, palette)
    return figure


def _gains(rows: Sequence[Row], palette: Theme) -> dict[str, Any]:
    gains = [row.gains[MEAN] for row in rows]
    reach = [0.0 if gain.high is None else gain.high - gain.mean for gain in gains]
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [gain.mean for gain in gains],
        "y": [row.label for row in rows],
        "error_x": {"array": reach, "color": palette["regularized"], "thickness": 1.4},
        "marker": {"color": palette["regularized"], "size": 8},
        "customdata": [gain.n for gain in gains],
        "hovertemplate": "%{y}<br>gain %{x:+.1%}, %{customdata} seeds<extra></extra>",
        "showlegend": False,
    }


def _points(name: str, rows: Sequence[Row], colour: str) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "x": [row.accuracies[SOURCE].mean for row in rows],
        "y": [row.accuracies[MEAN].mean for row in rows],
        "error_x": {"array": _errors(rows, SOURCE), "color": colour, "thickness": 1, "width": 2},
        "error_y": {"array": _errors(rows, MEAN), "color": colour, "thickness": 1, "width": 2},
        "marker": {"color": colour, "size": 8},
        "text": [row.label for row in rows],
        "hovertemplate": "%{text}<br>source %{x:.1%}, transfer %{y:.1%}<extra></extra>",
    }


def _errors(rows: Sequence[Row], measure: str) -> list[float]:
    return [row.accuracies[measure].standard_error or 0.0 for row in rows]


def _front(rows: Sequence[Row], palette: Theme) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": "beaten by none in both",
        "x": [row.accuracies[SOURCE].mean for row in rows],
        "y": [row.accuracies[MEAN].mean for row in rows],
        "line": {"color": palette["mark"], "width": 1.4, "dash": "dot"},
        "hoverinfo": "skip",
    }


def _layout(table: StudyTable, settings: int, palette: Theme) -> dict[str, Any]:
    study = table.study
    sentence = (
        f"{study.preset}, {len(study.seeds)} seeds, each setting against its baseline on the same "
        "seeds; left 95 % intervals, right ± one standard error."
    )
    title = {"text": f"<b>{table.name}</b>", "subtitle": {"text": sentence}}
    return {
        "title": {**title, "x": 0.01, "y": 0.97, "yanchor": "top", "yref": "container"},
        "height": max(SMALLEST_HEIGHT, 200 + ROW_PIXELS * settings),
        "margin": {"t": 120, "b": 80, "l": 60, "r": 30},
        "paper_bgcolor": palette["paper"],
        "plot_bgcolor": palette["paper"],
        "font": {"family": FONT, "color": palette["ink"]},
        "legend": {"orientation": "h", "x": 0.56, "y": -0.16, "yanchor": "top"},
    }


def _axes(figure: Figure, palette: Theme) -> None:
    look = {"gridcolor": palette["grid"], "linecolor": palette["axis"], "zeroline": False}
    figure.update_xaxes(look)
    figure.update_yaxes(look)
    figure.update_xaxes(title="transfer accuracy − baseline's", tickformat="+.0%", col=1)
    figure.update_yaxes(automargin=True, col=1)
    figure.update_xaxes(title="source accuracy", tickformat=".1%", col=2)
    figure.update_yaxes(title="mean transfer accuracy", tickformat=".0%", col=2)
