"""Intervals cover as often as they say; tables pair what can be paired."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from vcr_core.errors import DataError
from vcr_core.transfer import Interval, TargetResult, transfer_table
from vcr_core.transfer.intervals import difference_interval, mean_interval, share_interval


def test_intervals_of_a_mean_cover_it_nineteen_times_in_twenty() -> None:
    draws = np.random.default_rng(0).normal(0.7, 0.1, size=(2000, 10))
    covered = [found.low <= 0.7 <= found.high for found in map(mean_interval, draws)]
    assert np.mean(covered) == pytest.approx(0.95, abs=0.015)


@pytest.mark.parametrize("share", [0.5, 0.95])
def test_intervals_of_a_share_cover_it_nineteen_times_in_twenty(share: float) -> None:
    hits = np.random.default_rng(0).binomial(300, share, size=1000)
    found = [share_interval(int(count), 300) for count in hits]
    assert np.mean([each.low <= share <= each.high for each in found]) == pytest.approx(
        0.95, abs=0.025
    )


def test_one_value_has_no_interval_and_none_is_refused() -> None:
    assert math.isnan(mean_interval([0.5]).low)
    assert mean_interval([0.5]).as_dict() == {"mean": 0.5, "low": None, "high": None}
    with pytest.raises(ValueError, match="expected at least one value"):
        mean_interval([])
    with pytest.raises(ValueError, match="expected as many values as the 2 others, got 1"):
        difference_interval([1.0], [1.0, 2.0])
    with pytest.raises(ValueError, match="got 4 of 3"):
        share_interval(4, 3)


def result(target: str, hits: list[float]) -> TargetResult:
    return TargetResult(target, share_interval(int(sum(hits)), len(hits)), tuple(hits))


PLAIN = [result("colour", [1.0] * 40 + [0.0] * 60), result("shape|size", [1.0] * 90 + [0.0] * 10)]
VCR = [result("colour", [1.0] * 80 + [0.0] * 20), result("shape|size", [1.0] * 85 + [0.0] * 15)]


def test_one_run_each_is_compared_image_by_image() -> None:
    table = transfer_table("linear", {"plain": [PLAIN], "vcr": [VCR]})
    assert table.targets == ("colour", "shape|size")
    plain, vcr = table.rows
    assert plain.average.difference is None
    assert plain.average.accuracy.mean == pytest.approx(0.65)
    found = vcr.cells["colour"].difference
    assert found is not None
    assert found.mean == pytest.approx(0.4)
    same_images = mean_interval([1.0] * 40 + [0.0] * 60)  # 40 better, 60 alike
    assert found.half_width == pytest.approx(same_images.half_width)
    assert vcr.average.difference is not None
    assert vcr.average.difference.mean == pytest.approx((0.4 - 0.05) / 2)


def test_seeds_are_compared_seed_by_seed() -> None:
    seeds = {
        label: [[TargetResult("t", Interval(a, a, a), (a,))] for a in accuracies]
        for label, accuracies in {"plain": [0.1, 0.5, 0.9], "vcr": [0.2, 0.61, 0.99]}.items()
    }
    found = transfer_table("knn", seeds).rows[1].average.difference
    assert found is not None
    assert found == pytest.approx(mean_interval([0.1, 0.11, 0.09]))
    assert "vcr (3 runs)" in transfer_table("knn", seeds).to_text()


def test_what_cannot_be_paired_has_no_difference() -> None:
    fewer = [result("colour", [1.0] * 9), result("shape|size", [1.0] * 9)]
    table = transfer_table("linear", {"plain": [PLAIN], "other": [fewer]})
    assert table.rows[1].average.difference is None
    assert table.lines()[1][-1] == "–"


def test_tables_can_be_read_everywhere() -> None:
    table = transfer_table("linear", {"<plain>": [PLAIN], "vcr": [VCR]})
    assert table.to_text().splitlines()[2].split()[:4] == ["vcr", "80.0", "±", "7.8"]
    markdown = table.to_markdown().splitlines()
    assert markdown[1] == "| --- | ---: | ---: | ---: | ---: |"
    assert "| **80.0 ± 7.8** | 85.0" in markdown[3]
    assert "shape\\|size" in markdown[0]
    html = table.to_html()
    assert "&lt;plain&gt;" in html
    assert html.count("<b>") == 3
    data = json.loads(table.to_json())
    assert data["rows"][1]["targets"]["colour"]["difference"]["mean"] == pytest.approx(0.4)
    assert data["rows"][0]["average"]["difference"] is None


def test_runs_that_cannot_stand_in_one_table_are_refused() -> None:
    with pytest.raises(DataError, match="probed on the same targets, got colour; colour, shape"):
        transfer_table("linear", {"a": [PLAIN], "b": [VCR[:1]]})
    with pytest.raises(DataError, match="expected at least one probed run in every row"):
        transfer_table("linear", {"a": []})
