"""How well the search behind ``vcr-lab suggest`` spends its trials, beside random and grid search.

    vcr-lab sweep benchmarks/suggest_surface.toml
    python benchmarks/suggest.py suggest-surface [--output docs/results/suggest.json]

Every run of the surface is real. The searches are replayed on it: between the measured weights the
accuracy of a seed is interpolated (bilinear in the logarithms of both weights), so this compares
ways to spend trials, not accuracies. A search sees one seed on validation images, as ``suggest``
does, and is judged by its *regret*: the mean over all seeds at the best point of the surface minus
that at the weights it chose, in accuracy.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import statistics
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from presets import machine

from vcr_core.store import Store, open_store
from vcr_core.sweeps import Kind, Study, Trial, TrialState, estimate, read_study, study_table
from vcr_core.sweeps.search import Search
from vcr_core.sweeps.suggest import COVARIANCE, START, VARIANCE

DEFAULT_OUTPUT = Path(__file__).parents[1] / "docs" / "results" / "suggest.json"
BUDGETS = (5, 9, 16)
REPEATS = 6
Surface = Mapping[
    int, NDArray[np.float64]
]  # seed -> accuracy (variance weights, covariance weights)
Point = tuple[float, float]


def main() -> None:
    """Replay every search on the surface and write how far each stays below the best."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("studies", nargs="+", help="names of measured surfaces in the store")
    parser.add_argument("--output", type=Path, default=DEFAULT_OUTPUT)
    options = parser.parse_args()
    store = open_store()
    result = {
        "made": datetime.now(tz=UTC).date().isoformat(),
        "machine": machine(),
        "repeats": REPEATS,
        "surfaces": {name: measure(store, name) for name in options.studies},
    }
    options.output.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def measure(store: Store, name: str) -> dict[str, Any]:
    """The regret of every search on one surface, by budget."""
    axes, surface = read_surface(store, name)
    mean = np.mean(list(surface.values()), axis=0)
    searches: dict[str, Callable[[int, int, int], Point]] = {
        "start list, then TPE": lambda seed, n, k: by_tpe(axes, surface[seed], n, k, start=True),
        "TPE": lambda seed, n, k: by_tpe(axes, surface[seed], n, k, start=False),
        "random": lambda seed, n, k: by_random(axes, surface[seed], n, k),
        "grid": lambda seed, n, _: by_grid(axes, surface[seed], n),
    }
    regrets = {}
    for title, search in searches.items():
        regrets[title] = {
            str(budget): summary(
                [
                    float(mean.max()) - interpolate(axes, mean, search(seed, budget, repeat))
                    for seed in surface
                    for repeat in range(REPEATS)
                ]
            )
            for budget in BUDGETS
        }
        print(name, title, {n: found["mean"] for n, found in regrets[title].items()})
    return {
        "weights": axes.tolist(),
        "seeds": list(surface),
        "best": round(float(mean.max()), 4),
        "lowest": round(float(mean.min()), 4),
        "regret": regrets,
    }


def summary(values: list[float]) -> dict[str, float]:
    """Mean, standard error and the worst tenth."""
    found = estimate(values)
    assert found is not None
    worst = sorted(values)[int(0.9 * len(values))]
    return {
        "mean": round(found.mean, 4),
        "standard_error": round(found.standard_error or 0.0, 4),
        "worst_tenth": round(worst, 4),
    }


def read_surface(store: Store, name: str) -> tuple[NDArray[np.float64], Surface]:
    """The logarithms of the weights, and mean transfer accuracy by seed."""
    table = study_table(store, name)
    weights = table.study.choices(VARIANCE)
    rows = {(row.params[VARIANCE], row.params[COVARIANCE]): row for row in table.rows}
    surface: dict[int, NDArray[np.float64]] = {}
    for place, seed in enumerate(table.study.seeds):
        surface[seed] = np.array(
            [[accuracy(store, rows[v, c].run_ids[place]) for c in weights] for v in weights]
        )
    return np.log10(np.array(weights, dtype=float)), surface


def accuracy(store: Store, run_id: str) -> float:
    """Mean transfer accuracy of a run."""
    return statistics.fmean(store.run(run_id).result["transfer"].values())


def interpolate(axes: NDArray[np.float64], values: NDArray[np.float64], point: Point) -> float:
    """Bilinear in the logarithms of both weights."""
    across = [np.interp(math.log10(point[1]), axes, row) for row in values]
    return float(np.interp(math.log10(point[0]), axes, across))


def ends(axes: NDArray[np.float64]) -> tuple[float, float]:
    return float(10 ** axes[0]), float(10 ** axes[-1])


def best_of(axes: NDArray[np.float64], values: NDArray[np.float64], points: list[Point]) -> Point:
    return max(points, key=lambda point: interpolate(axes, values, point))


def by_random(
    axes: NDArray[np.float64], values: NDArray[np.float64], budget: int, repeat: int
) -> Point:
    chance = random.Random(repeat)
    low, high = axes[0], axes[-1]
    points = [
        (10 ** chance.uniform(low, high), 10 ** chance.uniform(low, high)) for _ in range(budget)
    ]
    return best_of(axes, values, points)


def by_grid(axes: NDArray[np.float64], values: NDArray[np.float64], budget: int) -> Point:
    """The largest square grid that the budget allows, its points in the middle of equal parts."""
    side = math.isqrt(budget)
    width = (axes[-1] - axes[0]) / side
    weights = [float(10 ** (axes[0] + (i + 0.5) * width)) for i in range(side)]
    return best_of(axes, values, [(v, c) for v in weights for c in weights])


def by_tpe(
    axes: NDArray[np.float64],
    values: NDArray[np.float64],
    budget: int,
    repeat: int,
    *,
    start: bool,
) -> Point:
    study = tpe_study(axes, budget, repeat, start=start)
    search, points = Search(study, []), []
    while (params := search.propose()) is not None:
        trial = Trial(len(points), Kind.SETTING, params)
        search.started(trial)
        points.append((params[VARIANCE], params[COVARIANCE]))
        trial.values = [interpolate(axes, values, points[-1])]
        trial.state = TrialState.COMPLETE
        search.ended(trial)
    return best_of(axes, values, points)


def tpe_study(axes: NDArray[np.float64], budget: int, repeat: int, *, start: bool) -> Study:
    low, high = ends(axes)
    first = [{VARIANCE: v, COVARIANCE: c} for v, c in START[:budget]]
    return read_study(
        {
            "name": "replay",
            "preset": "digits-parity",
            "vary": {
                name: {"low": low, "high": high, "log": True} for name in (VARIANCE, COVARIANCE)
            },
            "sampler": "tpe",
            "trials": budget,
            "sampler_seed": repeat,
            "start": first if start else [],
        }
    )


if __name__ == "__main__":
    main()
