"""Runs and Compare in a real browser: find, name, note, delete and undo, stop, resume, compare."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("playwright")
from playwright.sync_api import Locator, Page, expect
from test_main_job import wait_until

from vcr_core.config import RunConfig, override
from vcr_core.execution import submit
from vcr_core.execution.launch import DISPATCHER_LEASE
from vcr_core.presets import find_preset
from vcr_core.store import CommandKind, Report, RunState, Store

pytestmark = pytest.mark.browser
MAIN = Path(__file__).parents[2] / "app" / "server.py"
PATIENCE_MS = 60_000
TICK_MS = 2_500
StartStreamlit = Callable[..., str]
HOSTILE = "<img src=x onerror=alert(1)>"


def ended(store: Store, seed: int, weight: float, accuracy: float) -> str:
    """A finished run with curves and matrices."""
    weights = {"regularizer.variance_weight": weight, "regularizer.covariance_weight": weight}
    config = override(RunConfig(), {"seed": seed, **weights})
    run = store.create_run(config, preset="sprites-shape")
    generator = np.random.default_rng(seed)
    for step in (0, 10, 20):
        rows = generator.normal(size=(32, 8)).astype(np.float32)
        arrays = {(layer, "covariance"): np.cov(rows.T) for layer in config.layer_names}
        metrics = {"source/accuracy": accuracy, "transfer/colour": accuracy, "loss/task": 1.0}
        store.write_reports(run, [Report(step, metrics, arrays)], progress={"step": step})
    result = {"source_accuracy": 0.9, "transfer": {"colour": accuracy}, "effective_rank": 9.0}
    store.update_run(run, state=RunState.FINISHED.value, total_steps=20, result=result)
    return run


@pytest.fixture
def six(store: Store) -> list[str]:
    """Three seeds without VCR and three with it."""
    store.hold_lease(DISPATCHER_LEASE, "test", patience=0)
    plain = [ended(store, seed, 0.0, 0.5) for seed in range(3)]
    return [*plain, *(ended(store, s, 1.0, 0.6 + s / 10) for s in range(3))]


def row(page: Page, run: str) -> Locator:
    return page.locator(f"tr[data-run='{run}']")


def field(page: Page, run: str, name: str) -> Locator:
    return row(page, run).locator(f".field.{name}")


def open_runs(page: Page, url: str, runs: list[str], query: str = "") -> None:
    page.goto(f"{url}/runs{query}")
    expect(row(page, runs[0])).to_be_visible(timeout=PATIENCE_MS)


def test_name_tag_note_filter_delete_and_undo(
    start_streamlit: StartStreamlit, browser_page: Page, store: Store, six: list[str]
) -> None:
    page, run = browser_page, six[1]
    open_runs(page, start_streamlit(MAIN), six)
    for name, text in (("name", HOSTILE), ("tags", "good, odd"), ("notes", "look at seed 1")):
        field(page, run, name).fill(text)
        field(page, run, name).press("Enter")
    wait_until(lambda: store.run(run).notes == "look at seed 1")
    kept = store.run(run)
    assert (kept.name, list(kept.tags)) == (HOSTILE, ["good", "odd"])
    expect(field(page, run, "name")).to_have_value(HOSTILE)

    field(page, run, "notes").fill("half a sent")  # a refresh does not take it away
    store.update_run(six[0], notes="somebody else")
    expect(field(page, six[0], "notes")).to_have_value("somebody else", timeout=PATIENCE_MS)
    page.wait_for_timeout(TICK_MS)
    expect(field(page, run, "notes")).to_have_value("half a sent")
    expect(field(page, run, "notes")).to_be_focused()
    field(page, run, "notes").press("Escape")
    expect(field(page, run, "notes")).to_have_value("look at seed 1")

    page.get_by_label("Search").fill("odd")
    page.get_by_label("Search").press("Enter")
    expect(page.locator("tr[data-run]")).to_have_count(1, timeout=PATIENCE_MS)
    expect(page).to_have_url(re.compile("q=odd"))
    row(page, run).get_by_role("button", name=re.compile("^Delete")).click()
    expect(page.get_by_text("No run matches")).to_be_visible(timeout=PATIENCE_MS)
    assert store.run(run).deleted_at is not None
    page.get_by_role("button", name="Undo").click()
    expect(row(page, run)).to_be_visible(timeout=PATIENCE_MS)
    assert store.run(run).deleted_at is None


def test_selected_runs_are_compared_and_the_report_is_taken_away(
    start_streamlit: StartStreamlit,
    browser_page: Page,
    store: Store,
    six: list[str],
    tmp_path: Path,
) -> None:
    page = browser_page
    open_runs(page, start_streamlit(MAIN), six)
    compare = page.get_by_role("button", name="Compare these")
    expect(compare).to_be_disabled()
    for run in six:
        row(page, run).get_by_role("checkbox").check()
    expect(page.get_by_text("6 selected")).to_be_visible(timeout=PATIENCE_MS)
    page.wait_for_timeout(TICK_MS)  # a refresh keeps the selection
    expect(page.get_by_text("6 selected")).to_be_visible()
    page.reload()
    expect(row(page, six[0]).get_by_role("checkbox")).to_be_checked(timeout=PATIENCE_MS)
    compare.click()
    expect(page).to_have_url(re.compile(r"/compare\?runs="), timeout=PATIENCE_MS)
    expect(page.get_by_text("Δ +20.0 (−4.8 … +44.8), n = 3").first).to_be_visible(
        timeout=PATIENCE_MS
    )
    curves = page.locator(".vcr-live[data-points]").first
    lines = curves.locator("[data-panel='source/accuracy'] .js-line")
    expect(lines.first).to_be_attached(timeout=PATIENCE_MS)  # two means and two bands
    assert lines.count() >= 2
    differences = page.locator("[data-chart='differences'] .plot")
    expect(differences.first.locator("image").first).to_be_attached(timeout=PATIENCE_MS)
    with_vcr, plain = (matrix(page, place) for place in (1, 0))
    subtracted = np.array(differences.first.evaluate(VALUES))
    np.testing.assert_allclose(subtracted, with_vcr - plain, atol=1e-3)

    page.get_by_role("button", name="Export").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Report (HTML)").click()
    path = tmp_path / "report.html"
    download.value.save_as(path)
    page.goto(path.as_uri())
    expect(page.get_by_role("heading", name="What came out")).to_be_visible()
    expect(page.locator(".js-plotly-plot .main-svg").first).to_be_visible()


VALUES = "plot => Array.from(plot.data[0].z, (row) => Array.from(row))"


def matrix(page: Page, place: int) -> np.ndarray:
    plot = page.locator("[data-chart='matrices'] .plot").nth(place)
    expect(plot.locator("image").first).to_be_attached(timeout=PATIENCE_MS)
    return np.array(plot.evaluate(VALUES))


def test_a_run_that_really_trains_is_resumed_and_stopped_from_the_list(
    start_streamlit: StartStreamlit, browser_page: Page, store: Store
) -> None:
    page = browser_page
    config = override(find_preset("digits-parity").config, {"training.epochs": 400})
    run = submit(store, config, preset="digits-parity")
    store.add_command(run, CommandKind.PAUSE)
    open_runs(page, start_streamlit(MAIN), [run])
    expect(row(page, run).locator(".badge")).to_have_text("paused", timeout=PATIENCE_MS)
    row(page, run).get_by_role("button", name=re.compile("^Resume")).click()
    expect(row(page, run).locator(".badge")).to_have_text("training", timeout=PATIENCE_MS)
    expect(row(page, run).locator(".how")).to_have_text(re.compile(r"step \d+ of \d+"))
    row(page, run).get_by_role("button", name=re.compile("^Stop")).click()
    expect(row(page, run).locator(".badge")).to_have_text("stopped", timeout=PATIENCE_MS)
    assert store.run(run).state is RunState.STOPPED
    row(page, run).get_by_role("link").click()
    expect(page).to_have_url(re.compile(rf"\?run={run}"), timeout=PATIENCE_MS)


def test_links_with_unknown_and_hostile_runs_give_messages(
    start_streamlit: StartStreamlit, browser_page: Page, six: list[str]
) -> None:
    url = start_streamlit(MAIN)
    browser_page.goto(f"{url}/compare?runs=%3Cscript%3Ealert(1)%3C/script%3E,{six[0]},{six[3]}")
    expect(browser_page.get_by_text("The link names a run that is not here")).to_be_visible(
        timeout=PATIENCE_MS
    )
    expect(browser_page.get_by_text("<script>alert(1)</script>")).to_be_visible()
    expect(browser_page.get_by_role("heading", name="Results and differences")).to_be_visible(
        timeout=PATIENCE_MS
    )
    browser_page.goto(f"{url}/compare")
    expect(browser_page.get_by_text("Select 2 to 12 runs")).to_be_visible(timeout=PATIENCE_MS)
    browser_page.get_by_role("link", name="To the runs").click()
    expect(row(browser_page, six[0])).to_be_visible(timeout=PATIENCE_MS)
