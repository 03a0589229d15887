"""Charts as data, their numbers by cursor, and Plotly figures of them. Imports no torch."""

from __future__ import annotations

from vcr_core.figures.charts import (
    accuracy_chart,
    covariance_chart,
    gradient_chart,
    hinge_chart,
    histogram_chart,
    layer_rank_chart,
    loss_chart,
    penalty_chart,
    rank_chart,
    run_lines,
    spectrum_chart,
    spread_chart,
)
from vcr_core.figures.export import plotly_folder, to_figure
from vcr_core.figures.history import START, Cursor, History, Mark, Series, read_history, read_past
from vcr_core.figures.layers import Frame, LayerReader
from vcr_core.figures.parts import (
    ArrayKey,
    Axis,
    Chart,
    Guide,
    Panel,
    Readout,
    RunLine,
    SeriesKey,
    Trace,
)
from vcr_core.figures.recent import Readable, Recent

__all__ = [
    "START",
    "ArrayKey",
    "Axis",
    "Chart",
    "Cursor",
    "Frame",
    "Guide",
    "History",
    "LayerReader",
    "Mark",
    "Panel",
    "Readable",
    "Readout",
    "Recent",
    "RunLine",
    "Series",
    "SeriesKey",
    "Trace",
    "accuracy_chart",
    "covariance_chart",
    "gradient_chart",
    "hinge_chart",
    "histogram_chart",
    "layer_rank_chart",
    "loss_chart",
    "penalty_chart",
    "plotly_folder",
    "rank_chart",
    "read_history",
    "read_past",
    "run_lines",
    "spectrum_chart",
    "spread_chart",
    "to_figure",
]
