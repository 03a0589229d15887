"""The benchmark that waits for a GPU runs: on the CPU, and as little as it can."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
PARTS = {"layers", "memory", "networks", "presets", "speed", "waits"}


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The benchmark as a module, and its neighbours importable."""
    monkeypatch.setattr(sys, "path", [str(BENCHMARKS), *sys.path])
    import gpu

    monkeypatch.setattr(gpu.networks, "NETWORKS", dict(gpu.networks.NETWORKS))
    return gpu


def rows(folder: Path, part: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / f"{part}.json").read_text(encoding="utf-8"))
    return dict(found["rows"])


def test_every_part_runs_and_what_is_known_is_not_measured_again(
    gpu: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--device", "cpu", "--tiny", "--out", str(tmp_path)]
    gpu.main(words)
    assert {path.stem for path in tmp_path.glob("*.json")} == PARTS
    assert set(rows(tmp_path, "speed")) == set(gpu.training_speed.CASES)
    waits = rows(tmp_path, "waits")["digits-parity"]
    assert waits["waits_for_the_device"] == waits["copies_to_pageable_memory"] == 0
    for part in PARTS:
        assert all(rows(tmp_path, part).values())
    capsys.readouterr()
    gpu.main(words)
    assert capsys.readouterr().out == ""


def test_a_part_that_is_out_of_time_goes_on_at_the_next_call(
    gpu: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--device", "cpu", "--tiny", "--only", "layers", "--out", str(tmp_path)]
    gpu.main([*words, "--patience", "-1"])
    assert "layers: out of time, still missing" in capsys.readouterr().out
    assert not list(tmp_path.glob("*.json"))
    gpu.main(words)
    assert len(rows(tmp_path, "layers")) == 2


def test_the_parts_come_to_nine_minutes(gpu: Any) -> None:
    options = gpu.argparse.Namespace(device="cuda", tiny=False)
    assert sum(part.seconds for part in gpu.parts(options).values()) <= 9 * 60


def test_a_profilers_events_are_counted_by_what_they_are(gpu: Any) -> None:
    counts = {
        "Memcpy DtoH (Device -> Pageable)": 4,
        "Memcpy DtoH (Device -> Pinned)": 2,
        "Memcpy HtoD (Pinned -> Device)": 8,
        "cudaStreamSynchronize": 6,
        "cudaLaunchKernel": 100,
    }
    assert gpu.per_step(counts, 2) == {
        "copies_to_pageable_memory": 2,
        "copies_to_pinned_memory": 1,
        "waits_for_the_device": 3,
    }
