"""A study's table, figure and data, as files that read on their own."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vcr_core.evidence.conduct import done_jobs, total_jobs
from vcr_core.evidence.findings import MEAN, SOURCE, Finding, findings
from vcr_core.evidence.prediction import known_settings, prediction_tree
from vcr_core.evidence.rows import ResultFile
from vcr_core.figures.svg import Gain, forest, grid, scatter
from vcr_core.statistics import Estimate, paired_p_value

WHEN, DOSE, PRICE = "when", "dose", "price"
#: Measures shown beside the means, for the study of what it costs.
TRUST = "trust/"
AXIS = "Gain in mean transfer accuracy over the baseline, in points, with 95 % intervals"


def write_report(results: ResultFile, folder: Path) -> list[Path]:
    """Write ``NAME.json``, ``NAME.md`` and ``NAME.svg`` beside the result file; their paths."""
    files = report_files(results)
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    return [folder / name for name in files]


def report_files(results: ResultFile) -> dict[str, str]:
    """The text of every file of a report, by its name."""
    name = results.study.name
    files = {
        f"{name}.json": json.dumps(report_tree(results), indent=1, ensure_ascii=False) + "\n",
        f"{name}.md": report_page(results),
    }
    figure = report_figure(results)
    return files | ({f"{name}.svg": figure} if figure else {})


def report_tree(results: ResultFile) -> dict[str, Any]:
    """All that was found, as plain data."""
    study = results.study
    tree: dict[str, Any] = {
        "study": study.name,
        "title": study.title,
        "question": study.question,
        "seeds": list(study.seeds),
        "tuning seeds": list(study.tuning_seeds),
        "runs": {"done": done_jobs(results), "of": total_jobs(study)},
        "core hours": round(core_seconds(results) / 3600, 3),
        "environments": results.environments,
        "findings": [finding.to_tree() for finding in findings(results)],
    }
    if study.name == WHEN:
        tree["prediction"] = prediction_tree(results)
    return tree


def core_seconds(results: ResultFile) -> float:
    """Seconds of one core that all runs trained for."""
    return sum(row.seconds for row in results.rows.values())


def report_page(results: ResultFile) -> str:
    """The study as a Markdown page."""
    study = results.study
    found = findings(results)
    blocks = [
        f"# {study.title}",
        study.question,
        _how(results),
        _table(found),
    ]
    if study.name.startswith(PRICE):
        blocks.append(_trust_table(found))
    if study.name == WHEN:
        blocks.append(_prediction_table(results))
    blocks.append(f"![{study.title}]({study.name}.svg)")
    return "\n\n".join(blocks) + "\n"


def _how(results: ResultFile) -> str:
    study = results.study
    trials = max(len(arm.candidates) for _, arm in study.arms())
    tuned = (
        f"Every side was tuned with {trials} trials on {len(study.tuning_seeds)} other seeds, "
        "on a fifth of the training images. "
        if trials > 1
        else ""
    )
    machines = "; ".join(_machine(each) for each in results.environments)
    return (
        f"{len(study.seeds)} seeds, means ± standard error, differences and the p-value of the "
        f"t test paired by seed. {tuned}{done_jobs(results):,} of {total_jobs(study):,} runs, "
        f"{core_seconds(results) / 3600:.2f} core-hours of training. {machines}. "
        f"Every run: [{study.name}.jsonl]({study.name}.jsonl)."
    )


def _machine(environment: Mapping[str, Any]) -> str:
    keys = ("platform", "cores", "memory_gib", "python", "torch", "vcr_lab")
    system, cores, memory, python, torch, version = (environment.get(key, "?") for key in keys)
    return (
        f"{system}, {cores} cores, {memory} GiB, one thread a run, Python {python}, "
        f"torch {torch}, VCR Lab {version}"
    )


def _table(found: Sequence[Finding]) -> str:
    lines = [
        "| setting | side | chosen | source | mean transfer | difference | p |",
        "|---|---|---|---:|---:|---:|---:|",
    ]
    for finding in found:
        gain = finding.gain
        p = None if gain is None else paired_p_value(gain)
        cells = [
            finding.setting,
            finding.arm + (f" ({finding.failed} failed)" if finding.failed else ""),
            _chosen(finding) if finding.candidates > 1 else "",
            _plus_minus(finding.measures.get(SOURCE)),
            _plus_minus(finding.measures.get(MEAN)),
            _plus_minus(gain, sign=True),
            "" if p is None else "< .001" if p < 0.001 else f"{p:.3f}".lstrip("0"),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _chosen(finding: Finding) -> str:
    changes = (f"{key.rpartition('.')[2]} {_value(value)}" for key, value in finding.chosen.items())
    return ", ".join(changes).replace("_", " ") or "as given"


def _value(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _plus_minus(found: Estimate | None, *, sign: bool = False) -> str:
    if found is None:
        return ""
    mean = f"{found.mean:+.3f}" if sign else f"{found.mean:.3f}"
    return mean if found.standard_error is None else f"{mean} ± {found.standard_error:.3f}"


def _trust_table(found: Sequence[Finding]) -> str:
    """The price: every target, calibration and the detection of other images."""
    blocks = []
    for setting in dict.fromkeys(finding.setting for finding in found):
        arms = [finding for finding in found if finding.setting == setting]
        names = [
            name for name in arms[0].measures if name != MEAN and not name.startswith("features/")
        ]
        head = " | ".join(name.removeprefix(TRUST) for name in names)
        lines = [f"**{setting}**", "", f"| side | {head} |", f"|---|{'---:|' * len(names)}"]
        for finding in arms:
            cells = (
                _plus_minus(finding.gains.get(name) or finding.measures.get(name))
                if finding is arms[0]
                else _plus_minus(finding.gains.get(name), sign=True)
                for name in names
            )
            lines.append(f"| {finding.arm} | {' | '.join(cells)} |")
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks)


def _prediction_table(results: ResultFile) -> str:
    tree = prediction_tree(results)
    lines = [
        f"VCR raised transfer beyond doubt in {tree['helped']} of {tree['settings']} settings and "
        f"lowered it in {tree['harmed']}. Rank correlation of the gain with what can be measured "
        "on the baseline alone, and with what neighbouring settings tell when groups are left "
        "out (95 % intervals by bootstrap over families):",
        "",
        "| told from | rank correlation | 'likely' said | right |",
        "|---|---:|---:|---:|",
    ]
    for name, found in tree["measures"].items():
        lines.append(f"| {name.replace('_', ' ')} | {_correlation(found)} | | |")
    for name, found in tree["advice with … held out"].items():
        said = f"{found['said likely']} | {found['right']}"
        lines.append(f"| advice, each {name} left out | {_correlation(found)} | {said} |")
    return "\n".join(lines)


def _correlation(found: Mapping[str, float]) -> str:
    return f"{found['correlation']:.2f} ({found['low']:.2f} to {found['high']:.2f})"


def report_figure(results: ResultFile) -> str:
    """The study's figure as SVG; empty before anything was compared."""
    study = results.study
    if study.name.startswith(DOSE):
        return _dose(results)
    if study.name == WHEN:
        return when_figure(results)
    gains = [gain for finding in findings(results) if (gain := _gain(finding)) is not None]
    return forest(study.title, AXIS, gains) if gains else ""


