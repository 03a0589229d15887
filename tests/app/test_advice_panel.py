"""The page says beforehand what a baseline's features tell, where they tell something."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from app.advice_panel import QUESTION
from vcr_core.advisor import advise_run, load_table
from vcr_core.config import RunConfig, override
from vcr_core.errors import ConfigError
from vcr_core.execution.launch import DISPATCHER_LEASE
from vcr_core.store import RunState, Store

MAIN = str(Path(__file__).parents[2] / "app" / "main.py")
PLAIN = {"regularizer.variance_weight": 0.0, "regularizer.covariance_weight": 0.0}
COLLAPSED = min(load_table().settings, key=lambda known: known.measured["effective_rank"]).measured
RICH = max(load_table().settings, key=lambda known: known.measured["effective_rank"]).measured


@pytest.fixture(autouse=True)
def no_workers(store: Store) -> None:
    """Somebody else seems to dispatch, so the page starts no workers for a test."""
    store.hold_lease(DISPATCHER_LEASE, "test", patience=0)


def finished(store: Store, changes: dict[str, float], measured: dict[str, float] | None) -> str:
    result = {
        "source_accuracy": 0.99,
        "transfer": {"colour": 0.36},
        "effective_rank": 14.0,
        "seconds": 20.0,
    }
    if measured is not None:
        result |= {"features": measured, "effective_rank": measured["effective_rank"]}
    run_id = store.create_run(override(RunConfig(), changes), preset="sprites-shape")
    store.update_run(
        run_id, state=RunState.FINISHED.value, total_steps=460, step=460, result=result
    )
    return run_id


def shown(run_id: str, language: str = "en") -> str:
    page = AppTest.from_file(MAIN, default_timeout=30)
    page.query_params.update({"run": run_id, "lang": language})
    page.run()
    assert not page.exception
    return "\n".join(
        [str(part.value) for part in (*page.markdown, *page.caption)]
        + [str(part.label) for part in page.expander]
    )


def test_a_collapsed_baseline_is_told_that_it_helps_and_where_to_start(store: Store) -> None:
    words = shown(finished(store, PLAIN, dict(COLLAPSED)))
    assert QUESTION in words
    assert "**Regularisation is likely to help.**" in words
    assert "Start at variance" in words
    assert "rank correlation" in words


def test_features_like_no_other_are_told_that_nothing_is_known(store: Store) -> None:
    strange = dict(RICH) | {"effective_rank": 50_000.0, "dimensions": 100_000.0, "cdnv": 1e6}
    words = shown(finished(store, PLAIN, strange))
    assert "unlike every setting that was measured" in words
    assert "Start at variance" not in words


def test_it_speaks_japanese(store: Store) -> None:
    words = shown(finished(store, PLAIN, dict(COLLAPSED)), "ja")
    assert "正則化はおそらく役に立ちます。" in words


@pytest.mark.parametrize(
    ("changes", "measured", "message"),
    [
        ({"regularizer.variance_weight": 1.0}, dict(COLLAPSED), "expected a baseline"),
        (PLAIN, None, "holds no measured features"),
    ],
)
def test_a_run_that_tells_nothing_has_no_panel_and_the_command_says_why(
    store: Store, changes: dict[str, float], measured: dict[str, float] | None, message: str
) -> None:
    run_id = finished(store, changes, measured)
    assert QUESTION not in shown(run_id)
    with pytest.raises(ConfigError, match=message):
        advise_run(store.run(run_id))
