"""An experiment as a command line."""

from __future__ import annotations

import shlex
from collections.abc import Mapping

from vcr_core.config import as_text


def command_line(preset: str, changes: Mapping[str, object]) -> str:
    """``vcr-lab run`` of a preset with some settings changed."""
    words = ["vcr-lab", "run", preset]
    for name, value in changes.items():
        words += ["--set", f"{name}={as_text(value)}"]
    return shlex.join(words)
