"""The README's table of what the presets give, made from the committed result file.

python benchmarks/presets_table.py            prints the tables
python benchmarks/presets_table.py --check    exit code 1 where the README says something else
python benchmarks/presets_table.py --write    puts them between the README's two markers
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vcr_core.presets import find_preset

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "docs" / "results" / "presets.json"
README = ROOT / "README.md"
BEGIN = "<!-- presets:begin -->"
END = "<!-- presets:end -->"
COLUMNS = ("without", "with", "difference")


def main() -> None:
    """Print, check or write the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument("--check", action="store_true")
    choice.add_argument("--write", action="store_true")
    options = parser.parse_args()
    tables = presets_tables(json.loads(RESULTS.read_text(encoding="utf-8")))
    if not (options.check or options.write):
        print(tables)
        return
    text = README.read_text(encoding="utf-8")
    wanted = with_tables(text, tables)
    if options.write:
        README.write_text(wanted, encoding="utf-8")
    elif text != wanted:
        sys.exit(f"{README.name} and {RESULTS.name} disagree: run this with --write")


def presets_tables(results: Mapping[str, Any]) -> str:
    """One Markdown table a preset, and a line that says on what machine and with what versions."""
    tables = [_table(name, found["summary"]) for name, found in results["presets"].items()]
    return "\n\n".join([*tables, _machine(results)])


def with_tables(text: str, tables: str) -> str:
    """A document with the tables between its two markers.

    Raises:
        ValueError: the document does not have each marker once, in their order.
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end) or BEGIN in after or END in after:
        raise ValueError(f"expected one '{BEGIN}' and one '{END}' after it")
    return f"{before}{BEGIN}\n{tables}\n{END}{after}"


def _table(name: str, summary: Mapping[str, Any]) -> str:
    preset = find_preset(name)
    lines = [
        f"**{preset.title}** (`{name}`, {summary['n']} seeds, a pair takes "
        f"{summary['seconds_median']:.0f} s, {summary['seconds_max']:.0f} s at most)",
        "",
        f"| task | {' | '.join(COLUMNS)} |",
        "|---|---:|---:|---:|",
    ]
    for task, row in summary["rows"].items():
        label = {
            "source": f"{preset.config.data.source} (trained on)",
            "effective_rank": "effective rank",
        }.get(task, task)
        digits = 1 if task == "effective_rank" else 3
        cells = [_cell(row[column], digits, signed=column == "difference") for column in COLUMNS]
        lines.append(f"| {label} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(value: Mapping[str, float], digits: int, *, signed: bool) -> str:
    mean = f"{value['mean']:{'+' if signed else ''}.{digits}f}".replace("-", "−")
    return f"{mean} ± {value['std']:.{digits}f}"


def _machine(results: Mapping[str, Any]) -> str:
    machine = results["machine"]
    return (
        "Accuracies on held-out images, mean ± standard deviation over the seeds; the difference "
        "is taken seed by seed. "
        f"Measured on {results['made']}: {machine['cpu']}, {machine['cores']} cores, "
        f"{machine['memory_gib']} GiB, {machine['system']}, Python {machine['python']}, "
        f"torch {machine['torch']}, {machine['slots']} runs at a time."
    )


if __name__ == "__main__":
    main()
