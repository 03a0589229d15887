"""The HTML report stands alone: heading, results, differences, figures, settings, how to repeat."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from vcr_core.cli import app
from vcr_core.comparison import html_report
from vcr_core.errors import ConfigError, UnknownRunError
from vcr_core.presets import find_preset
from vcr_core.store import Report, RunState, Store


@pytest.fixture
def pair(store: Store) -> tuple[str, str]:
    config = find_preset("digits-parity").config
    runs = store.create_pair(config, preset="digits-parity")
    for scale, run in enumerate(runs, start=1):
        for step in (0, 10):
            layer = config.layer_names[-1]
            matrix = np.array([[4.0, scale], [scale, 9.0]], dtype=np.float32)
            metrics = {"source/accuracy": 0.5, "transfer/digit": 0.2 * scale, "loss/task": 1.0}
            report = Report(step, metrics, {(layer, "covariance"): matrix})
            store.write_reports(run, [report], progress={"step": step})
        result = {
            "source_accuracy": 0.9,
            "transfer": {"digit": 0.4 * scale},
            "effective_rank": 5.0 * scale,
        }
        environment = {"device": "cpu", "threads": 1, "torch": "2.15"}
        store.update_run(
            run,
            state=RunState.FINISHED.value,
            result=result,
            total_steps=10,
            environment=environment,
        )
    return runs


def test_a_report_of_a_pair_has_all_its_parts_and_needs_nothing_else(
    store: Store, pair: tuple[str, str]
) -> None:
    html = html_report(store, pair)
    assert f"<h1>{find_preset('digits-parity').title}</h1>" in html
    for heading in ("What came out", "Results and differences", "Figures", "Repeat it"):
        assert f"<h2>{heading}</h2>" in html
    assert "Δ +40.0, n = 1" in html
    assert '<th scope="row">Variance weight</th><td>0</td>' in html
    assert html.count("Plotly.newPlot(") >= 5
    assert "<h3>Correlation of features</h3>" in html
    assert "<figcaption>Violet is −1 or below, white 0, green +1 or above.</figcaption>" in html
    assert "vcr-lab run digits-parity --set regularizer.variance_weight=0.0" in html
    body = html.partition("<body>")[2]
    assert not re.search(r'(src|href)="?(https?:)?//', body)


def test_a_report_of_one_run_and_of_one_without_numbers(
    store: Store, pair: tuple[str, str]
) -> None:
    alone = html_report(store, pair[1:])
    assert "80.0 % mean transfer" in alone
    assert "Δ +" not in alone.partition("<h2>Figures")[0].partition("<table>")[2]
    empty = store.create_run(find_preset("digits-parity").config)
    told = html_report(store, [empty])
    assert "Nothing was measured yet." in told
    assert "vcr-lab run sprites-shape --set data.dataset=digits" in told  # of no preset
    store.update_run(empty, parent_id=pair[0])
    assert "vcr-lab run" not in html_report(store, [empty]).partition("Repeat it")[2]


def test_html_in_a_name_is_text_in_the_report(store: Store, pair: tuple[str, str]) -> None:
    store.update_run(pair[1], name="<img src=x onerror=alert(1)>")
    body = html_report(store, pair).partition("<body>")[2]
    assert "<img" not in body
    assert "&lt;img src=x" in body


def test_none_too_many_and_unknown_runs_are_refused(store: Store, pair: tuple[str, str]) -> None:
    with pytest.raises(ConfigError, match="expected 1 to 12 runs for a report, got 0"):
        html_report(store, [])
    with pytest.raises(ConfigError, match="got 13"):
        html_report(store, [str(number) for number in range(13)])
    with pytest.raises(UnknownRunError):
        html_report(store, [*pair, "nowhere"])


def test_the_command_line_writes_the_report(
    store: Store, pair: tuple[str, str], tmp_path: Path
) -> None:
    path = tmp_path / "pair.html"
    done = CliRunner().invoke(app, ["export", *pair, "--report", str(path)])
    assert done.exit_code == 0, done.output
    assert "<h1>" in path.read_text(encoding="utf-8")
    again = CliRunner().invoke(app, ["export", *pair, "--report", str(path)])
    assert isinstance(again.exception, ConfigError | SystemExit)
