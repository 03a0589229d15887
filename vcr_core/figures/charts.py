"""The charts of a run or a pair of twins: which panels, which words, which numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

from vcr_core.figures.parts import (
    ArrayKey,
    Axis,
    Chart,
    Guide,
    Panel,
    Readout,
    RunLine,
    SeriesKey,
    Trace,
)
from vcr_core.store import Role, Run

Matrix = Literal["covariance", "correlation"]
ACCURACY_HELP = (
    "Only the first task is trained. The others: how often a simple linear classifier gets them "
    "right from the same features. At step 0 nothing is learned yet, so watch what is lost."
)
ACCURACY_HELP_AND_GUESSING = f"{ACCURACY_HELP} The dotted line is guessing."
TONES = ("regularized", "third", "fourth")
DASHES = ("solid", "dot", "dashdot")


def run_lines(runs: Sequence[Run]) -> tuple[RunLine, ...]:
    """How runs look: the baseline dashed and orange, the regularised one solid and blue."""
    lines = []
    others = 0
    for run in runs:
        if run.role is Role.BASELINE:
            lines.append(RunLine(run.id, "without VCR", "baseline", "dash"))
            continue
        label = "with VCR" if run.role is Role.REGULARIZED else "this run"
        index = others % len(TONES)
        lines.append(RunLine(run.id, label, TONES[index], DASHES[index]))
        others += 1
    return tuple(lines)


def _steps(total_steps: int | None) -> Axis:
    if not total_steps:
        return Axis(prefix="step ")
    return Axis(prefix="step ", range=(-0.015 * total_steps, 1.015 * total_steps))


def _lines(runs: Sequence[RunLine], name: str, *, dots: bool = False) -> tuple[Trace, ...]:
    return tuple(Trace("line", run, SeriesKey(run.id, name), run.label, dots) for run in runs)


def _readouts(
    runs: Sequence[RunLine], name: str, *, percent: bool = False, caption: str = ""
) -> tuple[Readout, ...]:
    return tuple(
        Readout(run, SeriesKey(run.id, name), "percent" if percent else "number", caption)
        for run in runs
    )


def _sample_readouts(runs: Sequence[RunLine], name: str) -> tuple[Readout, ...]:
    """How many samples a rank was measured on: the same for all runs that stand side by side."""
    return _readouts(runs[:1], name, caption="samples")


def accuracy_chart(
    runs: Sequence[RunLine],
    *,
    source: str,
    targets: Sequence[str],
    chance: Mapping[str, float] | None = None,
    total_steps: int | None = None,
) -> Chart:
    """The hero: accuracy on the task that was trained, then on every task that was not.

    ``chance`` says by task what guessing reaches (1 / K for K balanced classes).
    """
    guesses = chance or {}
    y = Axis(range=(0.0, 1.04), format=".0%")
    names = [("source/accuracy", source, "trained on")]
    names += [(f"transfer/{target}", target, "transfer to") for target in targets]
    panels = tuple(
        Panel(
            id=name,
            title=title,
            tag=tag,
            traces=_lines(runs, name, dots=True),
            readouts=_readouts(runs, name, percent=True),
            y=y,
            x=_steps(total_steps),
            guide=Guide(guesses[title], "guessing") if title in guesses else None,
            highlighted=name == "source/accuracy",
        )
        for name, title, tag in names
    )
    return Chart(
        id="accuracy",
        title="What the network knows",
        help=ACCURACY_HELP_AND_GUESSING if guesses else ACCURACY_HELP,
        panels=panels,
        size="full",
        height=150,
        compact=True,
        place="hero",
    )


def loss_chart(runs: Sequence[RunLine], *, total_steps: int | None = None) -> Chart:
    """The loss of the source task."""
    panel = Panel(
        id="loss/task",
        title="source loss",
        traces=_lines(runs, "loss/task"),
        readouts=_readouts(runs, "loss/task"),
        y=Axis(from_zero=True),
        x=_steps(total_steps),
    )
    return Chart(
        id="loss",
        title="How well it solves its own task",
        help="The error that training pushes down; lower is better, and VCR should not spoil it.",
        panels=(panel,),
    )


def penalty_chart(runs: Sequence[RunLine], *, total_steps: int | None = None) -> Chart:
    """The two terms of VCR and what they add to the loss."""
    names = (
        ("loss/variance", "variance term", "features that go flat"),
        ("loss/covariance", "covariance term", "features that repeat each other"),
        ("loss/penalty", "added to the loss", "terms × weights"),
    )
    panels = tuple(
        Panel(
            id=name,
            title=title,
            tag=tag,
            traces=_lines(runs, name),
            readouts=_readouts(runs, name),
            y=Axis(from_zero=True),
            x=_steps(total_steps),
        )
        for name, title, tag in names
    )
    return Chart(
        id="penalty",
        title="What VCR complains about",
        help="The variance term is high where features are flat, the covariance term where they "
        "copy each other; both are summed over all layers, before their weights.",
        panels=panels,
        size="full",
        height=170,
    )


def spread_chart(
    runs: Sequence[RunLine],
    layers: Sequence[str],
    *,
    target: float = 1.0,
    total_steps: int | None = None,
) -> Chart:
    """Quantiles of the features' standard deviations in one or more layers, against the target."""
    panels = tuple(
        Panel(
            id=f"spread/{index}",
            title=layer if len(layers) > 1 else "",
            traces=tuple(trace for run in runs for trace in _quantile_traces(run, layer)),
            readouts=_readouts(runs, f"layer/{layer}/std_q50"),
            y=Axis(from_zero=True),
            x=_steps(total_steps),
            guide=Guide(target, "target"),
        )
        for index, layer in enumerate(layers)
    )
    return Chart(
        id="spread",
        title="How far features spread",
        help="The standard deviation of a layer's features: the line is the middle feature, the "
        "bands hold half and nine tenths of them. VCR lifts whatever is below the target.",
        panels=panels,
        size="full" if len(layers) > 1 else "half",
        height=180 if len(layers) > 1 else 200,
        compact=len(layers) > 3,
        place="layer",
    )


