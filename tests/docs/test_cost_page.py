"""The page of costs says what the result files say."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def test_the_tables_are_made_from_the_result_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(BENCHMARKS), *sys.path])
    report = runpy.run_path(str(BENCHMARKS / "regularizer_report.py"))
    page = report["PAGE"].read_text(encoding="utf-8")
    assert report["with_tables"](page, report["all_tables"]()) == page, (
        "run `python benchmarks/regularizer_report.py --write`"
    )
