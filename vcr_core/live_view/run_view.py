"""What a live view shows of a run or a pair: which charts, in which order, around which layer."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from vcr_core.datasets.catalog import chance
from vcr_core.figures import (
    Chart,
    RunLine,
    accuracy_chart,
    covariance_chart,
    gradient_chart,
    hinge_chart,
    histogram_chart,
    layer_rank_chart,
    loss_chart,
    penalty_chart,
    rank_chart,
    run_lines,
    spectrum_chart,
    spread_chart,
)
from vcr_core.live_view.spec import Choice, Network, View
from vcr_core.live_view.watched import Watched

MATRICES = (("correlation", "Correlation"), ("covariance", "Covariance"))
ORDERS = (("network", "As in the network"), ("clustered", "Alike together"))


def run_view(
    watched: Watched,
    *,
    layer: str = "",
    matrix: str = MATRICES[0][0],
    order: str = ORDERS[0][0],
    step: int | None = None,
    hidden: Collection[str] = (),
    space_plays: bool = True,
) -> View:
    """The view of a run with one layer enlarged, at first the last one.

    ``hidden`` leaves out the ``network`` (the row of layers), the enlarged ``layer`` or the charts
    of the ``training``. ``matrix`` and ``order`` are values of ``MATRICES`` and ``ORDERS``.
    """
    lines, total = run_lines(watched.runs), watched.main.total_steps
    layers = watched.main.config.layer_names
    layer = layer or layers[-1]
    charts = [_accuracy(watched, lines)]
    if "layer" not in hidden:
        charts += _layer_charts(watched, lines, layer, matrix, order)
    if "training" not in hidden:
        charts += [
            rank_chart(lines, total_steps=total),
            loss_chart(lines, total_steps=total),
            penalty_chart(lines, total_steps=total),
        ]
    network = Network(watched.runs, lines, layers, layer, total)
    choices = (
        Choice("matrix", "Matrix", MATRICES, matrix),
        Choice("order", "Order of features", ORDERS, order),
    )
    return View(
        tuple(charts),
        network=None if "network" in hidden else network,
        choices=() if "layer" in hidden else choices,
        step=step,
        space_plays=space_plays,
    )


def _accuracy(watched: Watched, lines: Sequence[RunLine]) -> Chart:
    config = watched.main.config
    return accuracy_chart(
        lines,
        source=config.data.source,
        targets=config.targets,
        chance=chance(config.data.dataset, (config.data.source, *config.targets)),
        total_steps=watched.main.total_steps,
    )


def _layer_charts(
    watched: Watched, lines: Sequence[RunLine], layer: str, matrix: str, order: str
) -> list[Chart]:
    total, target = watched.main.total_steps, watched.main.config.regularizer.target_std
    return [
        covariance_chart(
            lines,
            layer,
            matrix="covariance" if matrix == "covariance" else "correlation",
            clustered=order == "clustered",
            difference=True,
        ),
        histogram_chart(lines, layer, target=target, total_steps=total),
        spread_chart(lines, [layer], target=target, total_steps=total),
        spectrum_chart(lines, layer),
        layer_rank_chart(lines, layer, total_steps=total),
        hinge_chart(lines, [layer], total_steps=total),
        gradient_chart(lines, layer, total_steps=total),
    ]
