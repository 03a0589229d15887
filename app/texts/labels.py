"""Labels that are put together where they are needed: ``without VCR, learning rate 0.01, seed 3``.

Groups of runs are named by what differs between them, so their labels stand in no catalogue; their
parts do.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache

from vcr_core.config import fields

SEPARATORS = {" − ": " − ", ", ": "、"}
WITH_ID = re.compile(r"(.+) \(([0-9a-f]{6})\)")
SETTING = re.compile(r"([a-z][a-z0-9 ]*) (\S+)")
SEED = "seed {seed}"


def composed(label: str, say: Callable[[str], str]) -> str:
    """A label in another language, part by part; parts that nobody knows stay as they are."""
    for separator, other in SEPARATORS.items():
        if separator in label:
            return other.join(say(part) for part in label.split(separator))
    if found := WITH_ID.fullmatch(label):
        return f"{say(found[1])}（{found[2]}）"
    found = SETTING.fullmatch(label)
    if found and found[1] == "seed":
        return say(SEED).format(seed=found[2])
    if found and found[1] in _titles():
        return f"{say(_titles()[found[1]])} {found[2]}"
    return label


@cache
def _titles() -> dict[str, str]:
    """The titles of all settings by the short names that groups of runs are told apart with."""
    return {
        name.rpartition(".")[2].removesuffix("_weight").replace("_", " "): str(info.title)
        for name, info in fields().items()
    }
