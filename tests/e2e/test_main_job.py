"""The main job in a real browser: start twins, turn a knob, reload, find them again."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from playwright.sync_api import Page, expect

from vcr_core.config import live_fields
from vcr_core.store import CommandKind, Role, Run, RunState, Store

pytestmark = pytest.mark.browser
MAIN = Path(__file__).parents[2] / "app" / "server.py"
PATIENCE_MS = 90_000
StartStreamlit = Callable[..., str]


def wait_until(condition: Callable[[], bool], *, seconds: float = PATIENCE_MS / 1000) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.1)


def twins(store: Store) -> tuple[Run, Run]:
    runs = {run.role: run for run in store.runs()}
    return runs[Role.BASELINE], runs[Role.REGULARIZED]


def transfer_steps(store: Store, run: Run) -> set[int]:
    return {metric.step for metric in store.metrics(run.id) if metric.name.startswith("transfer/")}


def open_page(page: Page, url: str) -> None:
    page.goto(url)
    expect(page.get_by_role("button", name="Start pair")).to_be_visible(timeout=PATIENCE_MS)


@pytest.fixture
def app_url(start_streamlit: StartStreamlit, store: Store) -> str:
    return start_streamlit(MAIN)


def test_start_twins_turn_a_weight_reload_and_find_them_again(
    app_url: str, browser_page: Page, store: Store
) -> None:
    page = browser_page
    open_page(page, app_url)
    page.get_by_role("button", name="Start pair").click()
    expect(page).to_have_url(re.compile(r"\?run=[0-9a-f]{12}"), timeout=PATIENCE_MS)
    link = page.url
    baseline, regularized = twins(store)
    assert regularized.id in link

    wait_until(lambda: len(transfer_steps(store, regularized)) >= 2)
    wait_until(lambda: len(transfer_steps(store, baseline)) >= 2)
    expect(page.get_by_text("What the network knows")).to_be_visible(timeout=PATIENCE_MS)

    page.get_by_role("slider", name=re.compile("^Variance weight")).press("ArrowRight")
    expect(
        page.get_by_text(re.compile(r"Variance weight 1 → 3 applied at step \d+"))
    ).to_be_visible(timeout=PATIENCE_MS)
    applied = store.commands(regularized.id)[-1]
    assert applied.kind is CommandKind.SET
    assert applied.payload["field"] in live_fields()
    expect(
        page.get_by_text(f"Variance weight → 3 at step {applied.applied_step}").first
    ).to_be_visible(timeout=PATIENCE_MS)

    page.goto("about:blank")
    assert not store.run(regularized.id).state.is_over
    page.goto(link)
    expect(page.get_by_text("What the network knows")).to_be_visible(timeout=PATIENCE_MS)

    asked = {"field": "regularizer.covariance_weight", "value": 0.3}  # in another tab
    store.add_command(regularized.id, CommandKind.SET, asked)
    expect(
        page.get_by_text(re.compile(r"Covariance weight 1 → 0.3 applied at step \d+"))
    ).to_be_visible(timeout=PATIENCE_MS)
    knob = page.get_by_role("slider", name=re.compile("^Covariance weight"))
    expect(knob).to_have_attribute("aria-valuetext", "0.3")

    page.get_by_role("button", name="Alike together").click()
    expect(page.locator(".vcr-live .colourbar:not([hidden])")).to_have_text("−1.00+1.00")

    page.get_by_role("button", name="Pause").click()
    wait_until(lambda: all(run.state is RunState.PAUSED for run in twins(store)))
    page.get_by_role("button", name="Resume").click()
    wait_until(lambda: all(run.state is RunState.RUNNING for run in twins(store)))
    page.get_by_role("button", name="Stop and keep").click()
    wait_until(lambda: all(run.state is RunState.STOPPED for run in twins(store)))
    expect(page.get_by_text("What came out")).to_be_visible(timeout=PATIENCE_MS)
    assert all(run.result["transfer"] for run in twins(store))


def test_the_running_server_never_loads_torch(
    app_url: str, browser_page: Page, store: Store, server_pid: Callable[[str], int]
) -> None:
    page = browser_page
    open_page(page, app_url)
    page.get_by_role("button", name="Start one").click()
    expect(page.get_by_text("What the network knows")).to_be_visible(timeout=PATIENCE_MS)
    page.goto(f"{app_url}/runs")
    expect(page.get_by_role("heading", name="Runs")).to_be_visible(timeout=PATIENCE_MS)
    mapped = {entry.path for entry in psutil.Process(server_pid(app_url)).memory_maps()}
    assert mapped
    assert not [path for path in mapped if "libtorch" in path]
    for run in store.runs():
        store.add_command(run.id, CommandKind.STOP)


def test_a_bad_value_is_said_beside_its_field_and_nothing_starts(
    app_url: str, browser_page: Page, store: Store
) -> None:
    page = browser_page
    open_page(page, app_url)
    page.get_by_text("Settings").click()
    page.get_by_role("tab", name="Regularisation").click()
    field = page.get_by_role("spinbutton", name="Variance weight", exact=True)
    field.fill("-1")
    field.press("Enter")
    expect(page.get_by_text(re.compile(r"expected 0 or more, got -1"))).to_be_visible(
        timeout=PATIENCE_MS
    )
    expect(page.get_by_role("button", name="Start pair")).to_be_disabled()
    assert store.runs() == []


def test_a_link_to_a_run_that_is_gone_says_so(app_url: str, browser_page: Page) -> None:
    open_page(browser_page, f"{app_url}/?run=000000000000")
    expect(browser_page.get_by_text("The link names a run that is not here")).to_be_visible()
    expect(browser_page.get_by_text("Traceback")).to_have_count(0)
