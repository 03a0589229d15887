"""Can the baseline alone tell where regularisation helps? Correlations, and advice held out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcr_core.advisor.advice import expected_gain, judge
from vcr_core.advisor.neighbours import nearest
from vcr_core.advisor.table import KnownSetting, Skill, Table
from vcr_core.evidence.findings import MEAN, SOURCE, Finding, findings
from vcr_core.evidence.rows import ResultFile
from vcr_core.evidence.studies.parts import BASELINE, VCR

DRAWS = 2000
CONFIDENCE = 0.95
MEASURES = ("effective_rank", "rank_share", "cdnv", "dead_share", "hinge_share", "margin")

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Correlation:
    """Spearman's rank correlation with a 95 % interval, by bootstrap over families of settings."""

    correlation: float
    low: float
    high: float
    n: int


def known_settings(results: ResultFile) -> tuple[KnownSetting, ...]:
    """Every setting of the study *when* that is finished on both sides."""
    by_arm: dict[str, dict[str, Finding]] = {BASELINE: {}, VCR: {}}
    for finding in findings(results):
        by_arm[finding.arm][finding.setting] = finding
    return tuple(
        _known(results, by_arm[BASELINE][name], finding)
        for name, finding in by_arm[VCR].items()
        if name in by_arm[BASELINE] and MEAN in finding.gains
    )


def _known(results: ResultFile, baseline: Finding, finding: Finding) -> KnownSetting:
    gain = finding.gains[MEAN]
    assert gain.low is not None
    assert gain.high is not None
    measured = {
        name.removeprefix("features/"): _short(found.mean)
        for name, found in baseline.measures.items()
        if name.startswith("features/")
    }
    chosen = finding.chosen
    return KnownSetting(
        name=finding.setting,
        family=finding.tags["family"],
        network=results.study.setting(finding.setting).base.model.name,
        measured=measured,
        gain=_short(gain.mean),
        low=_short(gain.low),
        high=_short(gain.high),
        source_gain=_short(finding.gains[SOURCE].mean),
        weights=(
            chosen["regularizer.variance_weight"],
            chosen["regularizer.covariance_weight"],
        ),
    )


def _short(value: float) -> float:
    return float(f"{value:.5g}")


def spearman(x: Values, y: Values) -> float:
    """Spearman's rank correlation; 0 where one side is constant."""
    from scipy.stats import rankdata

    a, b = rankdata(x), rankdata(y)
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return 0.0
    return float(np.corrcoef(a, b)[0, 1])


def correlation(x: Values, y: Values, families: Sequence[str], *, seed: int = 0) -> Correlation:
    """Spearman's correlation; whole families are drawn for its interval, for they are alike."""
    groups = [np.flatnonzero(np.array(families) == name) for name in dict.fromkeys(families)]
    chance = np.random.default_rng(seed)
    drawn = []
    for _ in range(DRAWS):
        rows = np.concatenate([groups[i] for i in chance.integers(len(groups), size=len(groups))])
        drawn.append(spearman(x[rows], y[rows]))
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(drawn, (tail, 1 - tail))
    return Correlation(_short(spearman(x, y)), _short(float(low)), _short(float(high)), len(x))


def held_out(
    settings: Sequence[KnownSetting], group: Callable[[KnownSetting], str]
) -> list[tuple[KnownSetting, ...]]:
    """For every setting, its neighbours among those of other groups."""
    return [
        tuple(
            near
            for _, near in nearest(
                setting.measured,
                [other for other in settings if group(other) != group(setting)],
            )
        )
        for setting in settings
    ]


def predict(
    settings: Sequence[KnownSetting], group: Callable[[KnownSetting], str]
) -> tuple[Correlation, int, int]:
    """Gains told by neighbours of other groups, against those measured; and how often 'likely'
    was said, and right."""
    neighbours = held_out(settings, group)
    told = np.array([expected_gain(near) for near in neighbours])
    gains = np.array([setting.gain for setting in settings])
    said = [s for s, near in zip(settings, neighbours, strict=True) if judge(near) == "likely"]
    found = correlation(told, gains, [setting.family for setting in settings])
    return found, len(said), sum(setting.helped for setting in said)


def make_table(results: ResultFile) -> Table:
    """The advisor's table, with its skill on families of settings held out."""
    settings = known_settings(results)
    found, said, right = predict(settings, lambda setting: setting.family)
    skill = Skill(found.correlation, found.low, found.high, said, right, len(settings))
    return Table(settings, skill)


def prediction_tree(results: ResultFile) -> dict[str, Any]:
    """All correlations as plain data: of each measure, and of advice with groups held out."""
    settings = known_settings(results)
    families = [setting.family for setting in settings]
    gains = np.array([setting.gain for setting in settings])
    measures = {}
    for name in MEASURES:
        there = [i for i, setting in enumerate(settings) if name in setting.measured]
        x = np.array([settings[i].measured[name] for i in there])
        kept = [families[i] for i in there]
        measures[name] = asdict(correlation(x, gains[there], kept))
    groups: dict[str, Callable[[KnownSetting], str]] = {
        "setting": lambda setting: setting.name,
        "family": lambda setting: setting.family,
        "network": lambda setting: setting.network,
        "data": lambda setting: setting.family.partition(",")[0],
    }
    advice = {}
    for name, group in groups.items():
        found, said, right = predict(settings, group)
        advice[name] = {**asdict(found), "said likely": said, "right": right}
    return {
        "settings": len(settings),
        "helped": sum(setting.helped for setting in settings),
        "harmed": sum(setting.harmed for setting in settings),
        "measures": measures,
        "advice with … held out": advice,
    }
