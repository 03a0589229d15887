"""Frames of the row of layers: each once, thinned where many, with their own verdicts."""

from __future__ import annotations

import numpy as np
import pytest

from vcr_core.config import RunConfig
from vcr_core.figures import LayerReader
from vcr_core.figures.derived import BINS, cluster_order, spread_histogram, thinned
from vcr_core.figures.layers import spectrum_profile, thumbnail
from vcr_core.store import Report, Store

LAYERS = RunConfig().layer_names


@pytest.fixture
def run(store: Store) -> str:
    return store.create_run(RunConfig())


def write(store: Store, run: str, step: int, *, dead: int = 0, **numbers: float) -> None:
    std = np.ones(64, dtype=np.float32)
    std[:dead] = 0.0
    arrays = {}
    metrics = {"regularizer/variance_weight": 1.0, "regularizer/covariance_weight": 1.0}
    for layer in LAYERS:
        arrays |= {
            (layer, "covariance"): np.diag(std),
            (layer, "std"): std,
            (layer, "spectrum"): np.sort(std)[::-1],
        }
        found = {"count": 2048.0, "rms_correlation": 0.1, "effective_rank": 40.0} | numbers
        metrics |= {f"layer/{layer}/{name}": value for name, value in found.items()}
    store.write_reports(run, [Report(step, metrics, arrays)], progress={"step": step})


def codes(store: Store, reader: LayerReader) -> list[set[str]]:
    return [{v.code for v in f.verdicts} for f in reader.news(store) if f.layer == LAYERS[-1]]


def test_every_frame_comes_once(store: Store, run: str) -> None:
    reader = LayerReader([store.run(run)])
    assert reader.news(store) == []
    for step in (1, 12):
        write(store, run, step)
        assert [(f.step, f.layer) for f in reader.news(store)] == [(step, x) for x in LAYERS]
    assert reader.news(store) == []


def test_the_backlog_of_a_long_run_is_thinned_and_ends_with_the_newest(
    store: Store, run: str
) -> None:
    for step in range(100):
        write(store, run, step)
    steps = sorted({frame.step for frame in LayerReader([store.run(run)]).news(store)})
    assert (len(steps), steps[0], steps[-1]) == (51, 0, 99)


def test_verdicts_follow_the_numbers_of_their_own_step(store: Store, run: str) -> None:
    reader = LayerReader([store.run(run)])
    write(store, run, 1, dead=41)
    write(store, run, 2)
    before, after = codes(store, reader)
    assert "dead" in before
    assert "dead" not in after


def test_a_gradient_ratio_holds_until_a_weight_is_turned(store: Store, run: str) -> None:
    reader = LayerReader([store.run(run)])
    write(store, run, 1, gradient_ratio=0.002)
    write(store, run, 2)
    turned = {"regularizer/covariance_weight": 9.0}
    write(store, run, 3)
    store.write_reports(run, [Report(4, turned, {})], progress={})
    assert ["idle" in found for found in codes(store, reader)] == [True, True, True]
    write(store, run, 5, gradient_ratio=0.5)
    assert ["idle" in found for found in codes(store, reader)] == [False]


def test_a_layers_own_weights_count_where_it_has_some(store: Store, run: str) -> None:
    reader = LayerReader([store.run(run)])
    write(store, run, 1, gradient_ratio=0.0, variance_weight=0.0, covariance_weight=0.0)
    write(store, run, 2, gradient_ratio=0.002)
    write(store, run, 3, covariance_weight=9.0)
    assert ["idle" in found for found in codes(store, reader)] == [False, True, False]


def test_a_histogram_counts_every_feature_once_the_widest_in_the_last_bin() -> None:
    std = np.random.default_rng(0).uniform(0, 3, size=1000).astype(np.float32)
    counts, _ = np.histogram(np.minimum(std, 1.999), bins=BINS, range=(0.0, 2.0))
    np.testing.assert_allclose(spread_histogram(std), counts / 1000, atol=1e-6)
    shares = spread_histogram(np.array([0.0, 1.0, 1.0, 50.0], dtype=np.float32))
    assert shares.shape == (BINS,)
    assert (shares[0], shares[BINS // 2], shares[-1]) == (0.25, 0.5, 0.25)


def test_clustering_puts_copies_beside_each_other() -> None:
    signal = np.random.default_rng(0).normal(size=(400, 3))
    features = signal[:, [0, 1, 2, 0, 1, 2]] + 0.01 * np.random.default_rng(1).normal(size=(400, 6))
    order = cluster_order(np.cov(features, rowvar=False).astype(np.float32)).astype(int)
    assert [order[i] % 3 == order[i + 1] % 3 for i in (0, 2, 4)] == [True] * 3


def test_an_order_is_a_permutation_even_where_nothing_is_finite() -> None:
    assert cluster_order(np.full((5, 5), np.nan, dtype=np.float32)).tolist() == [0, 1, 2, 3, 4]


def test_thumbnails_and_spectra_are_small_and_finite() -> None:
    assert thumbnail(np.eye(64, dtype=np.float32)).shape == (24, 24)
    assert thumbnail(np.zeros((5, 5), dtype=np.float32)).tolist() == np.zeros((5, 5)).tolist()
    flat = spectrum_profile(np.zeros(64, dtype=np.float32))
    assert flat.shape == (17,)
    assert np.isfinite(flat).all()
    assert spectrum_profile(np.array([100.0, 1.0], dtype=np.float32)).tolist() == pytest.approx(
        [0.0, -2.0]
    )


def test_thinning_keeps_few_steps_as_they_are() -> None:
    assert thinned([3, 9, 12]) == [3, 9, 12]
    assert thinned([]) == []


def test_what_thinning_leaves_out_once_stays_out() -> None:
    before: set[int] = set()
    for count in range(1, 700):
        chosen = thinned(range(count))
        assert len(chosen) <= 60
        assert (chosen[0], chosen[-1]) == (0, count - 1)
        assert max(np.diff(chosen), default=1) <= max(1, count // 25)
        assert set(chosen) <= before | {count - 1}
        before = set(chosen)
