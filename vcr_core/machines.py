"""What may make the same run end in other last digits: known without torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: Of an environment: what may change the last digits.
DECISIVE = (
    *("device", "device_name", "vectors", "threads"),
    *("platform", "python", "torch", "vcr_lab"),
)


def differing(then: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """What differs between two environments and may change the last digits: name → (then, now)."""
    return {
        name: (then.get(name), now.get(name))
        for name in DECISIVE
        if then.get(name) != now.get(name)
    }
