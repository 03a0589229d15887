"""Runs against each other: groups of seeds, mean curves, paired differences. Imports no torch."""

from __future__ import annotations

from vcr_core.comparison.charts import (
    banded,
    curve_charts,
    difference_chart,
    group_lines,
    lines_of_runs,
    matrix_chart,
)
from vcr_core.comparison.curves import EDGES, combine, mean_history
from vcr_core.comparison.groups import Group, group_runs
from vcr_core.comparison.report import html_report, html_table
from vcr_core.comparison.results import (
    MEAN,
    RANK,
    SOURCE,
    Comparison,
    Gain,
    compare,
    difference,
)
from vcr_core.comparison.settings import SettingRow, differing_settings

__all__ = [
    "EDGES",
    "MEAN",
    "RANK",
    "SOURCE",
    "Comparison",
    "Gain",
    "Group",
    "SettingRow",
    "banded",
    "combine",
    "compare",
    "curve_charts",
    "difference",
    "difference_chart",
    "differing_settings",
    "group_lines",
    "group_runs",
    "html_report",
    "html_table",
    "lines_of_runs",
    "matrix_chart",
    "mean_history",
]
