"""The measured settings that advice rests on, and how well such advice did on held-out ones."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from importlib.resources import files
from typing import Any

TABLE = "settings.json"


@dataclass(frozen=True)
class KnownSetting:
    """One setting of the study *when*: ``measured`` on its tuned baseline, means over seeds.

    ``gain`` is the difference in mean transfer accuracy with its 95 % interval, both sides tuned
    with the same number of trials; ``weights`` (variance, covariance) are those that tuning chose.
    """

    name: str
    family: str
    network: str
    measured: Mapping[str, float]
    gain: float
    low: float
    high: float
    source_gain: float
    weights: tuple[float, float]

    @property
    def helped(self) -> bool:
        """Whether the whole interval is above zero."""
        return self.low > 0

    @property
    def harmed(self) -> bool:
        """Whether the whole interval is below zero."""
        return self.high < 0


@dataclass(frozen=True)
class Skill:
    """How well the gain of whole families of settings was told from all others.

    ``correlation`` is Spearman's, with a 95 % bootstrap interval over families; ``said`` counts
    the held-out settings for which the advice was that it helps, ``right`` those where it did.
    """

    correlation: float
    low: float
    high: float
    said: int
    right: int
    settings: int


@dataclass(frozen=True)
class Table:
    """All settings, and the skill of advice from them."""

    settings: tuple[KnownSetting, ...]
    skill: Skill

    def to_json(self) -> str:
        """The table as text, the same for the same results."""
        tree = {
            "made_from": "docs/evidence/when.jsonl",
            "skill": asdict(self.skill),
            "settings": [asdict(setting) for setting in self.settings],
        }
        return json.dumps(tree, indent=1, ensure_ascii=False) + "\n"


def read_table(tree: Mapping[str, Any]) -> Table:
    """A table from plain data."""
    settings = tuple(
        KnownSetting(**{**setting, "weights": tuple(setting["weights"])})
        for setting in tree["settings"]
    )
    return Table(settings, Skill(**tree["skill"]))


@cache
def load_table() -> Table:
    """The table that came with this version."""
    text = files("vcr_core.advisor").joinpath(TABLE).read_text(encoding="utf-8")
    return read_table(json.loads(text))
