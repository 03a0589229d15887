"""The Japanese catalogue is complete: every sentence of the page, with the same places."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.advice_panel import COLUMNS, QUESTION
from app.data_page import VIEWS, VIEWS_OF_POINTS
from app.layer_panel import CONVENTIONS
from app.links import PARTS
from app.right_and_wrong import GROUPS
from app.right_and_wrong import QUESTION as IMAGES_QUESTION
from app.run_list.component import WORDS as LIST_WORDS
from app.texts import catalogue, tr
from app.welcome.welcome import PICTURES, STEPS
from app.welcome.welcome import WORDS as WELCOME_WORDS
from app.words import TWINS
from vcr_core.advisor.advice import SENTENCES as ADVICE
from vcr_core.comparison import difference_chart, matrix_chart, text
from vcr_core.comparison.report import WORDS as REPORT_WORDS
from vcr_core.config import fields
from vcr_core.datasets.catalog import DATASETS
from vcr_core.datasets.corruption_names import CORRUPTIONS
from vcr_core.figures import Chart, charts, drawing, history
from vcr_core.figures.parts import RunLine
from vcr_core.live_view import asked
from vcr_core.live_view.glossary import GLOSSARY
from vcr_core.live_view.knobs import BOTH_TWINS, BUTTONS, KNOBS
from vcr_core.live_view.run_view import MATRICES, ORDERS
from vcr_core.live_view.tips import WORDS as TIPS_WORDS
from vcr_core.live_view.words import WORDS, translated_chart
from vcr_core.presets import PRESETS
from vcr_core.verdicts import SENTENCES

ROOT = Path(__file__).parents[2]
JAPANESE = catalogue("ja")
LINES = (RunLine("a", "without VCR", "baseline"), RunLine("b", "with VCR", "regularized"))


def constants(tree: ast.Module) -> dict[str, list[str]]:
    """The texts in the constants at the top of a module, by the constant's name."""
    found = {}
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else []
        for target in targets:
            said = node.value.values if isinstance(node.value, ast.Dict) else [node.value]
            texts = [
                n.value for part in said for n in ast.walk(part) if isinstance(n, ast.Constant)
            ]
            for name in ast.walk(target):
                if isinstance(name, ast.Name):
                    found[name.id] = [text for text in texts if isinstance(text, str)]
    return found


