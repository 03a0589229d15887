"""The live view in a real browser: updates never rebuild a chart, and a gap is filled."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("playwright")
from feeder import LAYERS, Feeder
from playwright.sync_api import Locator, Page, ViewportSize, expect
from servers import Servers
from test_main_job import wait_until

from vcr_core.figures import read_history
from vcr_core.store import Report, open_store

pytestmark = pytest.mark.browser
SCRIPT = Path(__file__).parent / "live_view_app.py"
PATIENCE_MS = 30_000
WATCHED_SECONDS = 12.0
PLOTS = 15
ALL_IN_SIGHT: ViewportSize = {"width": 1280, "height": 4500}  # what is out of sight is not drawn

WATCH_FOR_REBUILDS = """root => {
    const chart = '.chart, .panel, .plot, .plot-container, .svg-container, .main-svg';
    const isChart = (node) =>
        node.nodeType === 1 && (node.matches(chart) || node.querySelector(chart));
    window.watched = root;
    window.rebuilt = [];
    new MutationObserver((changes) => {
        for (const { addedNodes, removedNodes } of changes)
            for (const node of [...addedNodes, ...removedNodes])
                if (isChart(node)) window.rebuilt.push(node.outerHTML.slice(0, 120));
    }).observe(root, { childList: true, subtree: true });
}"""
# Streamlit may give the view another place in the page: it moves there as it is.
REBUILT = """() =>
    window.watched.isConnected ? window.rebuilt : [...window.rebuilt, "the whole view"]"""


def fact(view: Locator, name: str) -> int:
    """A number that the live view says about itself."""
    return int(view.get_attribute(f"data-{name}") or 0)


def points_in_store(feeder: Feeder, layer: str = LAYERS[-1]) -> int:
    history = read_history(feeder.store, feeder.charts(layer))
    return sum(len(series.steps) for series in history.series.values())


def expect_complete(view: Locator, feeder: Feeder, layer: str = LAYERS[-1]) -> None:
    expect(view).to_have_attribute(
        "data-points", str(points_in_store(feeder, layer)), timeout=PATIENCE_MS
    )


def x_range(page: Page, panel: str) -> list[float]:
    plot = page.locator(f"[data-panel='{panel}'] .plot")
    return [float(edge) for edge in plot.evaluate("plot => plot.layout.xaxis.range")]


def zoom(page: Page, panel: str) -> None:
    """Drag over the middle of a plot."""
    plot = page.locator(f"[data-panel='{panel}'] .plot")
    plot.scroll_into_view_if_needed()
    box = plot.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.4, box["y"] + box["height"] * 0.5)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.7, box["y"] + box["height"] * 0.5, steps=6)
    page.mouse.up()


@pytest.fixture(scope="module")
def shared_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One server serves all tests here: its page shows the newest pair of this folder's store."""
    return tmp_path_factory.mktemp("live-view")


@pytest.fixture(scope="module")
def url(shared_home: Path) -> Iterator[str]:
    servers = Servers(shared_home)
    yield servers.start(SCRIPT, {"VCR_LAB_HOME": str(shared_home)})
    servers.stop()


@pytest.fixture
def empty_feeder(shared_home: Path) -> Iterator[Feeder]:
    store = open_store(f"sqlite:///{(shared_home / 'runs.sqlite').as_posix()}")
    yield Feeder(store)
    store.close()


@pytest.fixture
def feeder(empty_feeder: Feeder) -> Feeder:
    for _ in range(10):
        empty_feeder.report()
    return empty_feeder


@pytest.fixture
def view(url: str, browser_page: Page, feeder: Feeder) -> Locator:
    """The live view of a page that shows the feeder's runs, all charts drawn."""
    browser_page.goto(url)
    live = browser_page.locator(".vcr-live")
    expect(live).to_have_attribute("data-plots", str(PLOTS), timeout=PATIENCE_MS)
    return live


def test_updates_extend_the_charts_without_rebuilding_any(
    view: Locator, browser_page: Page, feeder: Feeder
) -> None:
    browser_page.set_viewport_size(ALL_IN_SIGHT)
    view.evaluate(WATCH_FOR_REBUILDS)
    zoom(browser_page, "loss/task")
    zoomed = x_range(browser_page, "loss/task")
    assert zoomed != x_range(browser_page, "features/effective_rank")
    before, draws = fact(view, "points"), fact(view, "draws")
    end = time.monotonic() + WATCHED_SECONDS
    while time.monotonic() < end:
        feeder.report()
        time.sleep(0.5)
    feeder.turn_knob("regularizer.variance_weight", 3.0)
    expect_complete(view, feeder)
    assert fact(view, "points") > before
    assert fact(view, "draws") > draws
    expect(view).to_have_attribute("data-marks", "1")
    expect(view.get_by_text("Variance weight → 3 at step").first).to_be_visible()
    assert browser_page.evaluate(REBUILT) == []
    assert x_range(browser_page, "loss/task") == zoomed
    view.evaluate("root => root.querySelector('.plot-container').remove()")
    assert browser_page.evaluate(REBUILT) != []  # it would have been noticed


def test_a_dropped_tick_is_noticed_and_everything_is_sent_again(
    view: Locator, browser_page: Page, feeder: Feeder
) -> None:
    view.evaluate(WATCH_FOR_REBUILDS)
    expect_complete(view, feeder)
    resends = fact(view, "resends")
    browser_page.get_by_role("button", name="Drop a tick").click()
    feeder.report()
    expect(view).not_to_have_attribute("data-resends", str(resends), timeout=PATIENCE_MS)
    expect_complete(view, feeder)
    assert browser_page.evaluate(REBUILT) == []


