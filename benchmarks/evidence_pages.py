"""Every page, figure and table that is made from the result files of the studies of evidence.

    python benchmarks/evidence_pages.py           # say which files differ from what they should be
    python benchmarks/evidence_pages.py --write   # write them

Figures follow from ``docs/evidence/NAME.jsonl`` alone; the result files themselves are written by
``vcr-lab evidence NAME``.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vcr_core.evidence.claims import claims_page
from vcr_core.evidence.findings import findings
from vcr_core.evidence.prediction import make_table
from vcr_core.evidence.report import WHEN, report_files, report_tree
from vcr_core.evidence.rows import ResultFile, open_results
from vcr_core.evidence.studies import STUDIES, find_study

ROOT = Path(__file__).resolve().parents[1]
FOLDER = Path("docs/evidence")
TABLE = Path("vcr_core/advisor/settings.json")
README = Path("README.md")
BEGIN, END = "<!-- evidence:begin -->", "<!-- evidence:end -->"
FIGURES = (WHEN, "real-images")
COMPARED = {
    "terms": "both",
    "dose": "1, 1",
    "price": "1, 1",
}  # the side that is counted, else "vcr"


def expected_files() -> dict[Path, str]:
    """What every made file should hold, by its path from the project's root."""
    studies = {
        name: open_results(ROOT / FOLDER / f"{name}.jsonl", find_study(name)) for name in STUDIES
    }
    files = {
        FOLDER / name: text
        for results in studies.values()
        for name, text in report_files(results).items()
    }
    files[FOLDER / "README.md"] = claims_page(studies)
    files[TABLE] = make_table(studies[WHEN]).to_json()
    before, _, rest = (ROOT / README).read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    files[README] = f"{before}{BEGIN}\n{readme_block(studies)}\n{END}{after}"
    return files


def readme_block(studies: Mapping[str, ResultFile]) -> str:
    """The README's table of all studies, and two of their figures."""
    trees = {name: report_tree(results) for name, results in studies.items()}
    lines = [
        "| study | settings | gained | lost | open | mean gain | runs | core-hours |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
        *(_row(name, trees[name], studies[name]) for name in trees),
    ]
    runs = sum(tree["runs"]["done"] for tree in trees.values())
    hours = sum(tree["core hours"] for tree in trees.values())
    told = trees[WHEN]["prediction"]["advice with … held out"]["family"]
    network = trees[WHEN]["prediction"]["advice with … held out"]["network"]
    figures = (f"![{studies[name].study.title}]({FOLDER}/{name}.svg)" for name in FIGURES)
    return "\n\n".join(
        [
            "\n".join(lines),
            "Settings are counted where VCR was compared with its baseline (with both weights at 1 "
            "where a study compares several doses); *gained* and *lost* "
            "mean that the 95 % interval of the difference, paired over 5 seeds, leaves zero "
            f"out. {runs:,} runs, {hours:.1f} core-hours of training in all; machine, versions "
            "and every run are on the pages.",
            "\n\n".join(figures),
            "How well can one tell beforehand? With whole families of settings left out, "
            "`vcr-lab advise` ordered the gains with a rank correlation of "
            f"{told['correlation']:.2f} (95 % interval {told['low']:.2f} to {told['high']:.2f}), "
            f"and was right {told['right']} of the {told['said likely']} times that it said "
            "'likely'. It says so with every answer. For a kind of network that was left out, the "
            f"size of the gain could not be told ({network['correlation']:.2f}, "
            f"{network['low']:.2f} to {network['high']:.2f}). What became of each of the paper's "
            f"claims, and what surprised us: [{FOLDER}/README.md]({FOLDER}/README.md).",
        ]
    )


def _row(name: str, tree: Mapping[str, Any], results: ResultFile) -> str:
    side = COMPARED.get(name, "vcr")
    gains = [each.gain for each in findings(results) if each.arm == side and each.gain is not None]
    gained = sum(gain.low is not None and gain.low > 0 for gain in gains)
    lost = sum(gain.high is not None and gain.high < 0 for gain in gains)
    counts = f"{len(gains)} | {gained} | {lost} | {len(gains) - gained - lost}"
    mean = 100 * sum(gain.mean for gain in gains) / len(gains)
    runs = f"{len(results.rows):,} | {tree['core hours']:.2f}"
    title = f"[{results.study.title}]({FOLDER}/{name}.md)"
    return f"| {title} | {counts} | {mean:+.1f} points | {runs} |"


def stale_files() -> dict[Path, str]:
    """The made files that differ from what they should be, with the text they should hold."""
    return {
        path: text
        for path, text in expected_files().items()
        if not (ROOT / path).exists() or (ROOT / path).read_text(encoding="utf-8") != text
    }


def main() -> None:
    """Say which files differ, or write them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="write the files that differ")
    write = parser.parse_args().write
    stale = stale_files()
    for path, text in stale.items():
        print(f"{'written' if write else 'differs'}: {path}")
        if write:
            (ROOT / path).write_text(text, encoding="utf-8")
    if stale and not write:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
