"""One run, a pair or up to twelve runs as one HTML file that reads well on its own.

Heading, what came out, results with differences, figures, settings, what was turned, how to repeat
it. Nothing is loaded from elsewhere: Plotly is inside.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from html import escape
from string import Template

from vcr_core.comparison.charts import (
    banded,
    curve_charts,
    difference_chart,
    group_lines,
    matrix_chart,
)
from vcr_core.comparison.curves import mean_history
from vcr_core.comparison.groups import Group, group_runs, shown_value, value_of
from vcr_core.comparison.results import MEAN, SOURCE, Comparison, compare
from vcr_core.comparison.settings import differing_settings
from vcr_core.comparison.text import (
    MEASURES,
    MISSING,
    Say,
    estimate_text,
    how_to_read,
    result_cells,
)
from vcr_core.config import differences, fields
from vcr_core.errors import ConfigError
from vcr_core.figures import ArrayKey, Chart, History, RunLine, plotly_folder, read_past, to_figure
from vcr_core.figures.drawing import describe
from vcr_core.figures.export import WIDEST
from vcr_core.presets import DEFAULT_PRESET, PRESETS
from vcr_core.presets.command import command_line
from vcr_core.statistics import signed
from vcr_core.store import Run, Store

MOST_RUNS = 12
TITLE_ROOM = 75  # pixels above a figure's panels, for their titles and the marks of knob moves
PANEL_WIDTH = 250  # pixels: several panels beside each other get no narrower, one scrolls
MOST_LEGEND_LINES = 4
WORDS = {
    "came_out": "What came out",
    "results": "Results and differences",
    "figures": "Figures",
    "differing": "Settings that differ",
    "all_settings": "All settings of {label}",
    "repeat": "Repeat it",
    "runs": "Runs",
    "measure": "Measure",
    "setting": "Setting",
    "value": "Value",
    "comparison": "Comparison of {count} runs",
    "reached": "{label}: {source} on the task that was trained, {transfer} mean transfer.",
    "gain": "{label} against {reference}: {points} points of mean transfer accuracy{interval}.",
    "interval": " (95 % interval {low} to {high}, n = {n})",
    "clear": "The interval leaves zero out.",
    "unclear": "The interval holds zero: no clear difference.",
    "nothing": "Nothing was measured yet.",
    "bands": "Lines: mean over the seeds of a group. Bands: ± one standard error of that mean. "
    "Runs are a group where they differ in nothing but the seed.",
    "scale": "Violet is −1 or below, white 0, green +1 or above.",
    "made": "Made {date} by VCR Lab.",
}
PAGE = Template("""<!doctype html>
<html lang="$language">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<style>
body { max-width: 1080px; margin: 0 auto; padding: 28px 18px 60px; color: #31333f;
  background: #ffffff; font: 16px/1.5 "Source Sans 3", system-ui, sans-serif; }
h1 { font-size: 28px; margin: 0 0 4px; } h2 { font-size: 21px; margin: 36px 0 8px; }
h3 { font-size: 17px; margin: 0; } h3 + .note { margin: 2px 0 0; }
.facts, .note, figcaption { color: #5c6070; font-size: 15px; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: 6px 22px 6px 0; text-align: left; vertical-align: top; white-space: pre-line;
  border-bottom: 1px solid rgba(49, 51, 63, 0.15); }
figure { margin: 18px 0; break-inside: avoid; }
code, pre { font: 14px/1.5 ui-monospace, monospace; }
pre { padding: 12px 14px; overflow-x: auto; background: #f5f6f8; border-radius: 8px;
  white-space: pre-wrap; }
details { margin: 8px 0; } summary { cursor: pointer; }
</style>
<script>$plotly</script>
</head>
<body>
<main>
<h1>$title</h1>
<p class="facts">$facts</p>
$body
</main>
</body>
</html>
""")


def html_table(
    head: Sequence[str], rows: Sequence[Sequence[str]], heading: Callable[[str], str] = escape
) -> str:
    """A table whose first column names its rows; everything in it is shown as text.

    ``heading`` makes the HTML of what stands in its first row and first column.
    """
    columns = "".join(f'<th scope="col">{heading(text)}</th>' for text in head)
    lines = "".join(
        f'<tr><th scope="row">{heading(row[0])}</th>'
        + "".join(f"<td>{escape(text)}</td>" for text in row[1:])
        + "</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{columns}</tr></thead><tbody>{lines}</tbody></table>"


def html_report(
    store: Store,
    run_ids: Sequence[str],
    *,
    say: Say = str,
    translated: Callable[[Chart], Chart] = lambda chart: chart,
    language: str = "en",
) -> str:
    """The report of some runs; ``say`` translates its sentences, ``translated`` its charts.

    Raises:
        ConfigError: none or more than twelve runs.
        UnknownRunError: the store does not hold one of them.
    """
    ids = list(dict.fromkeys(run_ids))
    if not 1 <= len(ids) <= MOST_RUNS:
        raise ConfigError(f"expected 1 to {MOST_RUNS} runs for a report, got {len(ids)}")
    runs = [store.run(run) for run in ids]
    groups = group_runs(store, runs)
    found = compare(store, groups, groups[0])
    words = {name: say(text) for name, text in WORDS.items()}
    parts = [
        _came_out(found, words, say),
        _results(found, words, say),
        _figures(store, groups, runs, words, translated),
        _settings(store, groups, words, say),
        _repeat(groups, words),
    ]
    return PAGE.substitute(
        language=language,
        title=escape(_title(runs, words, say)),
        facts=escape(_facts(runs, words)),
        plotly=(plotly_folder() / "plotly.min.js").read_text(encoding="utf-8"),
        body="\n".join(parts),
    )


def _title(runs: Sequence[Run], words: dict[str, str], say: Say) -> str:
    presets = {run.preset for run in runs}
    if len(presets) == 1 and (name := presets.pop()) in PRESETS:
        return say(PRESETS[name].title)
    if len(runs) == 1:
        return f"{runs[0].config.data.source} ({runs[0].config.data.dataset})"
    return words["comparison"].format(count=len(runs))


def _facts(runs: Sequence[Run], words: dict[str, str]) -> str:
    environments = [run.environment for run in runs]
    facts = [
        ", ".join(dict.fromkeys(run.config.data.dataset for run in runs)),
        ", ".join(dict.fromkeys(run.config.model.name for run in runs)),
        ", ".join(
            dict.fromkeys(str(e.get("device_name") or e.get("device")) for e in environments)
        ),
        "torch " + ", ".join(dict.fromkeys(str(e.get("torch")) for e in environments)),
        words["made"].format(date=datetime.now(tz=UTC).date().isoformat()),
    ]
    return " · ".join(fact for fact in facts if "None" not in fact)


def _section(title: str, *parts: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{''.join(parts)}</section>"


def _paragraph(text: str, kind: str = "") -> str:
    return f'<p class="{kind}">{escape(text.replace("*", ""))}</p>'


def _came_out(found: Comparison, words: dict[str, str], say: Say) -> str:
    """One sentence a group, then one a difference."""
    lines = []
    for group in found.groups:
        results = found.results[group.id]
        if SOURCE in results:
            told = {name: estimate_text(results.get(name), percent=True) for name in (SOURCE, MEAN)}
            label = say(group.label)
            line = words["reached"].format(label=label, source=told[SOURCE], transfer=told[MEAN])
            lines.append(line)
    for group in found.groups:
        gain = found.gains.get(group.id, {}).get(MEAN)
        if gain is not None:
            lines.append(_gain(found, group, words, say))
    told_lines = "".join(f"<li>{escape(line)}</li>" for line in lines or [words["nothing"]])
    return _section(words["came_out"], f"<ul>{told_lines}</ul>")


def _gain(found: Comparison, group: Group, words: dict[str, str], say: Say) -> str:
    gain = found.gains[group.id][MEAN].difference
    interval, verdict = "", ""
    if gain.low is not None and gain.high is not None:
        low, high = signed(100 * gain.low), signed(100 * gain.high)
        interval = words["interval"].format(low=low, high=high, n=gain.n)
        verdict = f" {words['clear' if gain.is_clear else 'unclear']}"
    told = words["gain"].format(
        label=say(group.label),
        reference=say(found.reference.label),
        points=signed(100 * gain.mean),
        interval=interval,
    )
    return f"{told}{verdict}"


def _results(found: Comparison, words: dict[str, str], say: Say) -> str:
    groups = [f"{say(group.label)} (n = {len(group.runs)})" for group in found.groups]
    rows = [
        [say(MEASURES.get(measure, measure)), *result_cells(found, measure, say)]
        for measure in found.measures
    ]
    table = html_table([words["measure"], *groups], rows)
    note = _paragraph(how_to_read(found, say(found.reference.label), say), "note")
    return _section(words["results"], f'<div class="wide">{table}</div>', note)


def _figures(
    store: Store,
    groups: Sequence[Group],
    runs: Sequence[Run],
    words: dict[str, str],
    translated: Callable[[Chart], Chart],
) -> str:
    lines = group_lines(groups)
    several = {group.id for group in groups if len(group.runs) > 1}
    charts = [banded(chart, several) for chart in curve_charts(runs, lines)]
    history = mean_history(store, groups, charts)
    drawn = [_figure(translated(chart), history) for chart in charts]
    if several:
        drawn.append(_paragraph(words["bands"], "note"))
    matrices, past = _matrices(store, groups, lines)
    drawn += [_figure(translated(chart), past, words["scale"]) for chart in matrices]
    return _section(words["figures"], *drawn)


def _matrices(
    store: Store, groups: Sequence[Group], lines: Sequence[RunLine]
) -> tuple[list[Chart], History]:
    """The last layer's correlations at the newest step, and the differences to the first group."""
    layers = groups[0].runs[0].config.layer_names
    shared = [name for name in layers if all(name in g.runs[0].config.layer_names for g in groups)]
    if not shared:
        return [], History()
    charts = [matrix_chart(lines, shared[-1], matrix="correlation", clustered=False)]
    if len(lines) > 1:
        charts.append(
            difference_chart(lines, lines[0], shared[-1], matrix="correlation", clustered=False)
        )
    keys = {key for chart in charts for key in chart.sources() if isinstance(key, ArrayKey)}
    found = read_past(store, sorted(keys), max(group.runs[0].step for group in groups))
    return (charts if found else []), History(arrays=found)


def _figure(chart: Chart, history: History, caption: str = "") -> str:
    """Heading and sentence are text of the page, which finds its own line breaks on a phone."""
    figure = to_figure(chart, history)
    named = sum(bool(trace.showlegend) for trace in figure.data)
    legend = 20 * min(max(named - 1, 0), MOST_LEGEND_LINES)
    height = figure.layout.height - figure.layout.margin.t + TITLE_ROOM + legend
    figure.update_layout(
        title={"text": "", "subtitle": {"text": ""}},
        height=height,
        margin={"t": TITLE_ROOM, "b": figure.layout.margin.b + legend},
    )
    drawn = figure.to_html(
        full_html=False,
        include_plotlyjs=False,
        config={
            "displaylogo": False,
            "responsive": True,
            "toImageButtonOptions": {"format": "svg", "filename": f"vcr-lab {chart.id}"},
        },
    )
    alt = "; ".join(describe(chart, panel) for panel in chart.panels[:1])
    least = PANEL_WIDTH * min(len(chart.panels), WIDEST) if len(chart.panels) > 1 else 0
    told = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
    return (
        f'<figure role="group" aria-label="{escape(alt)}"><h3>{escape(chart.title)}</h3>'
        f'<p class="note">{escape(chart.help)}</p><div class="wide">'
        f'<div style="min-width: {least}px">{drawn}</div></div>{told}</figure>'
    )


def _settings(store: Store, groups: Sequence[Group], words: dict[str, str], say: Say) -> str:
    parts = []
    rows = differing_settings(store, groups)
    if rows:
        head = [words["setting"], *(say(group.label) for group in groups)]
        body = [[say(row.title), *(value or MISSING for value in row.values)] for row in rows]
        parts.append(f'<div class="wide">{html_table(head, body)}</div>')
    for group in groups:
        values = [
            [f"{say(str(info.title))} ({name})", shown_value(value_of(group.runs[0], name))]
            for name, info in fields().items()
        ]
        title = words["all_settings"].format(label=say(group.label))
        table = html_table([words["setting"], words["value"]], values)
        parts.append(f"<details><summary>{escape(title)}</summary>{table}</details>")
    return _section(words["differing"] if rows else words["setting"], *parts)


def _repeat(groups: Sequence[Group], words: dict[str, str]) -> str:
    """A command line a run, and the ids under which they are kept.

    A run of no preset is one of the first preset with changes. A fork has no such line: it began
    with another run's weights.
    """
    commands = []
    for run in (run for group in groups for run in group.runs):
        line = f"# {run.id}"
        if run.parent_id is None:
            base = run.preset if run.preset in PRESETS else DEFAULT_PRESET
            changes = differences(run.config, PRESETS[base].config)
            line = f"{command_line(base, changes)}  {line}"
        commands.append(line)
    return _section(words["repeat"], f"<pre>{escape(chr(10).join(commands))}</pre>")
