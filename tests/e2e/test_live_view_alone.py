"""The live view in a bare page of HTML: no Streamlit, several views of one feed."""

from __future__ import annotations

import json
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("playwright")
from feeder import LAYERS, Feeder, network
from playwright.sync_api import Page, expect

from vcr_core.figures import plotly_folder
from vcr_core.live_view import Feed, View, html_page
from vcr_core.live_view.bundle import bundle
from vcr_core.store import Store

pytestmark = pytest.mark.browser
PLOTS = 15
PATIENCE_MS = 30_000
START = """async (code) => {
    const { show } = await import(code);
    window.heard = [];
    window.tellAll = (message, places) => {
        for (const place of places) {
            let element = document.getElementById(place);
            if (!element) {
                element = document.createElement("div");
                element.id = place;
                document.body.append(element);
            }
            const tell = (name, value) => window.heard.push([place, name, value]);
            show({ data: message, element, place, tell });
        }
    };
}"""


class Around:
    """An adapter of a few lines: what a notebook would be."""

    def __init__(self, page: Page, feeder: Feeder) -> None:
        self.page, self.feeder, self.feed = page, feeder, Feed()
        page.add_script_tag(path=plotly_folder() / "plotly.min.js")
        code = b64encode(bundle().encode()).decode()
        page.evaluate(START, f"data:text/javascript;base64,{code}")

    def tick(self, *places: str) -> dict[str, Any]:
        """The next message, told to the views in these places."""
        message = self.feed.next_message(self.view(LAYERS[-1]), self.feeder.store)
        message = json.loads(json.dumps(message))
        self.page.evaluate("([message, places]) => tellAll(message, places)", [message, places])
        return dict(message)

    def view(self, layer: str) -> View:
        """The charts and the row of layers, with one enlarged."""
        first, second = (self.feeder.store.run(run) for run in self.feeder.runs)
        return View(self.feeder.charts(layer), network((first, second), layer))

    def heard(self) -> list[list[Any]]:
        return list(self.page.evaluate("heard"))


@pytest.fixture
def around(browser_page: Page, store: Store) -> Around:
    feeder = Feeder(store)
    for _ in range(10):
        feeder.report()
    browser_page.set_viewport_size({"width": 1280, "height": 9000})
    return Around(browser_page, feeder)


def fact(page: Page, place: str, name: str) -> str | None:
    return page.locator(f"#{place} .vcr-live").get_attribute(f"data-{name}")


def test_two_views_of_one_feed_show_the_same_and_are_turned_apart(
    around: Around, browser_page: Page
) -> None:
    around.tick("left", "right")
    around.feeder.report()
    around.tick("left", "right")
    for place in ("left", "right"):
        view = browser_page.locator(f"#{place} .vcr-live")
        expect(view).to_have_attribute("data-plots", str(PLOTS), timeout=PATIENCE_MS)
        expect(view).to_have_attribute("data-ticks", "2")
    assert fact(browser_page, "left", "points") == fact(browser_page, "right", "points")
    browser_page.locator("#left .slider").fill("0")
    expect(browser_page.locator("#left .vcr-live")).to_have_attribute("data-step", "0")
    assert fact(browser_page, "right", "step") == "live"
    assert ["left", "wanted", [0, 6, 12, 18, 24, 30]] in around.heard()
    browser_page.locator(f"#right [data-layer='{LAYERS[0]}']").click()
    assert ["right", "chosen", {"layer": LAYERS[0]}] in around.heard()


def test_the_arrows_turn_the_view_that_has_the_focus(around: Around, browser_page: Page) -> None:
    around.tick("left", "right")
    for place in ("left", "right"):
        view = browser_page.locator(f"#{place} .vcr-live")
        expect(view).to_have_attribute("data-plots", str(PLOTS), timeout=PATIENCE_MS)
    browser_page.locator("#right .play").focus()
    browser_page.keyboard.press("ArrowLeft")
    expect(browser_page.locator("#right .vcr-live")).to_have_attribute("data-step", "48")
    assert fact(browser_page, "left", "step") == "live"


def test_a_view_that_comes_later_shows_everything_at_once(
    around: Around, browser_page: Page
) -> None:
    around.tick("left")
    around.feeder.report()
    tick = around.tick("left", "right")
    assert "spec" not in tick
    right = browser_page.locator("#right .vcr-live")
    expect(right).to_have_attribute("data-plots", str(PLOTS), timeout=PATIENCE_MS)
    for name in ("points", "frames", "marks", "sequence"):
        assert fact(browser_page, "right", name) == fact(browser_page, "left", name)
    assert around.heard() == []


def test_the_colours_of_the_page_around_are_taken_from_its_properties(
    around: Around, browser_page: Page
) -> None:
    browser_page.add_style_tag(content=":root { --page-background: #101010; }")
    around.tick("left")
    left = browser_page.locator("#left .vcr-live")
    expect(left).to_have_attribute("data-theme", "dark")
    browser_page.add_style_tag(content=":root { --page-background: #fefefe; }")
    around.tick("left")
    expect(left).to_have_attribute("data-theme", "light")
    chart = browser_page.locator("#left .chart").first
    assert chart.evaluate("card => getComputedStyle(card).backgroundColor") == "rgb(254, 254, 254)"


def test_a_saved_page_moves_through_the_run_without_a_server(
    around: Around, browser_page: Page, tmp_path: Path
) -> None:
    feeder = around.feeder
    text = html_page(around.view, LAYERS[-1], store=feeder.store, title="Twins", facts="saved")
    saved = tmp_path / "saved.html"
    saved.write_text(text, encoding="utf-8")
    browser_page.goto(saved.as_uri())
    view = browser_page.locator(".vcr-live")
    expect(view).to_have_attribute("data-plots", str(PLOTS), timeout=PATIENCE_MS)
    browser_page.locator(f"[data-layer='{LAYERS[0]}']").click()
    expect(view.get_by_text(f"{LAYERS[0]}, enlarged")).to_be_visible()
    browser_page.locator(".slider").fill("1")
    expect(view).to_have_attribute("data-step", "6")
    matrix = browser_page.locator("[data-square='true'] .plot").first
    assert len(matrix.evaluate("plot => plot.data[0].z")) == feeder.features
    browser_page.locator(".live").click()
    browser_page.locator("h1").click()
    browser_page.keyboard.press("Space")
    expect(view).not_to_have_attribute("data-step", "live")


def test_a_message_that_was_lost_is_asked_for(around: Around, browser_page: Page) -> None:
    around.tick("left")
    around.feeder.report()
    around.tick()
    around.feeder.report()
    around.tick("left")
    assert around.heard() == [["left", "resend", 1]]
    around.feed.forget()
    around.tick("left")
    left = browser_page.locator("#left .vcr-live")
    expect(left).to_have_attribute("data-sequence", "4")
    expect(left).to_have_attribute("data-resends", "1")
