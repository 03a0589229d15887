"""From one baseline run to advice, in sentences, with its uncertainty; or that there is none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from vcr_core.advisor.neighbours import COMPARED, nearest, reach
from vcr_core.advisor.table import KnownSetting, Table, load_table
from vcr_core.errors import ConfigError
from vcr_core.statistics import signed
from vcr_core.store import Run

Answer = Literal["likely", "unclear", "unlikely", "unknown"]
#: Share of the neighbours that must have gained (or must not) before a side is taken.
MOST = 2 / 3

SENTENCES: Mapping[str, str] = {
    "state": "Its features use about {rank} of {dimensions} directions.",
    "state_from": (
        "Its features use about {rank} of {dimensions} directions, as far as {samples} images show."
    ),
    "likely": "Regularisation is likely to help.",
    "unlikely": "Regularisation is not likely to help.",
    "unclear": "Whether regularisation helps here is open: settings like this went both ways.",
    "unknown": "Nothing can be said: this run is unlike every setting that was measured.",
    "neighbours": (
        "In {helped} of the {count} measured settings most like it, VCR raised transfer beyond "
        "doubt; in {harmed} it lowered it. The middle half changed by {low} to {high} points."
    ),
    "source": "The source task changed by {low} to {high} points there.",
    "start": (
        "Start at variance {variance}, covariance {covariance} on all blocks: what tuning chose "
        "most often there."
    ),
    "network": (
        "No setting with this network was measured, and for networks left out the size of the gain "
        "could not be told."
    ),
    "skill": (
        "How sure: for families of settings left out, this advice ordered gains with a rank "
        "correlation of {correlation} (95 % interval {low} to {high}); of {said} times that it "
        "said 'likely', it was right {right} times."
    ),
}


@dataclass(frozen=True)
class Sentence:
    """A key of ``SENTENCES`` with its numbers."""

    code: str
    values: Mapping[str, str] = field(default_factory=dict)

    @property
    def template(self) -> str:
        """The English sentence with places for the numbers."""
        return SENTENCES[self.code]

    def text(self, translate: Callable[[str], str] = str) -> str:
        """The sentence; ``translate`` turns the English template into another."""
        return translate(self.template).format(**self.values)


@dataclass(frozen=True)
class Advice:
    """The answer, its sentences, the settings it rests on, and the weights to start with."""

    answer: Answer
    sentences: tuple[Sentence, ...]
    neighbours: tuple[KnownSetting, ...]
    weights: tuple[float, float] | None


def advise_run(run: Run, table: Table | None = None) -> Advice:
    """Advice from a finished baseline run.

    Raises:
        ConfigError: the run has not finished, was regularised itself, or was made by a version
            that did not measure what is needed.
    """
    if "features" not in run.result:
        raise ConfigError(
            f"expected a run that finished with this version, but run {run.id} is "
            f"{run.state.value} and holds no measured features: train it again"
        )
    if run.config.regularized or run.config.regularizer.rival != "none":
        raise ConfigError(
            f"expected a baseline, with both weights at 0 and no rival, but run {run.id} was "
            "regularised: choose its twin, or train one with both weights at 0"
        )
    measured = {**run.result["features"], "effective_rank": run.result["effective_rank"]}
    if "rank_samples" in run.result:
        measured["samples"] = run.result["rank_samples"]
    return advise(measured, network=run.config.model.name, table=table)


def advise(measured: Mapping[str, float], *, network: str, table: Table | None = None) -> Advice:
    """Advice from what was measured on a baseline (see ``training.measurables``).

    Raises:
        ConfigError: nothing that could be compared was measured.
    """
    table = table or load_table()
    if not COMPARED.keys() & measured.keys():
        raise ConfigError(f"expected one of {', '.join(COMPARED)} at least, got none")
    near = nearest(measured, table.settings)
    state = _state(measured)
    if near[0][0] > reach(table.settings):
        return Advice("unknown", (*state, Sentence("unknown")), (), None)
    neighbours = tuple(setting for _, setting in near)
    answer = judge(neighbours)
    sentences = [*state, Sentence(answer), *_what_happened(neighbours)]
    weights = None
    if answer == "likely":
        weights = _commonest_weights(neighbours)
        values = {"variance": f"{weights[0]:g}", "covariance": f"{weights[1]:g}"}
        sentences.append(Sentence("start", values))
    if network not in {setting.network for setting in table.settings}:
        sentences.append(Sentence("network"))
    return Advice(answer, (*sentences, _skill(table)), neighbours, weights)


def judge(neighbours: Sequence[KnownSetting]) -> Answer:
    """What two thirds of the neighbours say."""
    helped = sum(setting.helped for setting in neighbours) / len(neighbours)
    if helped >= MOST:
        return "likely"
    return "unlikely" if helped <= 1 - MOST else "unclear"


def expected_gain(neighbours: Sequence[KnownSetting]) -> float:
    """The mean gain of the neighbours."""
    return float(np.mean([setting.gain for setting in neighbours]))


def _state(measured: Mapping[str, float]) -> tuple[Sentence, ...]:
    if not {"effective_rank", "dimensions"} <= measured.keys():
        return ()
    rank, size = measured["effective_rank"], measured["dimensions"]
    values = {"rank": f"{rank:.0f}", "dimensions": f"{size:.0f}"}
    if "samples" not in measured:
        return (Sentence("state", values),)
    return (Sentence("state_from", values | {"samples": f"{measured['samples']:,.0f}"}),)


def _what_happened(neighbours: Sequence[KnownSetting]) -> tuple[Sentence, ...]:
    counts = {
        "helped": str(sum(setting.helped for setting in neighbours)),
        "harmed": str(sum(setting.harmed for setting in neighbours)),
        "count": str(len(neighbours)),
    }
    gains = _middle_half([setting.gain for setting in neighbours])
    source = _middle_half([setting.source_gain for setting in neighbours])
    return Sentence("neighbours", counts | gains), Sentence("source", source)


def _middle_half(values: Sequence[float]) -> dict[str, str]:
    low, high = np.quantile(values, (0.25, 0.75))
    return {"low": signed(100 * low), "high": signed(100 * high)}


def _commonest_weights(neighbours: Sequence[KnownSetting]) -> tuple[float, float]:
    """What tuning chose most often; the nearest one's of those that tie."""
    counts = Counter(setting.weights for setting in neighbours if setting.helped)
    return counts.most_common(1)[0][0]


def _skill(table: Table) -> Sentence:
    skill = table.skill
    return Sentence(
        "skill",
        {
            "correlation": f"{skill.correlation:.2f}",
            "low": f"{skill.low:.2f}",
            "high": f"{skill.high:.2f}",
            "said": str(skill.said),
            "right": str(skill.right),
        },
    )
