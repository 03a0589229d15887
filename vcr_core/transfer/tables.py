"""Tables like the paper's Table 1: rows are runs, columns are targets, average and difference.

A row with one run shows the interval over its test images (or draws), a row with several runs
(seeds) that over runs. Differences to the baseline are taken pair by pair: the same image, the
same draw or the same seed under both. Nothing here imports torch.
"""

from __future__ import annotations

import html
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vcr_core.errors import DataError
from vcr_core.transfer.intervals import Interval, difference_interval, mean_interval
from vcr_core.transfer.results import TargetResult

AVERAGE = "average"
NONE = "–"

#: The targets of one run.
RunResults = Sequence[TargetResult]


@dataclass(frozen=True)
class Cell:
    """An accuracy and, where there is a baseline to pair with, the difference to it."""

    accuracy: Interval
    difference: Interval | None

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        difference = None if self.difference is None else self.difference.as_dict()
        return {**self.accuracy.as_dict(), "difference": difference}


@dataclass(frozen=True)
class TableRow:
    """One kind of run: how many of it, a cell for every target, and their average."""

    label: str
    runs: int
    cells: Mapping[str, Cell]
    average: Cell


@dataclass(frozen=True)
class TransferTable:
    """Rows against targets; the first row is the baseline of the differences."""

    protocol: str
    targets: tuple[str, ...]
    rows: tuple[TableRow, ...]

    def header(self) -> list[str]:
        """The columns' titles."""
        return ["run", *self.targets, AVERAGE, "difference"]

    def lines(self) -> list[list[str]]:
        """The cells as texts, in per cent with half widths of the intervals."""
        return [
            [
                row.label if row.runs == 1 else f"{row.label} ({row.runs} runs)",
                *(percent(row.cells[target].accuracy) for target in self.targets),
                percent(row.average.accuracy),
                NONE
                if row.average.difference is None
                else percent(row.average.difference, signed=True),
            ]
            for row in self.rows
        ]

    def as_dict(self) -> dict[str, Any]:
        """Plain data: shares of 1, with the ends of every interval."""
        return {
            "protocol": self.protocol,
            "targets": list(self.targets),
            "rows": [
                {
                    "label": row.label,
                    "runs": row.runs,
                    "targets": {target: cell.as_dict() for target, cell in row.cells.items()},
                    AVERAGE: row.average.as_dict(),
                }
                for row in self.rows
            ],
        }

    def to_json(self) -> str:
        """The table as JSON."""
        return json.dumps(self.as_dict(), indent=1, ensure_ascii=False)

    def to_text(self) -> str:
        """The table for a terminal, columns aligned."""
        grid = [self.header(), *self.lines()]
        widths = [max(len(line[i]) for line in grid) for i in range(len(grid[0]))]
        return "\n".join(
            "  ".join(
                text.ljust(width) if i == 0 else text.rjust(width)
                for i, (text, width) in enumerate(zip(line, widths, strict=True))
            ).rstrip()
            for line in grid
        )

    def to_markdown(self) -> str:
        """The table for a README; the highest accuracy of every column in bold."""
        body = [
            [f"**{text}**" if (i, j) in self._best() else text for j, text in enumerate(line)]
            for i, line in enumerate(self.lines())
        ]
        rule = ["---", *["---:"] * (len(self.header()) - 1)]
        escaped = [[text.replace("|", "\\|") for text in line] for line in [self.header(), *body]]
        return "\n".join(f"| {' | '.join(line)} |" for line in [escaped[0], rule, *escaped[1:]])

    def to_html(self) -> str:
        """The table for a page; the highest accuracy of every column in bold."""
        head = "".join(f'<th scope="col">{html.escape(text)}</th>' for text in self.header())
        body = []
        for i, (label, *texts) in enumerate(self.lines()):
            cells = [html.escape(text) for text in texts]
            marked = [
                f"<b>{text}</b>" if (i, j) in self._best() else text
                for j, text in enumerate(cells, start=1)
            ]
            row = "".join(f"<td>{text}</td>" for text in marked)
            body.append(f'<tr><th scope="row">{html.escape(label)}</th>{row}</tr>')
        return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table>"

    def _best(self) -> set[tuple[int, int]]:
        """Places (row, column) of the highest accuracies, where there is more than one row."""
        if len(self.rows) < 2:
            return set()
        columns = [
            *([row.cells[target].accuracy.mean for row in self.rows] for target in self.targets),
            [row.average.accuracy.mean for row in self.rows],
        ]
        return {
            (i, j)
            for j, values in enumerate(columns, start=1)
            for i, value in enumerate(values)
            if value == max(values)
        }


