"""What the tests of looks and access share: axe-core, screenshots, words, keys, layout shifts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import axe_playwright_python
from playwright.sync_api import Locator, Page, ViewportSize, expect

AXE = Path(axe_playwright_python.__file__).with_name("axe.min.js").read_text(encoding="utf-8")
SHOTS = Path(__file__).parents[2] / "test-artifacts" / "screenshots"
PATIENCE_MS = 90_000
DESK: ViewportSize = {"width": 1280, "height": 900}
PHONE: ViewportSize = {"width": 390, "height": 844}
Theme = Literal["light", "dark"]
THEMES: tuple[Theme, ...] = ("light", "dark")
GRAVE = ("serious", "critical")
APP = "[data-testid=stApp]"
POPOVERS = "[data-testid=stPopoverButton]:not([disabled])"
POPOVER_BODY = "[data-testid=stPopoverBody]"
EXPANDERS = "[data-testid=stExpander] summary"
EXPANDED = "[data-testid=stExpander]:has(details[open])"

RUN_AXE = """async ([where, rules]) => {
    const options = { resultTypes: ["violations"], ...(rules ? { runOnly: rules } : {}) };
    const found = await axe.run(where ?? document, options);
    return found.violations.map(({ id, impact, nodes }) => [
        impact,
        id,
        nodes.map(({ html, failureSummary }) => `${html}\\n${failureSummary}`.slice(0, 500)),
    ]);
}"""
STILL = """addEventListener("DOMContentLoaded", () => {
    const rules = new CSSStyleSheet();
    const still = "transition: none !important; animation: none !important;";
    rules.replaceSync(`*, *::before, *::after { ${still} }`);
    document.adoptedStyleSheets = [...document.adoptedStyleSheets, rules];
});"""
SETTLED = """() => {
    const app = document.querySelector("[data-testid=stApp]");
    const isQuiet = app?.dataset.testScriptState === "notRunning";
    const waits = document.querySelector("[data-testid=stSkeleton], [data-testid=stSpinner]");
    const live = document.querySelectorAll("[data-testid=stBidiComponentRegular]");
    return isQuiet && !waits && [...live].every((box) => box.shadowRoot ?? box.children.length);
}"""
TOO_WIDE = """() => {
    const main = document.querySelector("[data-testid=stMain]");
    return Math.max(main.scrollWidth - main.clientWidth,
        document.documentElement.scrollWidth - document.documentElement.clientWidth);
}"""
WATCH_SHIFTS = """
    window.shifts = [];
    const place = ({ x, y, width, height }) => `${x},${y}+${width}x${height}`;
    const says = ({ node, previousRect, currentRect }) =>
        `${place(previousRect)} → ${place(currentRect)} ${(node?.textContent ?? "").slice(0, 60)}`;
    new PerformanceObserver((list) => {
        for (const { value, hadRecentInput, startTime, sources } of list.getEntries())
            if (!hadRecentInput) window.shifts.push([value, startTime, sources.map(says)]);
    }).observe({ type: "layout-shift", buffered: true });
