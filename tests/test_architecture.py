"""Which room may know which, and which must start without torch."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

TORCH_FREE = (
    "vcr_core",
    "vcr_core.config",
    "vcr_core.presets",
    "vcr_core.store",
    "vcr_core.execution",
    "vcr_core.execution.dispatcher",
    "vcr_core.execution.doctor",
    "vcr_core.figures",
    "vcr_core.comparison",
    "vcr_core.live_view",
    "vcr_core.figures.sweep",
    "vcr_core.sweeps",
    "vcr_core.commands.sweep",
    "vcr_core.advisor",
    "vcr_core.commands.evidence",
    "vcr_core.evidence.conduct",
    "vcr_core.evidence.findings",
    "vcr_core.evidence.report",
    "vcr_core.evidence.studies",
    "vcr_core.datasets",
    "vcr_core.datasets.catalog",
    "vcr_core.models",
    "vcr_core.models.catalog",
    "vcr_core.regularization",
    "vcr_core.regularization.budgets",
    "vcr_core.regularization.conventions",
    "vcr_core.training.fork",
    "vcr_core.training.script",
    "vcr_core.transfer",
    "vcr_core.cli",
    "app.setup",
    "app.live_page",
    "app.compare_page",
    "app.runs_page",
)


def imports(path: Path) -> set[str]:
    """Every module that a file imports, wherever in the file."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module}
    return found


def files_with(folder: str, module: str) -> list[str]:
    """Files below a folder that import a module or a part of it."""
    return [
        str(path.relative_to(ROOT))
        for path in sorted((ROOT / folder).rglob("*.py"))
        if any(name == module or name.startswith(f"{module}.") for name in imports(path))
    ]


def test_the_core_knows_neither_streamlit_nor_the_app_nor_the_pages() -> None:
    allowed = {"vcr_core/cli.py"}  # starts the page
    assert set(files_with("vcr_core", "streamlit")) <= allowed
    assert files_with("vcr_core", "app") == []
    assert files_with("vcr_core", "pages") == []


def test_the_app_does_not_know_the_pages() -> None:
    assert files_with("app", "pages") == []


def test_only_figures_draw() -> None:
    rooms = {path.rsplit("/", 1)[0] for path in files_with("vcr_core", "plotly")}
    assert rooms == {"vcr_core/figures"}


@pytest.mark.parametrize(
    ("room", "stranger"),
    [
        ("diagnostics", "vcr_core.regularization"),
        ("diagnostics", "vcr_core.training"),
        ("regularization", "vcr_core.models"),
        ("regularization", "vcr_core.datasets"),
        ("models", "vcr_core.regularization"),
        ("models", "vcr_core.datasets"),
        ("datasets", "vcr_core.models"),
        ("datasets", "vcr_core.regularization"),
        ("store", "vcr_core.training"),
        ("store", "torch"),
        ("figures", "torch"),
        ("figures", "vcr_core.live_view"),
        ("store", "vcr_core.live_view"),
        ("execution", "vcr_core.live_view"),
        ("live_view", "torch"),
        ("live_view", "streamlit"),
        ("live_view", "app"),
    ],
)
def test_rooms_that_do_not_know_each_other(room: str, stranger: str) -> None:
    assert files_with(f"vcr_core/{room}", stranger) == []


def test_the_torch_free_half_starts_without_torch() -> None:
    code = (
        "import importlib, sys\n"
        f"for name in {TORCH_FREE!r}:\n"
        "    importlib.import_module(name)\n"
        "    assert 'torch' not in sys.modules, f'{name} imports torch'\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_live_view_starts_without_streamlit() -> None:
    code = "import sys, vcr_core.live_view; assert 'streamlit' not in sys.modules"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_names_of_the_package_are_loaded_on_first_use() -> None:
    import vcr_core

    assert callable(vcr_core.attach)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        vcr_core.nonsense  # noqa: B018
