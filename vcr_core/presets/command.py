"""An experiment as a command line."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence

from vcr_core.config import as_text


def command_line(preset: str, changes: Mapping[str, object], moves: Sequence[str] = ()) -> str:
    """``vcr-lab run`` of a preset with some settings changed, and some turned while it trains."""
    words = ["vcr-lab", "run", preset]
    for name, value in changes.items():
        words += ["--set", f"{name}={as_text(value)}"]
    for move in moves:
        words += ["--move", move]
    return shlex.join(words)