def test_charts_that_left_the_page_come_back_complete(
    view: Locator, browser_page: Page, feeder: Feeder
) -> None:
    zoom(browser_page, "loss/task")
    zoomed = x_range(browser_page, "loss/task")
    hide = browser_page.get_by_text("Hide the charts")
    hide.click()
    expect(view).to_have_count(0, timeout=PATIENCE_MS)
    feeder.report()
    hide.click()
    expect_complete(view, feeder)
    assert x_range(browser_page, "loss/task") == zoomed
    browser_page.reload()
    expect_complete(view, feeder)


def test_a_browser_that_lost_the_code_gets_it_again(
    view: Locator, browser_page: Page, feeder: Feeder
) -> None:
    expect_complete(view, feeder)
    hide = browser_page.get_by_text("Hide the charts")
    hide.click()
    expect(view).to_have_count(0, timeout=PATIENCE_MS)
    browser_page.evaluate("window.vcrLabCode.clear()")
    feeder.report()
    hide.click()
    expect_complete(view, feeder)
    expect(view).to_have_attribute("data-plots", str(PLOTS), timeout=PATIENCE_MS)


def test_another_layer_changes_only_its_own_charts(
    view: Locator, browser_page: Page, feeder: Feeder
) -> None:
    view.evaluate(WATCH_FOR_REBUILDS)
    browser_page.get_by_role("radio", name=LAYERS[0]).click()
    expect(view.get_by_text(f"{LAYERS[0]}, enlarged")).to_be_visible(timeout=PATIENCE_MS)
    expect_complete(view, feeder, LAYERS[0])
    assert browser_page.evaluate(REBUILT) == []


def test_numbers_that_are_not_finite_break_nothing(view: Locator, feeder: Feeder) -> None:
    nothing = np.full((feeder.features, feeder.features), np.nan, dtype=np.float32)
    for run in feeder.runs:
        report = Report(feeder.step, {"loss/task": np.nan}, {(LAYERS[-1], "covariance"): nothing})
        feeder.store.write_reports(run, [report], progress={"step": feeder.step})
    feeder.step += 1
    expect_complete(view, feeder)
    feeder.report()
    expect_complete(view, feeder)
    expect(view).to_have_attribute("data-plots", str(PLOTS))


def test_a_hidden_run_stays_hidden_through_updates(
    view: Locator, browser_page: Page, feeder: Feeder
) -> None:
    visible = "plot => plot.data.map(trace => trace.visible)"
    loss = browser_page.locator("[data-panel='loss/task'] .plot")
    assert loss.evaluate(visible) == [True, True]
    view.get_by_role("button", name="without VCR", exact=True).click()
    feeder.report()
    expect_complete(view, feeder)
    loss.scroll_into_view_if_needed()
    wait_until(lambda: loss.evaluate(visible) == [False, True])


def test_a_chart_out_of_sight_is_drawn_when_it_comes_into_sight(
    view: Locator, browser_page: Page, feeder: Feeder
) -> None:
    points = "plot => plot.data[0].x.length"
    loss = browser_page.locator("[data-panel='loss/task'] .plot")
    before, draws = loss.evaluate(points), fact(view, "draws")
    for _ in range(3):
        feeder.report()
    expect_complete(view, feeder)
    assert fact(view, "draws") > draws
    assert loss.evaluate(points) == before
    loss.scroll_into_view_if_needed()
    wait_until(lambda: loss.evaluate(points) == before + 3)


def test_charts_follow_the_page_from_light_to_dark(view: Locator, browser_page: Page) -> None:
    expect(view).to_have_attribute("data-theme", "light")
    browser_page.emulate_media(color_scheme="dark")
    expect(view).to_have_attribute("data-theme", "dark", timeout=PATIENCE_MS)


def test_the_app_may_live_below_a_path(
    start_streamlit: Callable[..., str], browser_page: Page, feeder: Feeder, shared_home: Path
) -> None:
    below = {"STREAMLIT_SERVER_BASE_URL_PATH": "class/vcr", "VCR_LAB_HOME": str(shared_home)}
    url = start_streamlit(SCRIPT, below)
    browser_page.goto(f"{url}/class/vcr/")
    view = browser_page.locator(".vcr-live")
    expect(view).to_have_attribute("data-plots", str(PLOTS), timeout=PATIENCE_MS)
    expect_complete(view, feeder)


def test_before_the_first_numbers_the_page_says_that_they_are_coming(
    url: str, browser_page: Page, empty_feeder: Feeder
) -> None:
    browser_page.goto(url)
    waiting = browser_page.get_by_text("The first numbers arrive in a moment.")
    expect(waiting.first).to_be_visible(timeout=PATIENCE_MS)
    empty_feeder.report()
    expect(waiting.first).to_be_hidden(timeout=PATIENCE_MS)


def test_without_plotly_the_page_says_what_to_do(
    url: str, browser_page: Page, feeder: Feeder
) -> None:
    browser_page.route("**/plotly.min.js*", lambda route: route.abort())
    browser_page.goto(url)
    alert = browser_page.locator(".vcr-live").get_by_role("alert")
    expect(alert).to_contain_text("the browser did not get Plotly", timeout=PATIENCE_MS)
