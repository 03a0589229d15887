"""Pages, figures, the README's block and the advisor's table are those of the result files."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = runpy.run_path(str(ROOT / "benchmarks" / "evidence_pages.py"))


@pytest.mark.slow
def test_everything_made_from_the_results_is_up_to_date() -> None:
    stale = sorted(str(path) for path in PAGES["stale_files"]())
    assert not stale, "run `python benchmarks/evidence_pages.py --write`"