def _quantile_traces(run: RunLine, layer: str) -> Iterator[Trace]:
    def key(quantile: str) -> SeriesKey:
        return SeriesKey(run.id, f"layer/{layer}/std_{quantile}")

    yield Trace("band-edge", run, key("q05"), "lowest 5 %")
    yield Trace("band", run, key("q95"), "highest 5 %")
    yield Trace("band-edge", run, key("q25"), "lower quarter")
    yield Trace("band", run, key("q75"), "upper quarter")
    yield Trace("line", run, key("q50"), run.label)


def covariance_chart(
    runs: Sequence[RunLine],
    layer: str,
    *,
    matrix: Matrix = "correlation",
    clustered: bool = False,
    difference: bool = False,
) -> Chart:
    """Covariances or correlations of a layer's features, the runs side by side.

    ``clustered`` puts alike features of the first run together, in all matrices alike;
    ``difference`` adds the second run minus the first.
    """
    order = ArrayKey(runs[0].id, layer, "order") if clustered and runs else None
    panels = [
        Panel(
            id=f"matrix/{run.tone}",
            title=run.label,
            traces=(
                Trace("heatmap", run, ArrayKey(run.id, layer, matrix), run.label, order=order),
            ),
            readouts=(
                Readout(
                    run,
                    SeriesKey(run.id, f"layer/{layer}/rms_correlation"),
                    caption="typical correlation",
                ),
            ),
        )
        for run in runs
    ]
    if difference and len(runs) == 2:
        panels.append(_difference(runs[0], runs[1], layer, matrix, order))
    return Chart(
        id="covariance",
        title="Correlation of features" if matrix == "correlation" else "Covariance of features",
        help="Every row and column is a feature; colour away from the diagonal means that two "
        "features carry the same news. VCR clears it away.",
        panels=tuple(panels),
        size="full" if len(panels) > 2 else "half",
        height=300,
        place="layer",
    )


def _difference(
    first: RunLine, second: RunLine, layer: str, matrix: Matrix, order: ArrayKey | None
) -> Panel:
    trace = Trace(
        "heatmap",
        second,
        ArrayKey(second.id, layer, matrix),
        "difference",
        minus=ArrayKey(first.id, layer, matrix),
        order=order,
    )
    return Panel(id="matrix/difference", title="with − without", traces=(trace,))


def histogram_chart(
    runs: Sequence[RunLine], layer: str, *, target: float = 1.0, total_steps: int | None = None
) -> Chart:
    """How the features of a layer share out over the standard deviations, step by step."""
    panels = tuple(
        Panel(
            id=f"histogram/{run.tone}",
            title=run.label,
            traces=(Trace("timeline", run, ArrayKey(run.id, layer, "std_histogram"), run.label),),
            y=Axis(range=(0.0, 2.0)),
            x=_steps(total_steps),
            guide=Guide(target, "target"),
        )
        for run in runs
    )
    return Chart(
        id="histogram",
        title="Every feature's spread over time",
        help="Each column is a histogram at one step: the darker, the more features have that "
        "standard deviation. The dotted line is the target.",
        panels=panels,
        height=200,
        place="layer",
    )


