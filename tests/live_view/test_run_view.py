"""Which charts a run's view has, and in whose words they are sent."""

from __future__ import annotations

from typing import Any

import pytest

from vcr_core.config import RunConfig
from vcr_core.live_view import Feed, Language, Watched, find_watched, run_view
from vcr_core.store import Store

LAYERS = RunConfig().layer_names


@pytest.fixture
def pair(store: Store) -> Watched:
    return find_watched(store, store.create_pair(RunConfig())[1])


def places(watched: Watched, **options: Any) -> list[str]:
    """Where the charts of a view stand, each place once, in order."""
    return list(dict.fromkeys(chart.place for chart in run_view(watched, **options).charts))


def test_the_last_layer_is_enlarged_unless_another_is_asked_for(pair: Watched) -> None:
    last, first = run_view(pair), run_view(pair, layer=LAYERS[0])
    assert last.network is not None
    assert first.network is not None
    assert (last.network.selected, first.network.selected) == (LAYERS[-1], LAYERS[0])
    assert last.charts[0] == first.charts[0]
    assert last.charts[1] != first.charts[1]


@pytest.mark.parametrize(
    ("hidden", "left"),
    [
        ((), ["hero", "layer", "training"]),
        (("layer",), ["hero", "training"]),
        (("training",), ["hero", "layer"]),
        (("layer", "training"), ["hero"]),
    ],
)
def test_what_is_hidden_is_left_out(
    pair: Watched, hidden: tuple[str, ...], left: list[str]
) -> None:
    assert places(pair, hidden=hidden) == left
    view = run_view(pair, hidden=hidden)
    assert bool(view.choices) == ("layer" not in hidden)
    assert view.network is not None
    assert run_view(pair, hidden=("network", *hidden)).network is None


def test_the_chosen_matrix_and_order_are_pressed(pair: Watched) -> None:
    view = run_view(pair, matrix="covariance", order="clustered")
    assert [choice.value for choice in view.choices] == ["covariance", "clustered"]


def test_another_language_brings_all_drawings_again(store: Store, pair: Watched) -> None:
    feed, view = Feed(), run_view(pair)
    english = feed.next_message(view, store)
    loud = Language("xx", lambda text, **_values: text.upper())
    other = feed.next_message(view, store, loud)
    assert [chart["title"].upper() for chart in english["spec"]["charts"]] == [
        chart["title"] for chart in other["spec"]["charts"]
    ]
    assert other["spec"]["words"]["live"] == "LIVE"
    assert "fresh" not in other
    assert "spec" not in feed.next_message(view, store, loud)


def test_the_page_around_may_keep_the_space_bar_for_itself(store: Store, pair: Watched) -> None:
    feed = Feed()
    told = feed.next_message(run_view(pair, space_plays=False), store)
    assert told["spec"]["space_plays"] is False
    over = feed.next_message(run_view(pair), store)
    assert over["spec"]["space_plays"] is True
    assert all("panels" not in chart for chart in over["spec"]["charts"])
