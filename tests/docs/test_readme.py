"""What the README says exists, runs and is what was measured."""

from __future__ import annotations

import json
import re
import runpy
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer

from vcr_core.cli import app, parse_settings
from vcr_core.config import override, validate
from vcr_core.presets import DEFAULT_PRESET, MEASURED, PRESETS, find_preset

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
TABLE = runpy.run_path(str(ROOT / "benchmarks" / "presets_table.py"))
COMMANDS: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]


def code_blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)


def command_lines() -> list[list[str]]:
    """Every command of the bash blocks as words, without comments."""
    text = "".join(code_blocks("bash")).replace("\\\n", " ")
    lines = [shlex.split(line, comments=True) for line in text.splitlines()]
    return [words for words in lines if words]


def commands_of(program: str) -> list[list[str]]:
    """The words after ``program``, wherever a line calls it, also through ``uv run``."""
    return [words[words.index(program) + 1 :] for words in command_lines() if program in words]


def test_the_two_commands_stand_before_line_30() -> None:
    beginning = README.splitlines()[:29]
    for command in ("make app", "make test"):
        assert any(line.startswith(command) for line in beginning)


@pytest.mark.parametrize("words", commands_of("vcr-lab"), ids=" ".join)
def test_commands_of_the_readme_exist(words: list[str]) -> None:
    assert words[0] in COMMANDS
    group = getattr(COMMANDS[words[0]], "commands", None)
    if group is None:
        values = parse(COMMANDS[words[0]], words[1:])
    else:
        values = parse(group[words[1]], words[2:])
    if words[0] == "run":
        preset = find_preset(values.get("preset", [DEFAULT_PRESET])[0])
        override(preset.config, parse_settings(values.get("--set", [])))


def parse(command: Any, words: list[str]) -> dict[str, list[str]]:
    """The options and arguments of a command line, refused where the command does not know them."""
    known = {
        name: parameter
        for parameter in command.params
        for name in (*parameter.opts, *parameter.secondary_opts)
    }
    arguments = [name for name in known if not name.startswith("-")]
    found: dict[str, list[str]] = {}
    rest = iter(words)
    for word in rest:
        name, equals, value = word.partition("=")
        if not word.startswith("-"):
            many = known[arguments[0]].nargs == -1
            found.setdefault(arguments[0] if many else arguments.pop(0), []).append(word)
            continue
        assert name in known, f"vcr-lab {command.name} has no option {name}"
        takes_value = not known[name].is_flag
        found.setdefault(name, []).append(value if equals or not takes_value else next(rest))
    return found


def test_the_readme_shows_every_command() -> None:
    assert {words[0] for words in commands_of("vcr-lab")} == set(COMMANDS)


@pytest.mark.parametrize("words", commands_of("make"), ids=" ".join)
def test_make_targets_of_the_readme_exist(words: list[str]) -> None:
    for word in words:
        name, equals, _ = word.partition("=")
        pattern = rf"^{re.escape(name)}\s*[?:]?=" if equals else rf"^{re.escape(name)}:"
        assert re.search(pattern, MAKEFILE, flags=re.MULTILINE), f"the Makefile has no {name}"


def test_the_tables_are_made_from_the_result_file() -> None:
    results = json.loads(TABLE["RESULTS"].read_text(encoding="utf-8"))
    assert TABLE["with_tables"](README, TABLE["presets_tables"](results)) == README, (
        "run `python benchmarks/presets_table.py --write`"
    )


def test_a_document_without_markers_is_refused() -> None:
    for text in ("no markers", TABLE["END"] + TABLE["BEGIN"], TABLE["BEGIN"]):
        with pytest.raises(ValueError, match="expected one '<!-- presets:begin -->'"):
            TABLE["with_tables"](text, "a table")


def relative_links() -> list[str]:
    targets = re.findall(r"\]\(([^)\s]+)[^)]*\)", README)
    targets += re.findall(r"(?:src|href)=\"([^\"]+)\"", README)
    return sorted({target for target in targets if not re.match(r"[a-z]+:|#", target)})


@pytest.mark.parametrize("target", relative_links())
def test_links_and_images_of_the_readme_exist(target: str) -> None:
    assert (ROOT / target.partition("#")[0]).exists()


@pytest.mark.parametrize("block", code_blocks("python"), ids=lambda block: block.splitlines()[0])
def test_python_of_the_readme_runs(block: str) -> None:
    exec(compile(block, "README.md", "exec"), {"__name__": "__main__"})


@pytest.mark.parametrize("name", MEASURED)
def test_the_result_file_was_measured_with_the_presets_of_today(name: str) -> None:
    results = json.loads((ROOT / "docs" / "results" / "presets.json").read_text(encoding="utf-8"))
    assert validate(results["presets"][name]["config"]) == PRESETS[name].config


def test_the_log_tells_what_the_small_video_preset_of_today_gave() -> None:
    text = (ROOT / "docs" / "results" / "presets_video.json").read_text(encoding="utf-8")
    found = json.loads(text)["presets"]["video-small"]
    assert validate(found["config"]) == PRESETS["video-small"].config
    log = (ROOT / "docs" / "log.md").read_text(encoding="utf-8")
    for task in ("shape", "speed"):
        for column in ("without", "with"):
            value = found["summary"]["rows"][task][column]
            shown = f"{value['mean']:.3f} ± {value['std']:.3f}".replace("0.", ".")
            assert shown in log, (task, shown)
