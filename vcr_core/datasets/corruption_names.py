"""The corruptions of test images there are, without torch."""

from __future__ import annotations

from collections.abc import Mapping

from vcr_core.errors import ConfigError

SEVERITIES = (1, 2, 3, 4, 5)
DEFAULT_SEVERITY = 3
CORRUPTIONS: Mapping[str, str] = {
    "noise": "Gaussian noise on every pixel",
    "salt": "single pixels black or white",
    "blur": "a Gaussian blur",
    "contrast": "less contrast",
    "brightness": "brighter",
    "pixelate": "fewer, larger pixels",
    "shift": "moved sideways and down, the edge repeated",
    "rotate": "turned, one way or the other",
    "invert": "bright for dark, in part or wholly",
}

#: Those that mean something for points of the plane.
FOR_POINTS = ("noise", "shift")


def parse_corruption(text: str, *, field: str = "transfer.targets") -> tuple[str, int]:
    """``noise-4`` as its name and severity; ``noise`` alone has severity 3.

    Raises:
        ConfigError: no such corruption or severity; the message lists those there are.
    """
    name, dash, severity = text.partition("-")
    if name not in CORRUPTIONS:
        raise ConfigError(
            f"expected a corruption of {', '.join(CORRUPTIONS)}, got '{name}'", field=field
        )
    if not dash:
        return name, DEFAULT_SEVERITY
    if severity not in map(str, SEVERITIES):
        raise ConfigError(
            f"expected a severity from {SEVERITIES[0]} to {SEVERITIES[-1]} after '{name}-', got "
            f"'{severity}'",
            field=field,
        )
    return name, int(severity)
