"""Every error that a page can show has its Japanese, and is found by its sentence."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.texts.errors import templates, told, translated
from vcr_core.config import RunConfig, override
from vcr_core.errors import ConfigError, UnknownRunError

ROOT = Path(__file__).parents[2] / "vcr_core"
# The rooms whose errors reach a page: by a form, a link, a button, or in the words of a failed run.
ROOMS = ("config", "datasets", "models", "presets", "store", "training", "paths.py", "comparison")
ROOMS += ("execution/control.py", "execution/limits.py", "transfer/checks.py", "advisor/advice.py")
NOT_SHOWN = re.compile(
    r"module '|a network called|expected one of \{1\} at least|the sampler|--"
)  # mistakes in code or of a command line


def templates_of(tree: ast.Module) -> Iterator[str]:
    """The sentences of the errors that a module raises, their places numbered."""
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and node.exc.args):
            continue
        message = node.exc.args[0]
        if isinstance(message, ast.Constant) and isinstance(message.value, str):
            yield message.value
        if isinstance(message, ast.JoinedStr):
            numbers = iter(range(1, 99))
            parts = message.values
            yield "".join(
                str(p.value) if isinstance(p, ast.Constant) else f"{{{next(numbers)}}}"
                for p in parts
            )


def raised() -> set[str]:
    found = set()
    for room in ROOMS:
        for path in [ROOT / room] if room.endswith(".py") else (ROOT / room).rglob("*.py"):
            found |= set(templates_of(ast.parse(path.read_text(encoding="utf-8"))))
    return {text for text in found if " " in text and not NOT_SHOWN.search(text)}


def places(text: str) -> set[str]:
    return set(re.findall(r"\{(\d)\}", text))


def test_every_error_of_a_page_has_its_japanese() -> None:
    assert raised() - set(templates()) == set()


@pytest.mark.parametrize("english", sorted(templates()))
def test_a_translated_error_keeps_its_numbers(english: str) -> None:
    japanese = templates()[english]
    assert places(japanese) == places(english)
    assert re.search(r"[\u3040-\u30ff\u4e00-\u9fff]", japanese)
    filled = re.sub(r"\{(\d)\}", r"<\1>", english)
    assert all(f"<{place}>" in str(translated(filled)) for place in places(english))


@pytest.fixture
def in_japanese(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.texts.errors.language", lambda: "ja")


@pytest.mark.usefixtures("in_japanese")
@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"regularizer.variance_weight": -1.0}, "0 以上が必要ですが、-1 でした"),
        ({"training.epochs": "many"}, "整数が必要ですが、'many' でした"),
        ({"regularizer.layers": ("conv99",)}, "'conv99' でした"),
        ({"data.dataset": "mnist9"}, "'mnist9' でした"),
    ],
)
def test_a_bad_setting_is_said_in_japanese(changes: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        override(RunConfig(), changes)
    assert said in told(caught.value.message)
    assert told(caught.value).startswith(f"{caught.value.field}: ")


@pytest.mark.usefixtures("in_japanese")
def test_an_error_without_a_template_is_shown_as_it_is() -> None:
    assert told(UnknownRunError("something else")) == "something else"


def test_english_stays_english() -> None:
    assert told("expected 0 or more, got -1") == "expected 0 or more, got -1"