def _gain(finding: Finding) -> Gain | None:
    gain = finding.gain
    if gain is None or gain.low is None or gain.high is None:
        return None
    label = f"{finding.setting} · {finding.arm}"
    return Gain(label, gain.mean, gain.low, gain.high, group=finding.tags.get("network", ""))


def when_figure(results: ResultFile) -> str:
    """The gain of every setting over the effective rank of its baseline."""
    points = [
        Gain(
            setting.name,
            setting.gain,
            setting.low,
            setting.high,
            group=setting.family.partition(", ")[2],
            x=setting.measured["effective_rank"],
        )
        for setting in known_settings(results)
    ]
    title = f"{len(points)} settings: the gain, over the effective rank of the baseline"
    return scatter(title, "effective rank of the baseline's features", AXIS, points)


def _dose(results: ResultFile) -> str:
    """The gain over the variance weight (rows) and the covariance weight (columns)."""
    by_arm = {finding.arm: finding for finding in findings(results)}
    names = list(dict.fromkeys(arm.split(", ")[0] for arm in by_arm))
    rows = []
    for variance in names:
        cells = [by_arm.get(f"{variance}, {covariance}") for covariance in names]
        rows.append([cell.gain.mean if cell is not None and cell.gain else 0.0 for cell in cells])
    title = f"{results.study.title} Gain in mean transfer accuracy, in points"
    return grid(title, "columns: covariance weight", "rows: variance weight", names, rows)
