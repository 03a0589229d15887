"""A short soak on both databases; ``benchmarks/soak.py`` alone runs the long one."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SOAK = Path(__file__).parents[2] / "benchmarks" / "soak.py"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
@pytest.mark.parametrize("database", ["SQLite", "PostgreSQL"])
def test_kills_at_random_moments_lose_nothing_block_nothing_and_do_nothing_twice(
    database: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    words = ["--rounds", "10", "--seconds", "120", "--seed", "1", "--output"]
    words.append(str(tmp_path / "soak.json"))
    if database == "PostgreSQL":
        request.getfixturevalue("postgres_server")  # skips where it is not installed
        words.append("--postgres")
    done = subprocess.run(
        [sys.executable, str(SOAK), *words], capture_output=True, text=True, check=False
    )
    (part,) = json.loads((tmp_path / "soak.json").read_text(encoding="utf-8"))["parts"]
    assert part["violations"] == [], done.stderr
    assert part["store"] == database
    assert sum(part["killed"].values()) > 0
    assert part["runs"] > 0
