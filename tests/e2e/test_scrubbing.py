"""Moving through a run in a real browser: every matrix follows, and none is rebuilt."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("playwright")
from feeder import LAYERS, REPORT_EVERY, Feeder
from playwright.sync_api import Locator, Page, expect
from servers import Servers
from test_no_rebuild import PATIENCE_MS, PLOTS, REBUILT, SCRIPT, WATCH_FOR_REBUILDS

from vcr_core.figures import ArrayKey, read_past
from vcr_core.store import open_store

pytestmark = pytest.mark.browser
REPORTS = 12


@pytest.fixture
def feeder(tmp_path: Path) -> Iterator[Feeder]:
    store = open_store(f"sqlite:///{(tmp_path / 'runs.sqlite').as_posix()}")
    made = Feeder(store)
    for _ in range(REPORTS):
        made.report()
    yield made
    store.close()


@pytest.fixture
def url(tmp_path: Path, feeder: Feeder) -> Iterator[str]:
    servers = Servers(tmp_path)
    try:
        yield servers.start(SCRIPT, {"VCR_LAB_HOME": str(tmp_path)})
    finally:
        servers.stop()


@pytest.fixture
def view(url: str, browser_page: Page) -> Locator:
    browser_page.goto(url)
    live = browser_page.locator(".vcr-live")
    frames = 2 * REPORTS * len(LAYERS)
    expect(live).to_have_attribute("data-frames", str(frames), timeout=PATIENCE_MS)
    expect(live.locator("[data-chart='covariance'] .plot-container")).to_have_count(
        2, timeout=PATIENCE_MS
    )
    expect(live).to_have_attribute("data-plots", str(PLOTS), timeout=PATIENCE_MS)
    live.locator("[data-chart='covariance']").scroll_into_view_if_needed()
    return live


def shown_matrix(view: Locator, tone: str) -> list[list[float]]:
    plot = view.locator(f"[data-panel='matrix/{tone}'] .plot")
    return list(plot.evaluate("plot => Array.from(plot.data[0].z, (row) => Array.from(row))"))


def expect_step(view: Locator, feeder: Feeder, step: int) -> None:
    """Both matrices, and the label above them, are those of a step."""
    for run, tone in zip(feeder.runs, ("baseline", "regularized"), strict=True):
        panel = view.locator(f"[data-panel='matrix/{tone}']")
        expect(panel.locator(".when")).to_have_text(f"step {step}", timeout=PATIENCE_MS)
        key = ArrayKey(run, LAYERS[-1], "correlation")
        stored = read_past(feeder.store, [key], step)[key].values
        np.testing.assert_allclose(shown_matrix(view, tone), stored, atol=1e-3)


def test_slider_and_keys_move_every_matrix_and_live_follows_again(
    view: Locator, browser_page: Page, feeder: Feeder
) -> None:
    view.evaluate(WATCH_FOR_REBUILDS)
    last = (REPORTS - 1) * REPORT_EVERY
    expect_step(view, feeder, last)
    slider = view.get_by_role("slider", name="Time: which step is shown")
    slider.press("Home")
    expect_step(view, feeder, 0)
    expect(view).to_have_attribute("data-step", "0")
    view.locator("[data-chart='covariance'] h3").click()
    browser_page.keyboard.press("ArrowRight")
    expect_step(view, feeder, REPORT_EVERY)
    assert view.locator(".now:visible").count() >= len(("accuracy", "spread", "loss"))
    view.get_by_role("button", name="Live", exact=True).click()
    newest = feeder.report()
    expect(view).to_have_attribute("data-step", "live")
    expect_step(view, feeder, newest)
    assert browser_page.evaluate(REBUILT) == []


def test_new_steps_do_not_move_a_viewer_who_looks_at_the_past(
    view: Locator, feeder: Feeder
) -> None:
    view.get_by_role("slider", name="Time: which step is shown").press("Home")
    expect_step(view, feeder, 0)
    feeder.report()
    frames = 2 * (REPORTS + 1) * len(LAYERS)
    expect(view).to_have_attribute("data-frames", str(frames), timeout=PATIENCE_MS)
    expect_step(view, feeder, 0)


def test_playing_ends_at_the_newest_step(view: Locator, feeder: Feeder) -> None:
    view.get_by_role("button", name="Play the run back").click()
    expect(view).not_to_have_attribute("data-step", "live", timeout=PATIENCE_MS)
    expect(view).to_have_attribute("data-step", "live", timeout=PATIENCE_MS)
    expect(view.get_by_role("button", name="Play the run back")).to_be_visible()


def test_every_layer_says_its_verdicts_with_numbers(view: Locator) -> None:
    cards = view.locator(".layer")
    expect(cards).to_have_count(len(LAYERS))
    for card in cards.all():
        expect(card).to_contain_text("48 features, 8192 samples")
        expect(card).to_contain_text("possible directions in use")
