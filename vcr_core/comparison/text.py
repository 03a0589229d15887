"""Numbers of a comparison as people read them; the page and the report say them alike."""

from __future__ import annotations

from collections.abc import Callable

from vcr_core.comparison.results import MEAN, RANK, SOURCE, Comparison
from vcr_core.statistics import Difference, Estimate, signed

Say = Callable[[str], str]

MISSING = "–"
MEASURES = {SOURCE: "Task that was trained", MEAN: "Mean transfer", RANK: "Effective rank"}
NOT_PAIRED = "not paired"
READING = (
    "Accuracies in %, mean ± standard error over seeds. Δ: difference to *{reference}* in points, "
    "in brackets its 95 % interval (Student's t over the seeds that both have; Welch's where they "
    "share none). One seed gives no interval."
)
RANKED = "Effective ranks are from n = {n} images, and n − 1 at most."
SO_FAR = "So far, at step {step}, which all have reached."
UNEVEN = "The runs ended at different steps: part of it may come from that."


def estimate_text(found: Estimate | None, *, percent: bool) -> str:
    """``97.8 ± 0.3 %``: mean ± standard error."""
    if found is None:
        return MISSING
    scale, unit = (100, " %") if percent else (1, "")
    error = found.standard_error
    spread = "" if error is None else f" ± {scale * error:.1f}"
    return f"{scale * found.mean:.1f}{spread}{unit}"


def difference_text(found: Difference, *, percent: bool) -> str:
    """``+8.5 (+4.2 … +12.7)``: the mean difference and its 95 % interval."""
    scale = 100 if percent else 1
    text = signed(scale * found.mean)
    if found.low is None or found.high is None:
        return text
    return f"{text} ({signed(scale * found.low)} … {signed(scale * found.high)})"


def result_cells(found: Comparison, measure: str, say: Say) -> list[str]:
    """What a measure came to in every group, and below it the difference to the reference."""
    percent, cells = measure != RANK, []
    for group in found.groups:
        cell = estimate_text(found.results[group.id].get(measure), percent=percent)
        gain = found.gains.get(group.id, {}).get(measure)
        if gain is not None:
            told = difference_text(gain.difference, percent=percent)
            how = "" if gain.paired else f", {say(NOT_PAIRED)}"
            cell = f"{cell}\nΔ {told}, n = {gain.difference.n}{how}"
        cells.append(cell)
    return cells


def how_to_read(found: Comparison, reference: str, say: Say) -> str:
    """What the numbers are, and what to beware of."""
    parts = [say(READING).format(reference=reference)]
    if found.rank_samples:
        parts.append(say(RANKED).format(n=", ".join(f"{n:,}" for n in found.rank_samples)))
    if found.step is not None:
        parts.append(say(SO_FAR).format(step=found.step))
    if found.uneven:
        parts.append(say(UNEVEN))
    return " ".join(parts)
