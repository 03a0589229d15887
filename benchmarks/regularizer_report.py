"""What the regulariser costs and what cheaper ones keep, as tables made from the result files.

python benchmarks/regularizer_report.py            prints them
python benchmarks/regularizer_report.py --check    exit code 1 where the page says something else
python benchmarks/regularizer_report.py --write    puts them between the page's two markers
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "docs" / "results"
GPU_RESULTS = RESULTS / "gpu"
NEVER_ON_A_GPU = "Nothing here was ever measured on a GPU."
PAGE = ROOT / "docs" / "cost.md"
BEGIN = "<!-- measured:begin -->"
END = "<!-- measured:end -->"


def main() -> None:
    """Print, check or write the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument("--check", action="store_true")
    choice.add_argument("--write", action="store_true")
    options = parser.parse_args()
    tables = all_tables()
    if not (options.check or options.write):
        print(tables)
        return
    text = PAGE.read_text(encoding="utf-8")
    wanted = with_tables(text, tables)
    if options.write:
        PAGE.write_text(wanted, encoding="utf-8")
    elif text != wanted:
        sys.exit(f"{PAGE.name} and the result files disagree: run this with --write")


def with_tables(text: str, tables: str) -> str:
    """The page with the tables between its two markers."""
    before, _, rest = text.partition(BEGIN)
    return f"{before}{BEGIN}\n{tables}\n{END}{rest.partition(END)[2]}"


def all_tables() -> str:
    """Every table with its heading and the machine it was measured on."""
    parts = [
        ("A whole training step", _steps(_read("regularizer_step"), _read("regularizer_memory"))),
        ("Large networks at 224 px", _networks(_read("regularizer_networks"))),
        ("One layer", _layers(_read("regularizer"))),
        ("Cheaper estimators", _estimators(_read("light_budget"))),
        ("The light budget again", _estimators(_read("light_budget_again"))),
        ("The gradient of drawn samples", _draws(_read("draw_bias"))),
        ("One all-reduce for every layer, or one for all", _reduces(_read("all_reduce"))),
        ("How often the host waits for an accelerator", _waits(_read("transfers"))),
        ("On a GPU", _on_gpu(GPU_RESULTS)),
    ]
    return "\n\n".join(f"### {title}\n\n{table}" for title, table in parts)


