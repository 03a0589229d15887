"""What is said of GPUs is what was measured on one."""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def report(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setattr(sys, "path", [str(ROOT / "benchmarks"), *sys.path])
    return runpy.run_path(str(ROOT / "benchmarks" / "regularizer_report.py"))


@pytest.mark.parametrize("page", ["README.md", "docs/cost.md"])
def test_a_page_says_that_nothing_was_measured_on_a_gpu_as_long_as_that_is_so(
    page: str, report: dict[str, Any]
) -> None:
    measured = any(report["GPU_RESULTS"].glob("*.json"))
    text = (ROOT / page).read_text(encoding="utf-8")
    assert (report["NEVER_ON_A_GPU"] in text) is not measured


def test_a_result_of_a_gpu_becomes_a_table(report: dict[str, Any], tmp_path: Path) -> None:
    machine = {"device": "a card", "torch_threads": 1, "system": "x", "python": "3", "torch": "2"}
    found = {
        "date": "2030-01-02",
        "machine": machine,
        "steps": 7,
        "rows": {"bare loop": {"images_per_second": 1234.5, "peak": {"mib": 2.25}}},
    }
    (tmp_path / "speed.json").write_text(json.dumps(found), encoding="utf-8")
    table = report["_on_gpu"](tmp_path)
    assert "| speed | images per second | peak, mib |" in table
    assert "| bare loop | 1234 | 2.25 |" in table
    assert "2030-01-02, steps 7. a card, 1 thread(s)" in table
    assert report["NEVER_ON_A_GPU"] not in table