def transfer_table(protocol: str, rows: Mapping[str, Sequence[RunResults]]) -> TransferTable:
    """A table of ``rows``: a label, and the results of one run or of several (seeds, in order).

    The first row is the baseline.

    Raises:
        DataError: no rows, a row without runs, or runs that were probed on different targets.
    """
    targets = _targets(rows)
    baseline = next(iter(rows.values()))
    made = []
    for label, runs in rows.items():
        other = None if runs is baseline else baseline
        cells = {target: _cell(target, runs, other) for target in targets}
        made.append(TableRow(label, len(runs), cells, _average(targets, cells, runs, other)))
    return TransferTable(protocol, targets, tuple(made))


def percent(interval: Interval, *, signed: bool = False) -> str:
    """An accuracy in per cent with the half width of its interval, for example ``67.9 ± 0.4``."""
    mean = f"{100 * interval.mean:{'+' if signed else ''}.1f}"
    half = interval.half_width
    return mean if math.isnan(half) else f"{mean} ± {100 * half:.1f}"


def _targets(rows: Mapping[str, Sequence[RunResults]]) -> tuple[str, ...]:
    if not rows or not all(rows.values()):
        raise DataError("expected at least one probed run in every row of the table, got none")
    named = [tuple(result.target for result in run) for runs in rows.values() for run in runs]
    if not named[0] or any(set(names) != set(named[0]) for names in named):
        shown = "; ".join(sorted({", ".join(names) or "none" for names in named}))
        raise DataError(
            f"expected runs that were probed on the same targets, got {shown}: "
            "name the targets with --targets"
        )
    return named[0]


def _cell(target: str, runs: Sequence[RunResults], baseline: Sequence[RunResults] | None) -> Cell:
    ours = [_of(target, run) for run in runs]
    accuracies = [result.accuracy for result in ours]
    interval = ours[0].interval if len(ours) == 1 else mean_interval(accuracies)
    if baseline is None:
        return Cell(interval, None)
    theirs = [_of(target, run) for run in baseline]
    if len(ours) == len(theirs) == 1:
        return Cell(interval, _difference(ours[0].samples, theirs[0].samples))
    return Cell(interval, _difference(accuracies, [result.accuracy for result in theirs]))


def _average(
    targets: Sequence[str],
    cells: Mapping[str, Cell],
    runs: Sequence[RunResults],
    baseline: Sequence[RunResults] | None,
) -> Cell:
    """The mean over targets; within one run its half width is the mean of theirs.

    That is right where the targets' errors go together (they may share images), and too wide
    otherwise: never too narrow.
    """
    if len(runs) == 1:
        differences = [cell.difference for cell in cells.values()]
        known = [difference for difference in differences if difference is not None]
        accuracy = _mean_of([cell.accuracy for cell in cells.values()])
        return Cell(accuracy, _mean_of(known) if len(known) == len(targets) else None)
    means = _means(runs)
    difference = None if baseline is None else _difference(means, _means(baseline))
    return Cell(mean_interval(means), difference)


def _mean_of(intervals: Sequence[Interval]) -> Interval:
    n = len(intervals)
    return Interval(*(sum(ends) / n for ends in zip(*intervals, strict=True)))


def _means(runs: Sequence[RunResults]) -> list[float]:
    return [sum(result.accuracy for result in run) / len(run) for run in runs]


def _difference(ours: Sequence[float], theirs: Sequence[float]) -> Interval | None:
    """The paired difference, or none where there are no pairs."""
    return difference_interval(ours, theirs) if len(ours) == len(theirs) else None


def _of(target: str, run: RunResults) -> TargetResult:
    return next(result for result in run if result.target == target)