def layer_rank_chart(
    runs: Sequence[RunLine], layer: str, *, total_steps: int | None = None
) -> Chart:
    """Effective rank of one layer, at every snapshot."""
    name = f"layer/{layer}/effective_rank"
    return _layer_series(
        runs,
        name,
        id="layer-rank",
        title="Directions in use",
        help="The effective rank of this layer: how many independent directions its features fill. "
        "From n samples it is n − 1 at most.",
        y=Axis(from_zero=True),
        total_steps=total_steps,
        readouts=_sample_readouts(runs, f"layer/{layer}/count"),
    )


def gradient_chart(runs: Sequence[RunLine], layer: str, *, total_steps: int | None = None) -> Chart:
    """‖penalty gradient‖ / ‖task gradient‖ at one layer."""
    name = f"layer/{layer}/gradient_ratio"
    return _layer_series(
        runs,
        name,
        id="gradient",
        title="How hard the penalty pulls",
        help="The size of the penalty's gradient at this layer, as a share of the task's. "
        "Below 1 % the penalty is idle.",
        y=Axis(from_zero=True, format=".0%"),
        total_steps=total_steps,
        percent=True,
    )


def _layer_series(
    runs: Sequence[RunLine],
    name: str,
    *,
    id: str,
    title: str,
    help: str,
    y: Axis,
    total_steps: int | None,
    percent: bool = False,
    readouts: Sequence[Readout] = (),
) -> Chart:
    panel = Panel(
        id=id,
        title="",
        traces=_lines(runs, name, dots=True),
        readouts=(*_readouts(runs, name, percent=percent), *readouts),
        y=y,
        x=_steps(total_steps),
    )
    return Chart(
        id=id, title=title, help=help, panels=(panel,), size="quarter", height=190, place="layer"
    )


def rank_chart(
    runs: Sequence[RunLine], layers: Sequence[str] = (), *, total_steps: int | None = None
) -> Chart:
    """Effective rank of the final features, and of the given layers."""
    names = [("features/effective_rank", "final features")]
    names += [(f"layer/{layer}/effective_rank", layer) for layer in layers]
    panels = tuple(
        Panel(
            id=name,
            title=title,
            traces=_lines(runs, name, dots=name == "features/effective_rank"),
            readouts=(
                *_readouts(runs, name),
                *_sample_readouts(runs, name.replace("effective_rank", "count")),
            ),
            y=Axis(from_zero=True),
            x=_steps(total_steps),
        )
        for name, title in names
    )
    return Chart(
        id="rank",
        title="How many directions are in use",
        help="The effective rank counts the independent directions that the features fill; "
        "a collapsed network uses a few, whatever its width. From n samples it is n − 1 at most.",
        panels=panels,
        size="half" if len(panels) == 1 else "full",
        height=230 if len(panels) == 1 else 170,
        compact=len(panels) > 4,
    )


def hinge_chart(
    runs: Sequence[RunLine], layers: Sequence[str], *, total_steps: int | None = None
) -> Chart:
    """Share of a layer's features whose standard deviation is below the target."""
    panels = tuple(
        Panel(
            id=f"hinges/{index}",
            title=layer if len(layers) > 1 else "",
            traces=_lines(runs, f"layer/{layer}/active_hinges"),
            readouts=_readouts(runs, f"layer/{layer}/active_hinges", percent=True),
            y=Axis(range=(0.0, 1.04), format=".0%"),
            x=_steps(total_steps),
        )
        for index, layer in enumerate(layers)
    )
    return Chart(
        id="hinges",
        title="How many features are too flat",
        help="The share of a layer's features that spread less than the target: "
        "only these feel the variance term.",
        panels=panels,
        size="quarter" if len(panels) == 1 else "full",
        height=190 if len(panels) == 1 else 170,
        compact=len(panels) > 4,
        place="layer",
    )


def spectrum_chart(runs: Sequence[RunLine], layer: str) -> Chart:
    """Eigenvalues of a layer's covariance, largest first."""
    panel = Panel(
        id="spectrum",
        title="",
        traces=tuple(
            Trace("profile", run, ArrayKey(run.id, layer, "spectrum"), run.label) for run in runs
        ),
        y=Axis(log=True, format="~g"),
        x=Axis(prefix="direction "),
    )
    return Chart(
        id="spectrum",
        title="Where the variance lies",
        help="How much the features vary along each independent direction; a line that falls "
        "steeply means that a few directions say everything.",
        panels=(panel,),
        size="quarter",
        height=190,
        place="layer",
    )
