"""What is to be measured on a GPU has run on a device that is not the CPU."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from lagging_device import Device

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(sys, "path", [str(BENCHMARKS), *sys.path])
    import gpu

    monkeypatch.setattr(gpu.networks, "NETWORKS", dict(gpu.networks.NETWORKS))
    return gpu


@pytest.mark.parametrize(
    "part",
    [
        "layers",
        pytest.param("memory", marks=pytest.mark.slow),
        pytest.param("networks", marks=pytest.mark.slow),
    ],
)
def test_a_part_of_the_gpu_benchmark_runs_there(
    part: str, gpu: Any, device: Device, tmp_path: Path
) -> None:
    gpu.main(["--device", device.name, "--tiny", "--only", part, "--out", str(tmp_path)])
    assert (tmp_path / f"{part}.json").is_file()