"""
FOCUSED = """() => {
    let focus = document.activeElement;
    while (focus?.shadowRoot?.activeElement) focus = focus.shadowRoot.activeElement;
    const primary = "rgb(11, 111, 194)"; // of the light theme
    const isDrawn = (element) => {
        const { outlineStyle, outlineWidth, boxShadow, borderTopColor } = getComputedStyle(element);
        const isOutlined = outlineStyle !== "none" && parseFloat(outlineWidth) > 0;
        return isOutlined || boxShadow !== "none" || borderTopColor === primary;
    };
    let around = focus;
    let isVisible = false;
    for (let level = 0; level < 6 && around && !isVisible; level += 1) {
        isVisible = isDrawn(around);
        around = around.parentElement;
    }
    const said = focus.getAttribute("aria-label") || focus.labels?.[0]?.textContent;
    const name = (said || focus.innerText || "").replace(/\\s+/g, " ").trim();
    return { tag: focus.tagName.toLowerCase(), name, isVisible };
}"""
FOLDED = """(summary) => summary.closest("[inert]") !== null || summary.closest("details").open
    || summary.closest("details").parentElement.closest("details:not([open])") !== null"""
ALL_WORDS = """() => {
    const found = new Set();
    const ours = "[data-testid=stIconMaterial], [data-testid=stSkipToContent]";
    const skipped = `pre, code, script, style, ${ours}`;
    const visit = (node) => {
        if (node.nodeType === Node.TEXT_NODE) return void found.add(node.textContent.trim());
        if (node.nodeType === Node.ELEMENT_NODE) {
            if (node.matches(skipped) || !node.checkVisibility()) return;
            for (const name of ["aria-label", "title", "alt", "placeholder"])
                if (node.getAttribute(name)) found.add(node.getAttribute(name).trim());
            if (node.shadowRoot) visit(node.shadowRoot);
        }
        for (const child of node.childNodes) visit(child);
    };
    visit(document.querySelector("[data-testid=stApp]"));
    return [...found];
}"""


def settle(page: Page) -> None:
    """Wait until Streamlit has finished and everything that it draws is there."""
    page.wait_for_function(SETTLED, timeout=PATIENCE_MS)
    if page.locator(".vcr-live").count():
        page.wait_for_function(
            "() => [...document.querySelectorAll('*')].every((box) => !box.shadowRoot"
            " || ![...box.shadowRoot.querySelectorAll('.plot')].some((plot) =>"
            " plot.nextElementSibling.nextElementSibling.hidden && !plot.childElementCount))",
            timeout=PATIENCE_MS,
        )


def visit(page: Page, url: str) -> None:
    page.goto(url)
    settle(page)


def pages_of(page: Page, url: str) -> dict[str, str]:
    """Every page of the navigation: its name and its address. New ones are found by themselves."""
    visit(page, url)
    links = page.locator("[data-testid=stTopNavLink]").evaluate_all(
        "(links) => links.map((link) => [link.textContent, link.href])"
    )
    names = {href: href.removeprefix(url).strip("/") or "lab" for _, href in links}
    return {name: href for href, name in names.items()}


def grave_findings(page: Page, where: str | None, rules: list[str] | None) -> list[str]:
    """What axe-core finds serious or critical, shadow roots included."""
    if not page.evaluate("() => 'axe' in window"):
        page.evaluate(f"{AXE}; 0")
    found = page.evaluate(RUN_AXE, [where, rules])
    return [f"{impact} {rule}: {'; '.join(n)}" for impact, rule, n in found if impact in GRAVE]


def in_theme(page: Page, theme: Theme) -> None:
    page.emulate_media(color_scheme=theme)
    page.wait_for_function(
        "(theme) => getComputedStyle(document.querySelector('[data-testid=stApp]')).colorScheme"
        " === theme",
        arg=theme,
    )
    for view in page.locator(".vcr-live[data-theme]").all():
        expect(view).to_have_attribute("data-theme", theme, timeout=PATIENCE_MS)


@dataclass
class Tour:
    """Looks at pages in both themes and at both sizes, and keeps what is wrong."""

    page: Page
    wrong: list[str] = field(default_factory=list)

    def look(self, name: str, *, opened: bool = True) -> None:
        """Findings of axe-core, of everything that opens as well; sideways scrolling; pictures."""
        for theme in THEMES:
            in_theme(self.page, theme)
            self._check(f"{name} {theme}", theme)
            if opened:
                self._open_everything(name, theme)
            for size in (DESK, PHONE):
                self._picture(name, theme, size)
            self.page.set_viewport_size(DESK)
        in_theme(self.page, THEMES[0])

    def _check(self, name: str, theme: Theme, where: str | None = None) -> None:
        """All rules in one theme; in the other only colours can differ."""
        rules = None if theme == THEMES[0] else ["color-contrast"]
        self.wrong += [f"{name}: {found}" for found in grave_findings(self.page, where, rules)]

    def _picture(self, name: str, theme: Theme, size: ViewportSize) -> None:
        """The whole page, not only what fits on the screen."""
        self.page.set_viewport_size(size)
        settle(self.page)
        height = self.page.evaluate("document.querySelector('[data-testid=stMain]').scrollHeight")
        if height > size["height"]:
            self.page.set_viewport_size({"width": size["width"], "height": height})
            settle(self.page)
        SHOTS.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=SHOTS / f"{name}-{size['width']}-{theme}.png")
        wide = self.page.evaluate(TOO_WIDE)
        if wide > 0:
            self.wrong.append(f"{name} {theme}: {wide} pixels wider than {size['width']}")

    def _open_everything(self, name: str, theme: Theme) -> None:
        """Each expander with every tab in it, and each popover."""
        for summary in self.page.locator(EXPANDERS).all():
            if summary.evaluate(FOLDED):  # inside another one, or open and checked already
                continue
            summary.click()
            self.page.wait_for_timeout(100)  # some ask the server for what they show
            settle(self.page)
            title = f"{name} {theme}, {title_of(summary)}"
            box = summary.locator("xpath=ancestor::*[@data-testid='stExpander'][1]")
            for tab in box.get_by_role("tab").all():
                tab.click()
                self._check(f"{title}, {tab.inner_text()}", theme, EXPANDED)
            if not box.get_by_role("tab").count():
                self._check(title, theme, EXPANDED)
            summary.click()
        for button in self.page.locator(POPOVERS).all():
            if not button.is_visible():
                continue
            button.click()
            body = self.page.locator(POPOVER_BODY)
            expect(body).to_be_visible(timeout=PATIENCE_MS)
            settle(self.page)
            self._check(f"{name} {theme}, {title_of(button)}", theme, POPOVER_BODY)
            self.page.keyboard.press("Escape")
            expect(body).to_be_hidden(timeout=PATIENCE_MS)


def title_of(opener: Locator) -> str:
    return opener.locator("[data-testid=stMarkdownContainer]").first.inner_text()


def stops(page: Page, most: int) -> Iterator[dict[str, Any]]:
    """Where the Tab key leads, one stop after the other."""
    for _ in range(most):
        page.keyboard.press("Tab")
        yield page.evaluate(FOCUSED)


def tab_to(page: Page, name: str, *, tag: str = "", most: int = 120) -> None:
    """Press Tab until the element with this accessible name has the focus."""
    seen = []
    for stop in stops(page, most):
        seen.append(f"{stop['tag']} {stop['name'][:40]}")
        if re.search(name, stop["name"]) and stop["tag"].startswith(tag):
            return
    raise AssertionError(f"Tab never reached {name!r}: {seen}")


def largest_shift(shifts: list[tuple[float, float, Any]]) -> float:
    """Cumulative layout shift: the largest sum of a window of at most 5 s without a 1 s gap."""
    worst = total = 0.0
    start = last = float("-inf")
    for value, moment, _ in sorted(shifts, key=lambda shift: shift[1]):
        if moment - last > 1000 or moment - start > 5000:
            total, start = 0.0, moment
        total, last = total + value, moment
        worst = max(worst, total)
    return worst