def _read(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    return found


def _steps(times: Mapping[str, Any], memory: Mapping[str, Any]) -> str:
    peaks = {row["network"]: row for row in memory["networks"]}
    rows = []
    for row in times["networks"]:
        low, high = row["ratio_quartiles"]
        peak = peaks.get(row["network"])  # none for a preset: it is a network of the lines above
        rows.append(
            (
                f"{row['network']}, batch {row['batch']}",
                f"{row['milliseconds']['without']:.2f}",
                f"{row['milliseconds']['with']:.2f}",
                f"{row['ratio']:.2f} ({low:.2f} to {high:.2f})",
                *(f"{peak['mebibytes'][key]:.1f}" if peak else "" for key in ("without", "with")),
                f"{peak['ratio']:.3f}" if peak else "",
            )
        )
    head = ("network", "ms without", "ms with", "ratio", "MiB without", "MiB with", "ratio")
    return _table(head, rows) + _measured(
        times,
        f"Medians of {times['networks'][0]['trials']} paired trials in {times['processes']} "
        "processes (quartiles). Memory is that of "
        f"all tensors alive at once, at most, in the first {memory['steps']} steps. Times:",
    )


def _networks(found: Mapping[str, Any]) -> str:
    variants = list(found["networks"][0]["milliseconds"])
    rows = [
        (
            f"{row['network']}, batch {row['batch']}, {row['dtype']}",
            *(_seconds(row, name) for name in variants),
        )
        for row in found["networks"]
    ]
    note = (
        f"Seconds a step, medians of {found['networks'][0]['trials']} trials; in brackets the "
        "median of its ratio to identity in the same trial."
    )
    return _table(("network", *variants), rows) + _measured(found, note)


def _seconds(row: Mapping[str, Any], name: str) -> str:
    ratio = row["over_identity"][name]["median"]
    return f"{row['milliseconds'][name] / 1e3:.2f} ({ratio:.2f})"


def _layers(found: Mapping[str, Any]) -> str:
    rows = [
        (
            f"{' × '.join(map(str, case['shape']))} {case['layout'].replace('_', ' ')}",
            *(f"{case['milliseconds'][name]:.2f}" for name in LAYER_COLUMNS),
            f"{case['ours_over_two_products']:.2f}",
            f"{case['naive_over_ours']:.1f}",
        )
        for case in found["cases"]
    ]
    head = ("features", *LAYER_COLUMNS.values(), "ours ÷ products", "naive ÷ ours")
    note = (
        "Milliseconds, medians; the ratios are of added time (less identity's). *Products*: the "
        "two bare matrix products that the exact gradient cannot do without."
    )
    return _table(head, rows) + _measured(found, note)


LAYER_COLUMNS = {
    "identity": "identity",
    "floor": "products",
    "ours": "ours",
    "naive": "naive",
    "batch_norm": "batch norm",
    "lightly": "lightly",
}


def _estimators(found: Mapping[str, Any]) -> str:
    presets = list(found["summary"])
    networks = list(found["step_ratios"])
    rows = []
    for name in found["summary"][presets[0]]:
        gains = [found["summary"][preset][name] for preset in presets]
        cells = [
            f"{gain['gain']:.3f} ± {gain['gain_se']:.3f}"
            + ("" if name == "full" else f" ({_signed(-gain['less_than_full'])})")
            for gain in gains
        ]
        ratios = [found["step_ratios"][network].get(name) for network in networks]
        cells += [f"{ratio['ratio']:.2f}" if ratio else "" for ratio in ratios]
        rows.append((name, *cells))
    head = ("estimator", *presets, *(f"step, {network}" for network in networks))
    fewest = min(row["n"] for table in found["summary"].values() for row in table.values())
    note = (
        f"Gain in transfer accuracy over no penalty, mean ± standard error over {fewest} paired "
        "seeds (in brackets its difference to the full estimator's)."
    )
    table = _table(head, rows) + _measured(found, note)
    if not networks:
        return table
    times = _measured(
        {"machine": found["machine_of_times"]},
        "Step: time of a training step divided by one without penalty.",
    )
    return table + times.removeprefix("\n")


def _draws(found: Mapping[str, Any]) -> str:
    rows = [
        (samples, *(_with_range(row[name]) for name in DRAW_COLUMNS))
        for samples, row in found["by_samples"].items()
    ]
    note = (
        "Covariance term alone, with respect to the weights of a layer with a ReLU of "
        f"{found['features']} features; {found['draws']} draws from {found['samples']} samples; "
        f"norms are multiples of that of the gradient over all. Medians of {found['seeds']} seeds "
        f"(range). {found['machine']['cpu']}, torch {found['machine']['torch']}."
    )
    return f"{_table(('samples drawn', *DRAW_COLUMNS.values()), rows)}\n\n{note}"


DRAW_COLUMNS = {
    "norm_of_mean": "norm of the mean gradient",
    "mean_norm": "mean norm of a gradient",
    "cosine_of_mean": "cosine of mean and full gradient",
}


def _with_range(row: Mapping[str, float]) -> str:
    return f"{row['median']:.2f} ({row['low']:.2f} to {row['high']:.2f})"


def _reduces(found: Mapping[str, Any]) -> str:
    rows = [
        (
            name,
            str(row["layers"]),
            *(f"{row['milliseconds'][way]['median']:.2f}" for way in ("each", "batched")),
        )
        for name, row in found["networks"].items()
    ]
    head = ("network", "layers", "one each, ms", "one for all, ms")
    note = f"Medians of {next(iter(found['networks'].values()))['trials']}; two gloo processes."
    return _table(head, rows) + _measured(found, note)


def _waits(found: Mapping[str, Any]) -> str:
    rows = []
    for preset, versions in found["presets"].items():
        for kind, now in versions["now"].items():
            before = versions.get("before", {}).get(kind)
            of_solver = f"{now['of the solver']:.0f}"
            rows.append((f"{preset}, {kind}", _mean(before), _mean(now), of_solver))
    table = _table(("preset, what happens", "before", "now", "of these the solver's"), rows)
    return (
        f"{table}\n\nMeans over the first {found['steps']} steps, counted on a device that stands "
        f"in for a GPU (`tests/devices`); before: commit {found['before']}."
    )


def _mean(counts: Mapping[str, Any] | None) -> str:
    return "" if counts is None else f"{counts['all']:.1f}"


def _on_gpu(folder: Path) -> str:
    """What the files of ``gpu.py`` hold, or that there are none."""
    files = sorted(folder.glob("*.json"))
    if not files:
        return f"{NEVER_ON_A_GPU} `python benchmarks/gpu.py` measures all of this there, and more."
    return "\n\n".join(_gpu_part(path.stem, json.loads(path.read_text("utf-8"))) for path in files)


def _gpu_part(name: str, found: Mapping[str, Any]) -> str:
    """A part's rows, every number of them in a column of its own."""
    if name == "layers":
        return _layers({**found, "cases": list(found["rows"].values())})
    if name == "networks":
        return _networks({**found, "networks": list(found["rows"].values())})
    rows = {label: _flat(row) for label, row in found["rows"].items()}
    columns = list(dict.fromkeys(key for row in rows.values() for key in row))
    cells = [(label, *(_cell(row.get(key)) for key in columns)) for label, row in rows.items()]
    settings = [
        f"{key.replace('_', ' ')} {value}"
        for key, value in found.items()
        if key not in ("rows", "machine", "date")
    ]
    note = ", ".join([found["date"], *settings])
    return _table((name, *columns), cells) + _measured(found, f"{note}.")


def _flat(row: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Tables in a row as ``outer, inner``."""
    flat: dict[str, Any] = {}
    for key, value in row.items():
        name = f"{prefix}{key.replace('_', ' ')}"
        flat |= _flat(value, f"{name}, ") if isinstance(value, dict) else {name: value}
    return flat


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"
    return "" if value is None else str(value)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ("---", *("---:" for _ in head[1:])), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _measured(found: Mapping[str, Any], note: str) -> str:
    machine = found["machine"]
    return (
        f"\n\n{note} {machine['device']}, {machine['torch_threads']} thread(s), "
        f"{machine['system']}, Python {machine['python']}, torch {machine['torch']}."
    )


def _signed(value: float) -> str:
    return f"{value:+.3f}".replace("-", "−")


if __name__ == "__main__":
    main()
