"""Numbers between the host and a device: as few copies as can be, and no waiting on the way there.

A copy to the host waits until the device has done all that it was given, so several tensors go as
one. A copy to the device from ordinary memory waits as well; one from pinned memory does not.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import TypeVar

import torch
from torch import Tensor

Key = TypeVar("Key", bound=Hashable)


def send(values: Tensor, device: torch.device) -> Tensor:
    """``values`` on the device; the host does not wait for them to get there."""
    if device.type in ("cpu", "mps") or not values.is_cpu:  # MPS shares the host's memory
        return values.to(device)
    return values.pin_memory().to(device, non_blocking=True)


def fetch(tensors: Mapping[Key, Tensor]) -> dict[Key, Tensor]:
    """The tensors on the host, detached copies, in one transfer from each device.

    In float32, or in float64 if one of those on the same device is: whole numbers are exact up to
    2²⁴.
    """
    places: dict[torch.device, list[Key]] = {}
    for key, tensor in tensors.items():
        places.setdefault(tensor.device, []).append(key)
    found: dict[Key, Tensor] = {}
    for keys in places.values():
        group = [tensors[key].detach() for key in keys]
        wide = any(tensor.dtype == torch.float64 for tensor in group)
        dtype = torch.float64 if wide else torch.float32
        flat = torch.cat([tensor.to(dtype).reshape(-1) for tensor in group]).cpu()
        parts = torch.split(flat, [tensor.numel() for tensor in group])
        found |= {
            key: part.view(tensor.shape)
            for key, part, tensor in zip(keys, parts, group, strict=True)
        }
    return {key: found[key] for key in tensors}
