"""The charts of a comparison: the lab's own, with a line a group and a band over its seeds."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from vcr_core.comparison.groups import Group, seed_of
from vcr_core.datasets.catalog import chance
from vcr_core.figures import (
    ArrayKey,
    Chart,
    Panel,
    RunLine,
    SeriesKey,
    Trace,
    accuracy_chart,
    loss_chart,
    rank_chart,
)
from vcr_core.figures.charts import Matrix
from vcr_core.store import Run

TONES = ("regularized", "third", "fourth")
DASHES = ("solid", "dot", "dashdot", "longdash")
PLAIN_DASHES = ("dash", "longdash", "dot", "dashdot")
MOST_READOUTS = 4
MOST_ALIKE = 3


def group_lines(groups: Sequence[Group]) -> tuple[RunLine, ...]:
    """How groups look: unregularised ones orange, the others in three colours and four dashes."""
    plain, others, lines = 0, 0, []
    for group in groups:
        if group.is_baseline:
            dash = PLAIN_DASHES[plain % len(PLAIN_DASHES)]
            lines.append(RunLine(group.id, group.label, "baseline", dash))
            plain += 1
        else:
            tone, dash = TONES[others % len(TONES)], DASHES[others // len(TONES) % len(DASHES)]
            lines.append(RunLine(group.id, group.label, tone, dash))
            others += 1
    return tuple(lines)


def lines_of_runs(groups: Sequence[Group]) -> tuple[RunLine, ...]:
    """A line a run, in the looks of its group."""
    return tuple(
        replace(line, id=run.id, label=f"{line.label}, seed {seed_of(run)}")
        for group, line in zip(groups, group_lines(groups), strict=True)
        for run in group.runs
    )


def curve_charts(runs: Sequence[Run], lines: Sequence[RunLine]) -> list[Chart]:
    """Source and transfer accuracy, loss and effective rank of some lines."""
    configs = [run.config for run in runs]
    sources = list(dict.fromkeys(config.data.source for config in configs))
    targets = list(dict.fromkeys(target for config in configs for target in config.targets))
    total = max(run.total_steps for run in runs)
    guesses = {}
    if len(sources) == 1 and len({config.data.dataset for config in configs}) == 1:
        guesses = chance(configs[0].data.dataset, (*sources, *targets))
    accuracy = accuracy_chart(
        lines, source=" / ".join(sources), targets=targets, chance=guesses, total_steps=total
    )
    charts = [
        replace(accuracy, compact=len(accuracy.panels) > MOST_ALIKE, height=180),
        loss_chart(lines, total_steps=total),
        rank_chart(lines, total_steps=total),
    ]
    return [_for_comparison(chart) for chart in charts]


def _for_comparison(chart: Chart) -> Chart:
    """Without the values beside each title where there are too many; the tables have them all."""
    panels = tuple(
        replace(
            panel,
            highlighted=False,
            readouts=panel.readouts if len(panel.readouts) <= MOST_READOUTS else (),
        )
        for panel in chart.panels
    )
    return replace(chart, panels=panels, place="training")


def banded(chart: Chart, groups: Collection[str]) -> Chart:
    """The chart with a band behind the line of each of these groups."""
    return replace(
        chart,
        panels=tuple(
            replace(panel, traces=(*_bands(panel, groups), *panel.traces)) for panel in chart.panels
        ),
    )


def _bands(panel: Panel, groups: Collection[str]) -> Iterable[Trace]:
    for trace in panel.traces:
        source = trace.source
        if trace.kind == "line" and isinstance(source, SeriesKey) and source.run in groups:
            low, high = (SeriesKey(source.run, f"{source.name}/{edge}") for edge in ("low", "high"))
            yield Trace("band-edge", trace.run, low)
            yield Trace("band", trace.run, high)


def matrix_chart(lines: Sequence[RunLine], layer: str, *, matrix: Matrix, clustered: bool) -> Chart:
    """The matrices of one layer, a run beside the other, in one range of colours."""
    order = ArrayKey(lines[0].id, layer, "order") if clustered else None
    panels = tuple(
        Panel(
            id=f"matrix/{line.id}",
            title=line.label,
            traces=(
                Trace("heatmap", line, ArrayKey(line.id, layer, matrix), line.label, order=order),
            ),
        )
        for line in lines
    )
    return Chart(
        id="matrices",
        title="Correlation of features" if matrix == "correlation" else "Covariance of features",
        help="Every row and column is a feature; colour away from the diagonal means that two "
        "features carry the same news. VCR clears it away.",
        panels=panels,
        size="full",
        height=240,
    )


def difference_chart(
    lines: Sequence[RunLine], reference: RunLine, layer: str, *, matrix: Matrix, clustered: bool
) -> Chart:
    """Each matrix minus the reference's; zero has the colour of the paper."""
    order = ArrayKey(reference.id, layer, "order") if clustered else None
    minus = ArrayKey(reference.id, layer, matrix)
    panels = tuple(
        Panel(
            id=f"difference/{line.id}",
            title=f"{line.label} − {reference.label}",
            traces=(
                Trace(
                    "heatmap",
                    line,
                    ArrayKey(line.id, layer, matrix),
                    "difference",
                    minus=minus,
                    order=order,
                ),
            ),
        )
        for line in lines
        if line.id != reference.id
    )
    return Chart(
        id="differences",
        title="What is different",
        help="Each matrix minus the one that all are compared with, feature by feature. It tells "
        "most for runs with the same seed: they began with the same weights.",
        panels=panels,
        size="full",
        height=240,
    )