def said(path: Path) -> Iterator[str]:
    """What a file says through ``tr``: literally, or by the name of a constant."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    named = constants(tree)
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):
            continue
        if node.func.id != "tr" or not node.args:
            continue
        argument = node.args[0]
        if isinstance(argument, ast.Constant):
            yield str(argument.value)
        for part in ast.walk(argument):
            if isinstance(part, ast.Name) and part.id in named and part.id.isupper():
                yield from named[part.id]


def all_charts() -> list[Chart]:
    return [
        charts.accuracy_chart(LINES, source="shape", targets=(), chance={"shape": 0.1}),
        charts.accuracy_chart(LINES, source="shape", targets=("colour",)),
        charts.covariance_chart(LINES, "x", difference=True),
        charts.covariance_chart(LINES, "x", matrix="covariance"),
        charts.histogram_chart(LINES, "x"),
        charts.spread_chart(LINES, ["x"]),
        charts.spectrum_chart(LINES, "x"),
        charts.layer_rank_chart(LINES, "x"),
        charts.hinge_chart(LINES, ["x"]),
        charts.gradient_chart(LINES, "x"),
        charts.rank_chart(LINES),
        charts.loss_chart(LINES),
        charts.penalty_chart(LINES),
        matrix_chart(LINES, "x", matrix="covariance", clustered=False),
        matrix_chart(LINES, "x", matrix="correlation", clustered=True),
        difference_chart(LINES, LINES[0], "x", matrix="correlation", clustered=True),
    ]


def of_chart(chart: Chart) -> Iterator[str]:
    yield from (chart.title, chart.help)
    for panel in chart.panels:
        yield from (panel.title, panel.tag, panel.x.prefix, panel.y.prefix)
        yield from (readout.caption for readout in panel.readouts)
        yield from (trace.label for trace in panel.traces)
        if panel.guide:
            yield panel.guide.label


def sentences() -> set[str]:
    """Every English sentence that the page can show."""
    found = (
        set(WORDS.values())
        | {*asked.WORDS.values(), *asked.BECAME.values(), *BUTTONS.values(), BOTH_TWINS}
        | set(LIST_WORDS.values())
        | set(REPORT_WORDS.values())
        | {text.NOT_PAIRED, text.READING, text.SO_FAR, text.UNEVEN, *text.MEASURES.values()}
        | set(SENTENCES.values())
        | set(ADVICE.values())
        | set(COLUMNS)
        | set(COLUMNS.values())
        | {QUESTION, IMAGES_QUESTION, *GROUPS, *VIEWS.values(), *VIEWS_OF_POINTS.values()}
        | {info.description for info in DATASETS.values()}
        | set(CORRUPTIONS.values())
        | {info.made_here for info in DATASETS.values()}
        | set(TIPS_WORDS.values())
        | set(WELCOME_WORDS.values())
        | {text for pair in (*STEPS, *PICTURES.values()) for text in pair}
        | {text for term in GLOSSARY.values() for text in (term.name, term.text, term.forms)}
        | {history.MARK_TEXT}
        | set(PARTS.values())
        | set(CONVENTIONS.values())
        | set(TWINS.values())
    )
    for folder in ("app", "pages"):
        for path in (ROOT / folder).rglob("*.py"):
            found |= set(said(path))
    for chart in all_charts():
        found |= set(of_chart(chart))
    for _, label in (*MATRICES, *ORDERS):
        found.add(label)
    found |= {"Matrix", "Order of features"}
    for name in KNOBS:
        found |= {str(fields()[name].title), fields()[name].description or ""}
    return found - {"", "x", "shape"}


def of_other_rooms() -> set[str]:
    """Titles and help of all settings, and the presets."""
    found = set()
    for info in fields().values():
        found |= {str(info.title), info.description or ""}
    for preset in PRESETS.values():
        found |= {preset.title, preset.summary, preset.look_for}
    return found - {""}


def places(text: str) -> list[str]:
    return sorted(re.findall(r"\{(\w+)", text))


@pytest.mark.parametrize("english", sorted(sentences()))
def test_every_sentence_has_its_japanese(english: str) -> None:
    assert english in JAPANESE
    assert places(JAPANESE[english]) == places(english)
    assert re.search(r"[\u3040-\u30ff\u4e00-\u9fff]", JAPANESE[english]) or "PU" in english


def test_settings_and_presets_have_their_japanese() -> None:
    assert of_other_rooms() - set(JAPANESE) == set()


def test_a_chart_is_translated_whole() -> None:
    for chart in all_charts():
        translated = translated_chart(chart, "«{}»".format)
        assert all(text.startswith("«") for text in of_chart(translated) if text)
    assert drawing.describe(translated, chart.panels[0])


@pytest.mark.parametrize(
    ("label", "said"),
    [
        ("without VCR, learning rate 0.01", "VCR なし、学習率 0.01"),
        ("variance 1, covariance 0.1, seed 3", "分散の重み 1、共分散の重み 0.1、シード 3"),
        ("with VCR − without VCR", "VCR あり − VCR なし"),
        ("with VCR (0a1b2c)", "VCR あり（0a1b2c）"),
        ("my best run", "my best run"),
    ],
)
def test_labels_of_groups_are_translated_part_by_part(
    monkeypatch: pytest.MonkeyPatch, label: str, said: str
) -> None:
    monkeypatch.setattr("app.texts.language", lambda: "ja")
    assert tr(label) == said
