"""Where a run's numbers came from: hardware, versions, threads."""

from __future__ import annotations

import platform
from typing import Any

import psutil
import torch
import torchvision

import vcr_core


def environment(device: torch.device) -> dict[str, Any]:
    """Plain data that is stored with every run and every result file."""
    return {
        "device": device.type,
        "device_name": device_name(device),
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
    return platform.processor() or platform.machine()
