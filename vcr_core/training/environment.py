"""Where a run's numbers came from: hardware, versions, threads."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Any

import psutil
import torch
import torchvision

import vcr_core

CPU_INFO = Path("/proc/cpuinfo")


def environment(device: torch.device) -> dict[str, Any]:
    """Plain data that is stored with every run and every result file.

    ``vectors`` names the processor's vector instructions that torch uses: others add in another
    order, and so round differently.
    """
    return {
        "device": device.type,
        "device_name": device_name(device),
        "vectors": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "cores": psutil.cpu_count(logical=True),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "platform": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "torch": torch.__version__,
        "torchvision": torchvision.__version__,
        "vcr_lab": vcr_core.__version__,
    }


def device_name(device: torch.device) -> str:
    """What the device calls itself."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return _processor() or platform.processor() or platform.machine()


def _processor() -> str:
    """The processor's name on Linux, where Python tells its family at most; "" elsewhere."""
    if not CPU_INFO.exists():
        return ""
    lines = CPU_INFO.read_text(encoding="utf-8", errors="replace").splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else ""
