"""Which measured settings are like a run: near in what can be measured on a baseline alone."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from vcr_core.advisor.table import KnownSetting

#: What is compared, and whether in orders of magnitude. Chosen before looking at any gain.
COMPARED: Mapping[str, bool] = {
    "effective_rank": True,
    "cdnv": True,
    "dead_share": False,
    "hinge_share": False,
    "margin": False,
}
NEIGHBOURS = 10
SMALLEST = 1e-6

Vector = NDArray[np.float64]


def nearest(
    measured: Mapping[str, float], settings: Sequence[KnownSetting], *, count: int = NEIGHBOURS
) -> list[tuple[float, KnownSetting]]:
    """The ``count`` settings nearest to what was measured, with their distances, nearest first.

    The distance is the root mean square of the differences in standard deviations over the
    settings; a measure that is missing on one side is left out.
    """
    known = np.array([vector(setting.measured) for setting in settings])
    spread = np.nanstd(known, axis=0)
    gaps = (known - vector(measured)) / np.where(spread > 0, spread, 1.0)
    distances = np.sqrt(np.nanmean(np.square(gaps), axis=1))
    order = np.argsort(distances, kind="stable")[:count]
    return [(float(distances[place]), settings[place]) for place in order]


def vector(measured: Mapping[str, float]) -> Vector:
    """What is compared, as numbers; not-a-number where it was not measured."""
    return np.array(
        [
            math.nan
            if name not in measured
            else math.log(max(measured[name], SMALLEST))
            if logarithmic
            else measured[name]
            for name, logarithmic in COMPARED.items()
        ]
    )


def reach(settings: Sequence[KnownSetting]) -> float:
    """How far a setting lies from its nearest neighbour at most: beyond, nothing is comparable."""
    return max(
        nearest(setting.measured, [other for other in settings if other is not setting], count=1)[
            0
        ][0]
        for setting in settings
    )
