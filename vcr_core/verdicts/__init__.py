"""What a layer's numbers mean: verdicts in words, with their numbers. Imports no torch."""

from __future__ import annotations

from vcr_core.verdicts.layer import (
    SENTENCES,
    Grade,
    LayerReading,
    Verdict,
    judge_layer,
)
from vcr_core.verdicts.wording import grouped, sentence, share

__all__ = [
    "SENTENCES",
    "Grade",
    "LayerReading",
    "Verdict",
    "grouped",
    "judge_layer",
    "sentence",
    "share",
]
