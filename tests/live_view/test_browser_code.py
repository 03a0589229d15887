"""The browser's half: its bundles are current, its tests and checks pass, both halves agree.

Node is asked where it is installed, its packages where ``npm install`` has brought them; in CI both
always are.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest

from vcr_core.figures import ArrayKey
from vcr_core.figures.history import Array
from vcr_core.figures.parts import TraceKind
from vcr_core.live_view.bundle import bundle
from vcr_core.live_view.packing import packed

ROOT = Path(__file__).parents[2]
BROWSER = ROOT / "vcr_core" / "live_view" / "browser"
NODE = shutil.which("node")
needs_node = pytest.mark.skipif(NODE is None, reason="Node is not installed")
needs_packages = pytest.mark.skipif(
    NODE is None or not (ROOT / "node_modules").is_dir(), reason="`npm install` was not run"
)


def node(*arguments: str) -> str:
    """What Node prints; it has to end well."""
    done = subprocess.run(
        ["node", *arguments], cwd=ROOT, capture_output=True, encoding="utf-8", check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def answer(module: str, expression: str) -> Any:
    """The value of an expression in which ``m`` is a module of the browser's code."""
    code = f"import * as m from './{(BROWSER / module).relative_to(ROOT).as_posix()}';"
    return json.loads(
        node("--input-type=module", "-e", f"{code}console.log(JSON.stringify({expression}))")
    )


@needs_node
def test_the_browsers_own_tests_pass() -> None:
    tests = sorted(str(path) for path in (ROOT / "tests" / "browser").glob("*.test.js"))
    assert tests
    node("--test", *tests)


@needs_packages
def test_the_bundles_are_made_from_their_modules() -> None:
    node("bundles.js", "--check")


@needs_packages
@pytest.mark.parametrize("tool", [("@biomejs/biome/bin/biome", "ci"), ("typescript/bin/tsc",)])
def test_the_browsers_code_is_formatted_linted_and_its_types_fit(tool: tuple[str, ...]) -> None:
    script, *arguments = tool
    node(f"node_modules/{script}", *arguments)


@needs_node
@pytest.mark.parametrize("symmetric", [False, True])
def test_the_browser_unpacks_what_python_packs(symmetric: bool) -> None:
    values = np.random.default_rng(0).normal(size=(5, 5)).astype(np.float32)
    values = values + values.T if symmetric else values
    values[2, 2] = np.nan
    message = packed(ArrayKey("r", "a", "correlation"), Array(5, values))
    rows = answer("packing.js", f"m.unpacked({json.dumps(message)}).rows")
    assert rows[2][2] is None
    np.testing.assert_allclose(np.array(rows, dtype=float), values, atol=1e-4)


@needs_node
def test_the_browser_knows_every_kind_of_trace() -> None:
    kinds = list(get_args(TraceKind))
    snapshots = answer("traces.js", f"{json.dumps(kinds)}.filter((kind) => m.isSnapshot({{kind}}))")
    assert snapshots == ["heatmap", "profile"]


def test_the_browsers_half_knows_no_page_around_it() -> None:
    foreign = re.compile(r"streamlit|--st-|stApp|\.st-key", re.IGNORECASE)
    for path in BROWSER.iterdir():
        assert not foreign.search(path.read_text("utf-8")), path
    assert not foreign.search(bundle())


def test_the_bundle_is_one_module_that_loads_nothing() -> None:
    assert bundle().count("export{") == 1
    assert re.search(r"export\{\w+ as show\};\s*$", bundle())
    assert not re.search(r"\bimport\b|@import|https?://(?!www\.w3\.org)", bundle())
