"""Figures show the store's values, in both themes, with the looks that every chart shares."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from vcr_core.config import RunConfig
from vcr_core.figures import (
    Chart,
    SeriesKey,
    accuracy_chart,
    covariance_chart,
    hinge_chart,
    loss_chart,
    penalty_chart,
    plotly_folder,
    rank_chart,
    read_history,
    run_lines,
    spectrum_chart,
    spread_chart,
    to_figure,
)
from vcr_core.figures.drawing import draw_layout, draw_trace
from vcr_core.figures.theme import DARK, LIGHT, THEMES, resolve
from vcr_core.store import CommandKind, Report, Store

LAYER = "blocks.0"


@pytest.fixture
def pair(store: Store) -> tuple[str, str]:
    runs = store.create_pair(RunConfig())
    for scale, run in enumerate(runs, start=1):
        for step in (0, 5, 10):
            store.write_reports(run, [report(step, scale)], progress={"step": step})
    command = store.add_command(
        runs[1], CommandKind.SET, {"field": "regularizer.variance_weight", "value": 3}
    )
    store.settle_command(command, applied_step=5)
    return runs


def report(step: int, scale: int) -> Report:
    metrics = {"source/accuracy": 0.1 * scale + 0.01 * step, "loss/task": scale / (step + 1)}
    metrics |= {
        f"layer/{LAYER}/std_{name}": scale * place + 0.01 * step
        for name, place in zip(
            ("q05", "q25", "q50", "q75", "q95"), (0.1, 0.2, 0.3, 0.4, 0.5), strict=True
        )
    }
    covariance = np.array([[4.0, scale], [scale, 9.0]], dtype=np.float32)
    spectrum = np.array([3.0, 2.0, 1.0], dtype=np.float32)
    return Report(step, metrics, {(LAYER, "covariance"): covariance, (LAYER, "spectrum"): spectrum})


def all_charts(store: Store, pair: tuple[str, str]) -> list[Chart]:
    lines = run_lines([store.run(run) for run in pair])
    return [
        accuracy_chart(lines, source="shape", targets=("colour", "digits:digit"), total_steps=10),
        loss_chart(lines),
        penalty_chart(lines, total_steps=10),
        spread_chart(lines, [LAYER]),
        rank_chart(lines, [LAYER]),
        hinge_chart(lines, [LAYER]),
        spectrum_chart(lines, LAYER),
        covariance_chart(lines, LAYER),
        covariance_chart(lines, LAYER, matrix="covariance"),
    ]


def test_a_rank_has_its_number_of_samples_beside_it(store: Store, pair: tuple[str, str]) -> None:
    chart = rank_chart(run_lines([store.run(run) for run in pair]), [LAYER])
    for panel, name in zip(chart.panels, ("features/count", f"layer/{LAYER}/count"), strict=True):
        shown = [each.source for each in panel.readouts if each.caption == "samples"]
        assert shown == [SeriesKey(pair[0], name)]


def test_a_line_shows_the_values_of_the_store(store: Store, pair: tuple[str, str]) -> None:
    chart = loss_chart(run_lines([store.run(run) for run in pair]))
    figure = to_figure(chart, read_history(store, [chart]))
    for trace, run in zip(figure.data, pair, strict=True):
        rows = store.metrics(run, names=["loss/task"])
        assert list(trace.x) == [row.step for row in rows]
        assert list(trace.y) == [row.value for row in rows]


def test_matrices_of_a_pair_share_one_colour_range(store: Store, pair: tuple[str, str]) -> None:
    chart = covariance_chart(
        run_lines([store.run(run) for run in pair]), LAYER, matrix="covariance"
    )
    without, with_vcr = to_figure(chart, read_history(store, [chart])).data
    np.testing.assert_array_equal(without.z, [[4.0, 1.0], [1.0, 9.0]])
    np.testing.assert_array_equal(with_vcr.z, [[4.0, 2.0], [2.0, 9.0]])
    assert (without.zmin, without.zmax) == (with_vcr.zmin, with_vcr.zmax) == (-2.0, 2.0)


def test_correlations_are_coloured_from_minus_one_to_one(
    store: Store, pair: tuple[str, str]
) -> None:
    chart = covariance_chart(run_lines([store.run(run) for run in pair]), LAYER)
    trace = to_figure(chart, read_history(store, [chart])).data[0]
    np.testing.assert_allclose(trace.z, [[1.0, 1 / 6], [1 / 6, 1.0]])
    assert (trace.zmin, trace.zmax) == (-1.0, 1.0)


def test_bands_are_filled_between_their_quantiles(store: Store, pair: tuple[str, str]) -> None:
    chart = spread_chart(run_lines([store.run(pair[0])]), [LAYER])
    low, high, lower, upper, middle = to_figure(chart, read_history(store, [chart])).data
    assert [trace.fill for trace in (low, high, lower, upper)] == [None, "tonexty"] * 2
    assert list(low.y) < list(lower.y) < list(middle.y) < list(upper.y) < list(high.y)


def test_a_turned_knob_is_a_vertical_line_at_its_step(store: Store, pair: tuple[str, str]) -> None:
    chart = loss_chart(run_lines([store.run(run) for run in pair]))
    figure = to_figure(chart, read_history(store, [chart]))
    assert [(shape.x0, shape.x1) for shape in figure.layout.shapes] == [(5, 5)]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_chart_draws_in_both_themes_with_no_token_left(
    store: Store, pair: tuple[str, str], theme: str
) -> None:
    charts = all_charts(store, pair)
    history = read_history(store, charts)
    for chart in charts:
        drawn = to_figure(chart, history, theme=theme).to_json()  # type: ignore[arg-type]
        assert '"$' not in drawn, chart.id


def test_a_chart_without_numbers_draws_too(store: Store) -> None:
    pair = store.create_pair(RunConfig())
    charts = all_charts(store, pair)
    history = read_history(store, charts)
    assert all(to_figure(chart, history).data for chart in charts)


def test_every_chart_explains_itself_in_a_sentence(store: Store, pair: tuple[str, str]) -> None:
    for chart in all_charts(store, pair):
        assert re.fullmatch(r"[A-Z].{30,220}\.", chart.help), chart.id
        assert chart.title
        assert all(panel.title for panel in chart.panels[1:])


def test_twins_look_the_same_everywhere(store: Store, pair: tuple[str, str]) -> None:
    baseline, regularized = run_lines([store.run(run) for run in pair])
    assert (baseline.label, baseline.tone, baseline.dash) == ("without VCR", "baseline", "dash")
    assert (regularized.label, regularized.tone) == ("with VCR", "regularized")


def test_both_themes_know_every_token_that_is_drawn(store: Store, pair: tuple[str, str]) -> None:
    assert LIGHT.keys() == DARK.keys()
    for chart in all_charts(store, pair):
        for theme in THEMES.values():
            drawn = [resolve(draw_trace(trace), theme) for trace in chart.traces()]
            drawn += [resolve(draw_layout(panel), theme) for panel in chart.panels]
            assert '"$' not in json.dumps(drawn)


def luminance(colour: str) -> float:
    """Relative luminance of ``#rrggbb`` (WCAG 2)."""
    shares = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [s / 12.92 if s <= 0.04045 else ((s + 0.055) / 1.055) ** 2.4 for s in shares]
    return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("token", ["ink", "muted", "mark", "baseline", "regularized"])
def test_text_colours_reach_contrast_aa(theme: str, token: str) -> None:
    palette = {"light": LIGHT, "dark": DARK}[theme]
    light, dark = sorted((luminance(palette[token]), luminance(palette["paper"])), reverse=True)
    assert (light + 0.05) / (dark + 0.05) >= 4.5


def test_plotly_brings_its_own_script() -> None:
    assert (plotly_folder() / "plotly.min.js").is_file()
